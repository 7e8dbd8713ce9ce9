/** Rows of the process table, read from /proc, or from ps(1) where there is none (macOS). */
import { ownerParts } from "@effect-process/spawn-server"
import * as Duration from "effect/Duration"
import type { ProcessInfo, ResourceUsage } from "effect-process"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { errnoOf } from "./errno.ts"

/** What the engine decides on; the rest of a row is read only when somebody is shown it. */
export interface Row {
  readonly pid: number
  readonly ppid: number
  readonly pgid: number
  readonly sid: number
  readonly state: string
}

interface StatRow extends Row {
  readonly comm: string
  readonly minorPageFaults: number
  readonly majorPageFaults: number
  readonly userTicks: number
  readonly systemTicks: number
  readonly startTicks: number
}

/** USER_HZ, which is 100 on every architecture that Node runs on. Source: time(7). */
const ticksPerSecond = 100

const hasProc = process.platform === "linux"

/** A process may vanish between any two reads, which says no more than that it is gone. */
const readProc = (path: string): string | undefined => {
  try {
    return fs.readFileSync(path, "latin1")
  } catch {
    return undefined
  }
}

/** The name is in parentheses and may itself hold some, so the fields are counted from the last one. */
const parseStat = (text: string): StatRow | undefined => {
  const open = text.indexOf("(")
  const close = text.lastIndexOf(")")
  if (open < 0 || close < 0) return undefined
  const field = text.slice(close + 2).split(" ")
  const number = (at: number) => Number(field[at] ?? 0)
  return {
    pid: Number.parseInt(text, 10),
    comm: text.slice(open + 1, close),
    state: field[0] ?? "?",
    ppid: number(1),
    pgid: number(2),
    sid: number(3),
    minorPageFaults: number(7),
    majorPageFaults: number(9),
    userTicks: number(11) + number(13),
    systemTicks: number(12) + number(14),
    startTicks: number(19)
  }
}

const readStat = (pid: number): StatRow | undefined => {
  const text = readProc(`/proc/${pid}/stat`)
  return text === undefined ? undefined : parseStat(text)
}

const isDeadState = (state: string): boolean => state.startsWith("Z") || state.startsWith("X")

/** A process whose main thread has exited shows Z and lives on in its other threads. */
const isDead = (row: Row): boolean => {
  if (!isDeadState(row.state)) return false
  if (!hasProc) return true
  let threads: ReadonlyArray<string>
  try {
    threads = fs.readdirSync(`/proc/${row.pid}/task`)
  } catch {
    return true
  }
  return threads.every((tid) => {
    const text = readProc(`/proc/${row.pid}/task/${tid}/stat`)
    return text === undefined || isDeadState(parseStat(text)?.state ?? "X")
  })
}

const psColumns = "pid=,ppid=,pgid=,sess=,state="

const psRows = (): ReadonlyArray<Row> =>
  execFileSync("ps", ["-A", "-o", psColumns], { encoding: "latin1", stdio: ["ignore", "pipe", "ignore"] })
    .split("\n").flatMap((line) => {
      const [pid, ppid, pgid, sid, state] = line.trim().split(/\s+/)
      return pid === undefined || state === undefined
        ? []
        : [{ pid: Number(pid), ppid: Number(ppid), pgid: Number(pgid), sid: Number(sid), state }]
    })

/** All rows, those of zombies too. */
export const snapshot = (): ReadonlyArray<Row> =>
  hasProc
    ? fs.readdirSync("/proc").flatMap((name) => {
      const first = name.charCodeAt(0)
      const row = first >= 48 && first <= 57 ? readStat(Number(name)) : undefined
      return row === undefined ? [] : [row]
    })
    : psRows()

/** Those members of a process group that live. */
export const membersOf = (pgid: number): ReadonlyArray<Row> =>
  snapshot().filter((row) => row.pgid === pgid && !isDead(row))

/** Whether a process that was seen as a member of a group still is one. */
export const isStillMember = (pid: number, pgid: number): boolean => {
  if (!hasProc) return psRows().some((row) => row.pid === pid && row.pgid === pgid && !isDead(row))
  const row = readStat(pid)
  return row !== undefined && row.pgid === pgid && !isDead(row)
}

