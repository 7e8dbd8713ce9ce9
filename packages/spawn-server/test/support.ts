/** What the tests share: an observer that knows nothing of the server, conditions to wait for, a check for leaks. */
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest"
import { command, type CommandOptions, type Job, type JobEvent, SpawnServer, type StartOptions } from "../src/index.ts"

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
export const fixture = (name: string): string => path.join(root, "build", "fixtures", name)
export const isRoot = process.getuid?.() === 0
export const grace = 300
export const killBound = 1000
/** On a machine whose load is not ours to say. */
export const slack = 1500

/** The sanitizer's build, when that is what is tested. */
export const binary: StartOptions = process.env["SPAWN_SERVER_BINARY"] === undefined
  ? {}
  : { binary: process.env["SPAWN_SERVER_BINARY"] }
export const isSanitized = binary.binary !== undefined

let serial = 0
const tags: Array<string> = []

/** Seconds to sleep that no other process sleeps. */
export const tag = (): string => {
  const value = `${100 + (process.pid % 500)}.${String(Date.now() % 1_000_000).padStart(6, "0")}${
    String(serial++).padStart(3, "0")
  }`
  tags.push(value)
  return value
}

export const isDead = (pid: number): boolean => {
  try {
    return fs.readdirSync(`/proc/${pid}/task`).every((tid) => {
      const stat = fs.readFileSync(`/proc/${pid}/task/${tid}/stat`, "latin1")
      return /^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2))
    })
  } catch {
    return true
  }
}

/** Of its main thread, see proc(5): `S` waits, `T` is stopped. */
export const stateOf = (pid: number): string | undefined =>
  /\) (.)/.exec(fs.readFileSync(`/proc/${pid}/stat`, "latin1"))?.[1]

/** Living processes with this word in their command line. */
export const having = (word: string): Array<number> =>
  fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    if (pid === process.pid) return false
    try {
      return fs.readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(word) && !isDead(pid)
    } catch {
      return false
    }
  })

/** Those that are `sleep` by now, and not about to become it: words of what runs it have it in their command line as well. */
export const sleeping = (seconds: string): Array<number> =>
  having(seconds).filter((pid) => {
    try {
      return fs.readFileSync(`/proc/${pid}/cmdline`, "latin1") === `sleep\0${seconds}\0`
    } catch {
      return false
    }
  })

/** What the descriptors of a process lead to. It may close some meanwhile. */
export const linksOf = (pid: number | "self"): ReadonlyArray<string> =>
  fs.readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [fs.readlinkSync(`/proc/${pid}/fd/${fd}`)]
    } catch {
      return []
    }
  })

/** In a directory of its own, which who asked for it removes. */
export const makeFifo = (): { readonly directory: string; readonly fifo: string } => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "ep-"))
  const fifo = path.join(directory, "fifo")
  expect(childProcess.spawnSync("mkfifo", [fifo]).status).toBe(0)
  return { directory, fifo }
}

export const childrenOf = (pid: number): Array<number> => {
  try {
    return fs.readdirSync(`/proc/${pid}/task`).flatMap((tid) =>
      fs.readFileSync(`/proc/${pid}/task/${tid}/children`, "latin1").split(" ").filter((word) => word !== "").map(
        Number
      )
    )
  } catch {
    return []
  }
}

/** Those that the server keeps for further jobs: they have none, and nobody below them. */
const isParked = (pid: number): boolean => {
  try {
    return fs.readFileSync(`/proc/${pid}/comm`, "latin1") === "ep-parked\n" && childrenOf(pid).length === 0
  } catch {
    return false
  }
}

/** Of the server's children, those that have a job, or had one and are not gone. */
export const busyBelow = (server: number): ReadonlyArray<number> => childrenOf(server).filter((pid) => !isParked(pid))

