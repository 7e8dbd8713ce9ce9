/**
 * One peer in a process of its own, so that neither heaps nor garbage mix: `worker.js PEER BALLAST [instrument]`, the ballast
 * in MiB. Reads a task a line from stdin and answers a line each; see support/tasks.ts.
 */
import { monitorEventLoopDelay } from "node:perf_hooks"
import * as readline from "node:readline"
import { setTimeout as sleep } from "node:timers/promises"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { busySince, type Limits, type Peer, type Session } from "./peers/Peer.ts"
import * as proc from "./support/proc.ts"
import type { Answer, Delay, Tasks } from "./support/tasks.ts"

const [name = "", ballastMiB = "0", instrumented] = process.argv.slice(2)

/** The command that `live` keeps, and the name of its process. */
const [idler, idlerArgs] = ["sleep", ["100000"]] as const

const delayResolution = 1

const allocate = (mebibytes: number): ReadonlyArray<Uint8Array> => {
  const pieces: Array<Uint8Array> = []
  for (let left = mebibytes; left > 0; left -= 64) pieces.push(new Uint8Array(Math.min(left, 64) * 2 ** 20).fill(1))
  return pieces
}

let isAged = false

/** As in a program that has run for a while: after its first full collection V8 may have the next ones much sooner. Bun has no V8. */
const age = (): void => {
  if (isAged || process.versions["bun"] !== undefined) return
  isAged = true
  setFlagsFromString("--expose-gc")
  ;(runInNewContext("gc") as () => void)()
}

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const began = performance.now()
  await work()
  return performance.now() - began
}

const delayed = async (work: () => Promise<unknown>): Promise<{ elapsed: number; delay: Delay }> => {
  const histogram = monitorEventLoopDelay({ resolution: delayResolution })
  histogram.enable()
  // The first tick has nothing to be late after.
  await sleep(3 * delayResolution)
  const elapsed = await timed(work)
  // Work that never returned to the loop is one delay, which the timer has yet to see.
  await sleep(3 * delayResolution)
  histogram.disable()
  // Its values are the times between two ticks of its timer.
  const millis = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - delayResolution)
  const [p50, p99] = [millis(histogram.percentile(50)), millis(histogram.percentile(99))]
  return { elapsed, delay: { p50, p99, maximum: millis(histogram.max) } }
}

const has = <A>(ability: A | undefined): A => {
  if (ability === undefined) throw new Error(`${name} cannot do that`)
  return ability
}

/** A shell and its children, all of which TERM ends. */
const treeOf = (size: number): string => {
  if (size === 1) return "echo ready; exec sleep 100000"
  return `i=1; while [ $i -lt ${size} ]; do sleep 100000 & i=$((i + 1)); done; echo ready; wait`
}

const interrupt = async (session: Session, size: number): Promise<number> => {
  let tree: ReadonlyArray<number> = []
  const elapsed = await has(session.interrupt)(treeOf(size), async (pid) => {
    // Forked is not yet what it will be.
    while (tree.filter((pid) => proc.nameOf(pid) === "sleep").length < Math.max(1, size - 1)) {
      await sleep(2)
      tree = [pid, ...proc.descendantsOf(pid)]
    }
  })
  const left = tree.filter(proc.exists)
  // Who hands the tree to init has no say in when init reaps it.
  if (left.length > 0 && name === "spawnServer") throw new Error(`${left.length} of ${size} processes are left`)
  for (const until = performance.now() + 5_000; tree.some(proc.exists); await sleep(2)) {
    if (performance.now() > until) throw new Error(`${tree.filter(proc.exists).length} of ${size} processes live on`)
  }
  return elapsed
}

/** The time in which what has been told to end ends. */
const moment = 250

const survive = async (
  session: Session,
  script: string,
  mark: string,
  limits: Omit<Limits, "env">,
  patience: number
) => {
  const [name = "", value = ""] = mark.split("=")
  const began = performance.now()
  const running = has(session.survive)(script, { ...limits, env: { [name]: value } })
  const settled = await Promise.race([
    Promise.resolve(running).then(() => true, () => true),
    sleep(patience).then(() => false)
  ])
  const elapsed = performance.now() - began
  await sleep(moment)
  return { settled, elapsed, left: proc.marked(mark).length }
}