/** The living rows of a group and of everything below it, the leader's own not among them. */
export const descendantsOf = (pgid: number): ReadonlyArray<Row> => {
  const rows = snapshot()
  const found = new Set<Row>(rows.filter((row) => row.pgid === pgid))
  const pids = new Set<number>([pgid, ...[...found].map((row) => row.pid)])
  for (let grown = true; grown;) {
    grown = false
    for (const row of rows) {
      if (pids.has(row.ppid) && !found.has(row)) {
        found.add(row)
        pids.add(row.pid)
        grown = true
      }
    }
  }
  return [...found].filter((row) => row.pid !== pgid && !isDead(row))
}

let bootTime: number | undefined

/** Milliseconds since 1970. */
const bootedAt = (): number => bootTime ??= 1000 * Number(/^btime (\d+)/m.exec(readProc("/proc/stat") ?? "")?.[1] ?? 0)

const statusField = (status: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0)

/** Fills in what a person wants to see of a row; undefined when the process is gone. */
export const describe = (row: Row): ProcessInfo | undefined => {
  const { pgid, pid, ppid, sid, state } = row
  if (!hasProc) return describeByPs(row)
  const stat = readStat(pid)
  if (stat === undefined) return undefined
  const commandLine = (readProc(`/proc/${pid}/cmdline`) ?? "").replace(/\0+$/, "").replaceAll("\0", " ")
  return {
    pid,
    ppid,
    pgid,
    sid,
    state,
    rss: 1024 * statusField(readProc(`/proc/${pid}/status`) ?? "", "VmRSS"),
    cpuTime: Duration.millis((stat.userTicks + stat.systemTicks) * 1000 / ticksPerSecond),
    startTime: bootedAt() + stat.startTicks * 1000 / ticksPerSecond,
    commandLine: commandLine === "" ? `[${stat.comm}]` : Buffer.from(commandLine, "latin1").toString("utf8")
  }
}

const describeByPs = ({ pgid, pid, ppid, sid, state }: Row): ProcessInfo | undefined => {
  const text = ps(pid, "rss=,time=,lstart=,args=")
  const match = /^\s*(\d+)\s+([\d:.-]+)\s+(\S+\s+\S+\s+\d+\s+[\d:]+\s+\d+)\s+(.*)$/.exec(text)
  if (match === null) return undefined
  const [, rss = "0", time = "0", started = "", commandLine = ""] = match
  const seconds = time.split(/[:-]/).reduce((sum, part) => sum * 60 + Number(part), 0)
  return {
    pid,
    ppid,
    pgid,
    sid,
    state: state.charAt(0),
    rss: 1024 * Number(rss),
    cpuTime: Duration.seconds(seconds),
    startTime: Date.parse(started),
    commandLine
  }
}

const ps = (pid: number, columns: string): string => {
  try {
    return execFileSync("ps", ["-ww", "-p", String(pid), "-o", columns], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"]
    })
  } catch {
    return ""
  }
}

/** Whether its stdin is a pipe, which that of a process that is exiting is not. Without /proc it is taken to be one. */
export const hasPipedStdin = (pid: number): boolean => {
  if (!hasProc) return true
  try {
    return fs.statSync(`/proc/${pid}/fd/0`).isFIFO()
  } catch (error) {
    return errnoOf(error) === "EACCES"
  }
}

/** What one living process has used, its children that it has waited for included. Undefined when it is gone. */
export const usageOf = (pid: number): ResourceUsage | undefined => {
  const stat = hasProc ? readStat(pid) : undefined
  if (stat === undefined) return undefined
  const status = readProc(`/proc/${pid}/status`) ?? ""
  return {
    userTime: Duration.millis(stat.userTicks * 1000 / ticksPerSecond),
    systemTime: Duration.millis(stat.systemTicks * 1000 / ticksPerSecond),
    maxRss: 1024 * statusField(status, "VmHWM"),
    minorPageFaults: stat.minorPageFaults,
    majorPageFaults: stat.majorPageFaults,
    voluntaryContextSwitches: statusField(status, "voluntary_ctxt_switches"),
    involuntaryContextSwitches: statusField(status, "nonvoluntary_ctxt_switches")
  }
}

/** The owner as the mark in its children's environment names it: pid, start time in ticks, boot id. */
export const ownerMark = (): string =>
  hasProc ? ownerParts() : `${process.pid}:${ps(process.pid, "lstart=").trim().replace(/\W+/g, "-")}:`