export const until = async (what: string, condition: () => boolean, ms = 5000): Promise<number> => {
  const began = performance.now()
  while (!condition()) {
    if (performance.now() - began > ms) throw new Error(`not within ${ms} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  return performance.now() - began
}

export const alive = (word: string, count = 1): Promise<number> =>
  until(`${count} with ${word}`, () => having(word).length === count)

export const descriptorCount = (pid: number | "self" = "self"): number => fs.readdirSync(`/proc/${pid}/fd`).length

/**
 * The server has nothing open but its own, and says so by its answers. A job without pipes is asked for, because no
 * answer follows the last word about earlier ones, `OPENED`: by then the server has read it.
 */
export const atRest = async (server: SpawnServer): Promise<void> => {
  const job = await server.spawn(command("true", [], { stdout: "ignore", stderr: "ignore" }))
  await job.empty()
  await until("the server has no children", () => busyBelow(server.pid).length === 0)
}

export interface Running {
  readonly job: Job
  readonly events: Array<JobEvent>
  readonly output: () => string
  readonly errors: () => string
  readonly ended: Promise<void>
}

const started: Array<Job> = []

/** A server for a file of tests, and after each of them the proof that nothing is left of it. */
export const withServer = (
  options: StartOptions = {}
): { readonly get: () => SpawnServer; readonly restart: () => Promise<void> } => {
  let server: SpawnServer
  let before = 0
  beforeAll(async () => {
    server = await SpawnServer.start({ ...binary, ...options })
  })
  beforeEach(() => {
    before = descriptorCount()
  })
  afterEach(async () => {
    // Only after a failure is there anything to end; the next test shall not fail for it.
    for (const job of started.splice(0)) {
      job.kill()
      job.close()
    }
    if (server.lost === undefined) {
      await until("the server has no children", () => busyBelow(server.pid).length === 0)
      await until("descriptors are back", () => descriptorCount() <= before)
    }
    for (const one of tags.splice(0)) expect(having(one)).toEqual([])
  })
  afterAll(() => server?.close())
  return {
    get: () => server,
    restart: async () => {
      server = await SpawnServer.start({ ...binary, ...options })
    }
  }
}

export const run = async (
  server: SpawnServer,
  file: string,
  args: ReadonlyArray<string>,
  options: CommandOptions = {}
): Promise<Running> => {
  const request = command(file, args, { graceMs: grace, ...options })
  const job = await server.spawn(request)
  started.push(job)
  const events: Array<JobEvent> = []
  job.listen((event) => events.push(event))
  const out: Array<Buffer> = []
  const err: Array<Buffer> = []
  let at = options.stdin === "pipe" ? 1 : 0
  const ends: Array<Promise<void>> = []
  for (const [name, chunks] of [["stdout", out], ["stderr", err]] as const) {
    if ((options[name] ?? "pipe") !== "pipe") continue
    const stream = job.readable(at++)
    stream.on("data", (chunk: Buffer) => chunks.push(chunk))
    ends.push(new Promise((resolve) => stream.once("close", () => resolve())))
  }
  return {
    job,
    events,
    output: () => Buffer.concat(out).toString(),
    errors: () => Buffer.concat(err).toString(),
    ended: Promise.all(ends).then(() => undefined)
  }
}

export const sh = (server: SpawnServer, script: string, options?: CommandOptions): Promise<Running> =>
  run(server, "sh", ["-c", script], options)

export const signal = (name: NodeJS.Signals): number => os.constants.signals[name]

/** What a sanitizer reports by, and its build therefore neither blocks nor ignores. */
export const faults: ReadonlyArray<number> = isSanitized
  ? (["SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE"] as const).map(signal)
  : []

/** Ends the job and says how long that took. */
export const release = async (running: Running, graceMs = grace): Promise<number> => {
  const began = performance.now()
  running.job.terminate(0, graceMs)
  expect(await running.job.empty()).toBe(true)
  const took = performance.now() - began
  await running.ended
  running.job.close()
  return took
}

export const exitOf = async (running: Running): Promise<unknown> => (await running.job.exited())[0]!.exit
export const killed = (name: NodeJS.Signals): unknown => ({ kind: "killed", signal: signal(name), coreDumped: false })
export const exited = (code: number): unknown => ({ kind: "exited", code })

export const owner = (
  mode: string,
  jobs: ReadonlyArray<unknown>
): { child: childProcess.ChildProcess; said: () => string } => {
  const child = childProcess.spawn(process.execPath, [
    path.join(root, "test/fixtures/owner.mjs"),
    mode,
    JSON.stringify(jobs)
  ], { stdio: ["pipe", "pipe", "ignore"] })
  let text = ""
  child.stdout.on("data", (chunk: Buffer) => (text += String(chunk)))
  return { child, said: () => text }
}
