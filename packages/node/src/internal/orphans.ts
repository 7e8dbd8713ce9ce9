/** What `Orphans` is told of processes: on Linux by /proc, on macOS by ps(1). */
import {
  isOwnerAlive,
  type Mark,
  markIn,
  markName,
  parseMark,
  procfs,
  serverName,
  supervisorName
} from "@effect-process/spawn-server"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { ProcessInfo } from "effect-process"
import type { OrphanSource, Seen } from "effect-process/Orphans"
import { isDead } from "effect-process/ProcessInfo"
import type { Signal } from "effect-process/Signal"
import { sendTo } from "./groupWatch.ts"
import * as procTable from "./procTable.ts"
import * as psTable from "./psTable.ts"
import { environment as watchdogEnvironment, markOfWatchdog } from "./watchdog.ts"

const hasProc = process.platform === "linux"

const uid = (): number => process.geteuid?.() ?? -1

/** The environment of a watchdog, by which its command line is worth a look. */
const watchdogEnvirons = `\0${
  Object.entries(watchdogEnvironment).map(([key, value]) => `${key}=${value}`).join("\0")
}\0`

const ownerOf = (mark: Mark, isAlive: boolean): NonNullable<Seen["owner"]> => ({
  pid: mark.pid,
  mark: mark.name,
  uid: mark.uid,
  isAlive
})

const watched = (commandLine: string): string | undefined => {
  const value = markOfWatchdog(commandLine)
  return value === undefined ? undefined : parseMark(value)?.name ?? ""
}

/** Many processes have the same owner: it is looked at once. */
const remembering = (isAlive: (mark: Mark) => boolean): (mark: Mark) => boolean => {
  const known = new Map<string, boolean>()
  return (mark) => {
    const before = known.get(mark.name)
    if (before !== undefined) return before
    const now = isAlive(mark)
    known.set(mark.name, now)
    return now
  }
}

/** Pids in a mark are those of the owner's namespace, so nothing is said of processes in another one. */
const isHere = (pid: number, here: string | undefined): boolean =>
  here !== undefined && procfs.pidNamespace(pid) === here

const seeByProc = (isAlive: (mark: Mark) => boolean, here: string | undefined) => (pid: number): Seen | undefined => {
  const stat = procfs.readStat(pid)
  if (stat === undefined) return undefined
  const { name, ppid, start, threads } = stat
  const other = procfs.isDeadState(stat.state) && threads > 1 ? procfs.livingThread(pid) : undefined
  const state = other?.state ?? stat.state
  const environment = procfs.environmentOf(pid, other?.pid)
  const mark = markIn(environment)
  const keeps = environment.startsWith(watchdogEnvirons) ? watched(procfs.readCommandLine(pid)) : undefined
  return {
    pid,
    ppid,
    startTime: procTable.startTime(start),
    isDead: procfs.isDeadState(state),
    isStopped: state === "T" || state === "t",
    // They carry no mark: what does is a child that has taken their name.
    isKeeper: mark === undefined && (name === supervisorName || name === serverName || keeps !== undefined),
    keeps,
    owner: mark !== undefined && isHere(pid, here) ? ownerOf(mark, isAlive(mark)) : undefined
  }
}

const lookByProc = Effect.suspend(() =>
  procTable.scan(seeByProc(remembering(isOwnerAlive), procfs.pidNamespace("self")))
)

const markByPs = new RegExp(` ${markName}=(\\S+)`)

const lookByPs = Effect.sync((): ReadonlyArray<Seen> => {
  const rows = psTable.rows("-A")
  const environments = psTable.environments()
  const starts = new Map(rows.map((row) => [row.pid, String(row.startTime)]))
  return rows.map((row) => {
    const mark = parseMark(markByPs.exec(environments.get(row.pid) ?? "")?.[1] ?? "")
    const keeps = watched(row.commandLine)
    return {
      pid: row.pid,
      ppid: row.ppid,
      startTime: row.startTime,
      isDead: isDead(row),
      isStopped: row.state === "T",
      isKeeper: keeps !== undefined,
      keeps,
      owner: mark === undefined ? undefined : ownerOf(mark, starts.get(mark.pid) === mark.start)
    }
  })
})

const describe = (pid: number): ProcessInfo | undefined =>
  hasProc ? procTable.rowOf(pid) : psTable.rows("-p", String(pid))[0]

/** Whether it is the process that it was, and has not ended. */
const isLiving = ({ pid, startTime }: ProcessInfo): boolean => {
  if (!hasProc) return psTable.rows("-p", String(pid)).some((row) => row.startTime === startTime && !isDead(row))
  const stat = procfs.readStat(pid)
  if (stat === undefined || procTable.startTime(stat.start) !== startTime) return false
  return !procfs.isDeadState(stat.state) || procfs.livingThread(pid) !== undefined
}

/** What is left between the look and the signal is a few microseconds, in which the pid would have to come round again. */
const send = (target: ProcessInfo, signal: Signal): "sent" | "gone" | "denied" => {
  if (!isLiving(target)) return "gone"
  const errno = sendTo(target.pid, signal)
  if (errno === undefined) return "sent"
  return errno === "EPERM" ? "denied" : "gone"
}

export const source: OrphanSource = {
  look: Effect.map(
    hasProc ? lookByProc : lookByPs,
    (processes) => ({ self: process.pid, uid: uid(), processes })
  ),
  describe: (pids) => Effect.sync(() => pids.map(describe).filter((row) => row !== undefined)),
  living: (processes) => Effect.sync(() => processes.filter(isLiving)),
  signal: (processes, signal) => Effect.sync(() => processes.filter((target) => send(target, signal) === "denied")),
  clock: Clock.make()
}
