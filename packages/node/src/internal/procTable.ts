/** Rows of the process table on Linux, read from /proc. */
import { procfs, type TableRow } from "@effect-process/spawn-server"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ProcessInfo } from "effect-process"
import { type ProcessState, processStates } from "effect-process/ProcessInfo"
import * as fs from "node:fs"

/** Of clock ticks. */
export const millisOf = (ticks: number): number => ticks * 1000 / procfs.ticksPerSecond()

let bootTime: number | undefined

/** Milliseconds since 1970. Read once: it moves with the clock that is set, and with it what start times we tell. */
const bootedAt = (): number =>
  bootTime ??= 1000 * Number(/^btime (\d+)/m.exec(procfs.readProc("/proc/stat") ?? "")?.[1] ?? 0)

/** What rows say of a start that is counted in ticks from the boot. */
export const startTime = (ticks: number): number => bootedAt() + millisOf(ticks)

/** How long the names of users are taken to stay what they are; milliseconds. */
const namesKept = 10_000

let names: ReadonlyMap<number, string> = new Map()
let namesRead = -Infinity

/** Of local users only. Others are shown by number, as by ps(1) when it finds no name. */
const userName = (uid: number): string => {
  const now = performance.now()
  if (now - namesRead > namesKept) {
    namesRead = now
    try {
      const entries = fs.readFileSync("/etc/passwd", "utf8").split("\n").map((line) => line.split(":"))
      // The first entry of a number is the one that counts.
      names = new Map(entries.toReversed().map(([name = "", , id]) => [Number(id), name]))
    } catch {
      names = new Map()
    }
  }
  return names.get(uid) ?? String(uid)
}

const stateOf = (letter: string): ProcessState => letter in processStates ? letter as ProcessState : "?"

/** What a person wants to see of a row, from what was read of it. */
export const complete = ({ commandLine, stat, uid }: TableRow): ProcessInfo => {
  const { name, pgid, pid, ppid, rssBytes, sid, start, systemTicks, threads, userTicks } = stat
  // Its main thread alone may have exited. Then the memory and the arguments are to be had from another one only.
  const other = procfs.isDeadState(stat.state) && threads > 1 ? procfs.livingThread(pid) : undefined
  const words = other === undefined ? commandLine : procfs.readCommandLine(pid, other.pid)
  return {
    pid,
    ppid,
    pgid,
    sid,
    state: stateOf(other?.state ?? stat.state),
    name,
    uid,
    user: userName(uid),
    threads,
    rss: other?.rssBytes ?? rssBytes,
    cpuTime: Duration.millis(millisOf(userTicks + systemTicks)),
    startTime: startTime(start),
    commandLine: words === "" ? `[${name}]` : words
  }
}

/** Fills in what a person wants to see of a row; undefined when the process is gone. */
export const describe = (stat: procfs.ProcessStat): ProcessInfo | undefined => {
  const uid = fs.statSync(`/proc/${stat.pid}`, { throwIfNoEntry: false })?.uid
  if (uid === undefined) return undefined
  return complete({ stat, uid, commandLine: stat.isKernel ? "" : procfs.readCommandLine(stat.pid) })
}

/** Undefined when there is none, or it ends while we look. */
export const rowOf = (pid: number): ProcessInfo | undefined => {
  const stat = procfs.readStat(pid)
  return stat === undefined ? undefined : describe(stat)
}

/** Milliseconds after which the event loop gets its turn: all of a large table at once would hold it up for long. */
const slice = 10

/** What `read` says of each pid that it knows something of. */
export const scan = <A>(read: (pid: number) => A | undefined): Effect.Effect<ReadonlyArray<A>> =>
  Effect.async((resume) => {
    const found: Array<A> = []
    const pids = procfs.listPids()
    let at = 0
    let turn: NodeJS.Immediate | undefined
    const go = () => {
      const until = performance.now() + slice
      while (at < pids.length) {
        const one = read(pids[at++]!)
        if (one !== undefined) found.push(one)
        if (performance.now() > until) {
          turn = setImmediate(go)
          return
        }
      }
      resume(Effect.succeed(found))
    }
    go()
    return Effect.sync(() => clearImmediate(turn))
  })

export const snapshot: Effect.Effect<ReadonlyArray<ProcessInfo>> = Effect.suspend(() => scan(rowOf))
