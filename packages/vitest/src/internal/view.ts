/** Just as much of the process table as a leak check needs, cheap enough for every test. */
import { procfs } from "@effect-process/spawn-server"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { isMainThread } from "node:worker_threads"
import * as clock from "./clock.ts"

/** @internal */
export interface Row {
  readonly pid: number
  readonly ppid: number
  readonly pgid: number
  readonly sid: number
  readonly state: string
  /** When it was started, in whatever unit the system has; together with the pid it names one process. */
  readonly start: number
}

/**
 * The process table at one time. Where it is read bit by bit, a process may be gone by the next look.
 *
 * @internal
 */
export interface View {
  /** What this thread of JavaScript has forked. */
  readonly own: ReadonlyArray<number>
  readonly childrenOf: (pid: number) => ReadonlyArray<number>
  readonly row: (pid: number) => Row | undefined
  readonly pids: () => ReadonlyArray<number>
  /** Whether its environment, as it was at its exec, holds this text. */
  readonly bears: (pid: number, mark: string) => boolean
}

const numbersOf = (text: string | undefined): ReadonlyArray<number> =>
  text === undefined || text === "" ? [] : text.trimEnd().split(" ").map(Number)

/** Children hang on the thread that forked them, so the files of every thread are read. */
const childrenOf = (pid: number): ReadonlyArray<number> => {
  let threads: ReadonlyArray<string>
  try {
    threads = fs.readdirSync(`/proc/${pid}/task`)
  } catch {
    return []
  }
  return threads.flatMap((tid) => numbersOf(procfs.readProc(`/proc/${pid}/task/${tid}/children`)))
}

const bears = (pid: number, mark: string): boolean =>
  procfs.readProc(`/proc/${pid}/environ`, procfs.mostEnvironment)?.includes(mark) === true

/**
 * All rows at once: where the kernel has no lists of children (CONFIG_PROC_CHILDREN), and where there is no /proc. Threads cannot be told
 * apart there, so that those of a worker thread are known by the mark only.
 */
const whole = (rows: ReadonlyArray<Row>, bears: View["bears"]): View => {
  const byPid = new Map(rows.map((row) => [row.pid, row]))
  const children = (pid: number) => rows.filter((row) => row.ppid === pid).map((row) => row.pid)
  return {
    own: isMainThread ? children(process.pid) : [],
    childrenOf: children,
    row: (pid) => byPid.get(pid),
    pids: () => rows.map((row) => row.pid),
    bears
  }
}

const psRows = (): ReadonlyArray<Row> => {
  const { pid: itself, stdout } = spawnSync("ps", ["-A", "-o", "pid=,ppid=,pgid=,sess=,state=,lstart="], {
    encoding: "latin1",
    stdio: ["ignore", "pipe", "ignore"]
  })
  return stdout.split("\n").flatMap((line) => {
    const [pid = "", ppid, pgid, sid, state, ...start] = line.trim().split(/\s+/)
    return state === undefined || Number(pid) === itself ? [] : [{
      pid: Number(pid),
      ppid: Number(ppid),
      pgid: Number(pgid),
      sid: Number(sid),
      state: state.charAt(0),
      start: Date.parse(start.join(" "))
    }]
  })
}

const hasProc = process.platform === "linux"

const ownFile = "/proc/thread-self/children"

/** @internal */
export const lookAtFiles = (): View => ({
  own: numbersOf(procfs.readProc(ownFile)),
  childrenOf,
  row: procfs.readStat,
  pids: procfs.listPids,
  bears
})

/** @internal */
export const lookAtRows = (): View => whole(procfs.listPids().flatMap((pid) => procfs.readStat(pid) ?? []), bears)

/** @internal */
export const lookByPs = (): View => whole(psRows(), () => false)

/** @internal */
export const look: () => View = !hasProc ? lookByPs : fs.existsSync(ownFile) ? lookAtFiles : lookAtRows

/**
 * What a person wants to see of a process beside its row.
 *
 * @internal
 */
export interface Words {
  readonly commandLine: string
  /** Milliseconds since 1970. */
  readonly startTime: number
}

const uptime = (): number => Number.parseFloat(procfs.readProc("/proc/uptime") ?? "0")

/** @internal */
export const describe = (row: Row): Words => {
  if (!hasProc) return { commandLine: argumentsByPs(row.pid), startTime: row.start }
  const words = procfs.readCommandLine(row.pid)
  return {
    commandLine: words === "" ? `[${procfs.readStat(row.pid)?.name ?? "gone"}]` : words,
    startTime: clock.now() - 1000 * (uptime() - row.start / procfs.ticksPerSecond())
  }
}

const argumentsByPs = (pid: number): string =>
  spawnSync("ps", ["-ww", "-p", String(pid), "-o", "args="], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
    .stdout.trim()
