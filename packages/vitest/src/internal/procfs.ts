/**
 * Just as much of the process table as a leak check needs, cheap enough for every test. `describe` is the slow part, for those that leaked.
 */
import * as Duration from "effect/Duration"
import type { ProcessInfo } from "effect-process/ProcessInfo"
import { execFileSync, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { isMainThread } from "node:worker_threads"

/** @internal */
export interface Row {
  readonly pid: number
  readonly ppid: number
  readonly state: string
  /** When it was started, in whatever unit the system has; together with the pid it names one process. */
  readonly start: string
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

const read = (path: string): string | undefined => {
  try {
    return fs.readFileSync(path, "latin1")
  } catch {
    return undefined
  }
}

/** The name is in parentheses and may itself hold some, so the fields are counted from the last one. */
const fieldsOf = (stat: string): ReadonlyArray<string> => stat.slice(stat.lastIndexOf(")") + 2).split(" ")

const rowOf = (pid: number): Row | undefined => {
  const stat = read(`/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  const fields = fieldsOf(stat)
  return { pid, ppid: Number(fields[1]), state: fields[0] ?? "?", start: fields[19] ?? "" }
}

const numbersOf = (text: string): ReadonlyArray<number> => text === "" ? [] : text.trimEnd().split(" ").map(Number)

/** Children hang on the thread that forked them, so the files of every thread are read. */
const childrenOf = (pid: number): ReadonlyArray<number> => {
  let threads: ReadonlyArray<string>
  try {
    threads = fs.readdirSync(`/proc/${pid}/task`)
  } catch {
    return []
  }
  return threads.flatMap((tid) => numbersOf(read(`/proc/${pid}/task/${tid}/children`) ?? ""))
}

const listPids = (): ReadonlyArray<number> => {
  const found: Array<number> = []
  for (const name of fs.readdirSync("/proc")) {
    const first = name.charCodeAt(0)
    if (first >= 48 && first <= 57) found.push(Number(name))
  }
  return found
}

const bears = (pid: number, mark: string): boolean => read(`/proc/${pid}/environ`)?.includes(mark) === true

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
  const { pid: itself, stdout } = spawnSync("ps", ["-A", "-o", "pid=,ppid=,state=,lstart="], {
    encoding: "latin1",
    stdio: ["ignore", "pipe", "ignore"]
  })
  return stdout.split("\n").flatMap((line) => {
    const [, pid, ppid, state, start] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? []
    return start === undefined || Number(pid) === itself
      ? []
      : [{ pid: Number(pid), ppid: Number(ppid), state: state ?? "?", start }]
  })
}

const hasProc = fs.existsSync("/proc/self/stat")

const ownFile = "/proc/thread-self/children"

const hasChildrenFiles = hasProc && fs.existsSync(ownFile)

/** @internal */
export const look = (): View => {
  if (!hasProc) return whole(psRows(), () => false)
  if (!hasChildrenFiles) return whole(listPids().flatMap((pid) => rowOf(pid) ?? []), bears)
  return { own: numbersOf(read(ownFile) ?? ""), childrenOf, row: rowOf, pids: listPids, bears }
}

/** USER_HZ, which is 100 on every architecture that Node runs on. Source: time(7). */
const ticksPerSecond = 100

const describeByPs = (pid: number): ProcessInfo | undefined => {
  let text: string
  try {
    text = execFileSync("ps", ["-ww", "-p", String(pid), "-o", "ppid=,pgid=,sess=,state=,rss=,lstart=,args="], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"]
    })
  } catch {
    return undefined
  }
  const match = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(\S+)\s+(\d+)\s+(\S+\s+\S+\s+\d+\s+[\d:]+\s+\d+)\s+(.*)$/.exec(
    text.trimEnd()
  )
  if (match === null) return undefined
  const [, ppid, pgid, sid, state = "?", rss, started = "", commandLine = ""] = match
  return {
    pid,
    ppid: Number(ppid),
    pgid: Number(pgid),
    sid: Number(sid) || 0,
    state: state.charAt(0),
    rss: 1024 * Number(rss),
    cpuTime: Duration.zero,
    startTime: Date.parse(started),
    commandLine
  }
}

/**
 * What a person wants to see of a process; undefined when it is gone.
 *
 * @internal
 */
export const describe = (pid: number): ProcessInfo | undefined => {
  if (!hasProc) return describeByPs(pid)
  const stat = read(`/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  const fields = fieldsOf(stat)
  const number = (at: number): number => Number(fields[at])
  const uptime = Number.parseFloat(read("/proc/uptime") ?? "0")
  const words = (read(`/proc/${pid}/cmdline`) ?? "").replace(/\0+$/, "").replaceAll("\0", " ")
  const name = stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"))
  return {
    pid,
    ppid: number(1),
    pgid: number(2),
    sid: number(3),
    state: fields[0] ?? "?",
    // Pages are of 4 KiB nearly everywhere; it is an estimate here.
    rss: number(21) * 4096,
    cpuTime: Duration.millis((number(11) + number(12)) * 1000 / ticksPerSecond),
    startTime: Date.now() - 1000 * (uptime - number(19) / ticksPerSecond),
    commandLine: words === "" ? `[${name}]` : Buffer.from(words, "latin1").toString("utf8")
  }
}

/**
 * The command line alone; a zombie has none.
 *
 * @internal
 */
export const commandLineOf = (pid: number): string =>
  hasProc ? read(`/proc/${pid}/cmdline`) ?? "" : describeByPs(pid)?.commandLine ?? ""