const makeTasks = (session: Session) => {
  let living = 0
  const tasks: { [K in keyof Tasks]: (input: Tasks[K]["input"]) => Promise<Tasks[K]["output"]> } = {
    captures: async ({ atOnce, count }) => {
      const busy = busySince()
      const elapsed = await timed(() => session.captures(count, atOnce))
      return { elapsed, busy: busy() }
    },
    handles: ({ count }) => has(session.handles)(count),
    direct: async ({ count }) => {
      const { taken } = await import("./support/instrument.ts")
      const times: Array<number> = []
      taken()
      for (let i = 0; i < count; i++) {
        await session.captures(1, 1)
        times.push(taken())
      }
      return times
    },
    read: async ({ aged, bytes }) => {
      let length = 0
      if (aged) age()
      const elapsed = await timed(async () => {
        length = await has(session.read)("head", ["-c", String(bytes), "/dev/zero"])
      })
      if (length !== bytes) throw new Error(`${length} bytes of ${bytes} came`)
      return { elapsed }
    },
    pipeline: async ({ bytes, cats }) => {
      const before = process.memoryUsage.rss()
      let peak = before
      const watch = setInterval(() => {
        peak = Math.max(peak, process.memoryUsage.rss())
      }, 20)
      let printed = ""
      const stages = [
        ["head", "-c", String(bytes), "/dev/zero"],
        ["tr", "\\0", "a"],
        ...Array.from({ length: cats }, () => ["cat"] as const),
        ["wc", "-c"]
      ] as const
      const elapsed = await timed(async () => {
        printed = await has(session.pipeline)(stages)
      })
      clearInterval(watch)
      if (Number(printed) !== bytes) throw new Error(`${printed.trim()} bytes of ${bytes} were counted`)
      return { elapsed, growth: Math.max(peak, process.memoryUsage.rss()) - before }
    },
    through: async ({ bytes }) => {
      let length = 0
      const elapsed = await timed(async () => {
        length = await has(session.through)("cat", 65_536, bytes / 65_536)
      })
      if (length !== bytes) throw new Error(`${length} bytes of ${bytes} came back`)
      return { elapsed }
    },
    write: async ({ bytes }) => {
      let printed = ""
      const elapsed = await timed(async () => {
        printed = await has(session.write)("wc", ["-c"], 65_536, bytes / 65_536)
      })
      if (Number(printed) !== bytes) throw new Error(`${printed.trim()} bytes of ${bytes} arrived`)
      return { elapsed }
    },
    survive: ({ cases, patience, timeout, variant }) =>
      Promise.all(
        cases.map(({ mark, script }) => survive(session, script, mark, { timeout, variant }, patience))
      ),
    begin: async ({ mark, processes, script, variant }) => {
      void survive(session, script, mark, { timeout: 1_000_000, variant }, 1_000_000)
      while (proc.marked(mark).length < processes) await sleep(10)
      return { owner }
    },
    interrupt: async ({ size }) => ({ elapsed: await interrupt(session, size) }),
    live: async ({ upTo }) => {
      const more = upTo - living
      living = upTo
      return delayed(() => has(session.live)(more, idler, idlerArgs))
    },
    idle: async ({ millis }) => (await delayed(() => sleep(millis))).delay,
    memory: async () => {
      const all = proc.descendantsOf(owner)
      const between = all.filter((pid) => proc.nameOf(pid) !== idler)
      return {
        owner: proc.privateMemory(owner),
        between: between.map(proc.privateMemory).reduce((sum, bytes) => sum + bytes, 0),
        processes: all.length - between.length
      }
    },
    close: async () => {
      await session.close()
      return null
    }
  }
  return tasks
}

const answer = (value: Answer): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

// Libraries warn of what these programs do on purpose; stdout is for answers.
console.log = () => undefined
if (instrumented === "instrument") await import("./support/instrument.ts")
const { open } = await import(`./peers/${name}.js`) as Peer
const session = await open()
const owner = session.owner ?? process.pid
const ballast = session.hold === undefined
  ? allocate(Number(ballastMiB))
  : [await session.hold(Number(ballastMiB))]
const tasks = makeTasks(session)
answer({ ok: true, output: ballast.length })

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { input, task } = JSON.parse(line) as { task: keyof Tasks; input: never }
  try {
    answer({ ok: true, output: await tasks[task](input) })
  } catch (error) {
    answer({ ok: false, problem: error instanceof Error ? error.stack ?? error.message : String(error) })
  }
  if (task === "close") break
}
process.exit()
