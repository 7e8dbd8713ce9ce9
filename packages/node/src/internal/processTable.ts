/** What the engines ask of the process table: who is in a group, who is below whom, what a process has used. */
import { defaultBinary, ownerParts, procfs } from "@effect-process/spawn-server"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ProcessInfo, ResourceUsage } from "effect-process"
import type { Engine } from "effect-process/Engine"
import type { ProcessSource } from "effect-process/ProcessTable"
import * as fs from "node:fs"
import { errnoOf } from "./errno.ts"
import * as procParts from "./procParts.ts"
import * as procTable from "./procTable.ts"
import * as psTable from "./psTable.ts"

/** What the engine decides on; the rest of a row is read only when somebody is shown it. */
export interface Row {
  readonly pid: number
  readonly ppid: number
  readonly pgid: number
  readonly sid: number
  readonly state: string
}

const hasProc = process.platform === "linux"

/** A process whose main thread has exited shows Z and lives on in its other threads. */
const isDead = (row: Row): boolean =>
  procfs.isDeadState(row.state) && (!hasProc || procfs.livingThread(row.pid) === undefined)

/** All rows, those of zombies too; undefined when they cannot be listed, as by a program that has no descriptors left. */
const snapshot = (): ReadonlyArray<Row> | undefined => {
  if (!hasProc) return psTable.rows("-A")
  try {
    return procfs.listPids().map(procfs.readStat).filter((row) => row !== undefined)
  } catch {
    return undefined
  }
}

/** Those members of a process group that live; undefined when that cannot be told now. */
export const membersOf = (pgid: number): ReadonlyArray<Row> | undefined =>
  snapshot()?.filter((row) => row.pgid === pgid && !isDead(row))

/** Whether a process that was seen as a member of a group still is one. */
export const isStillMember = (pid: number, pgid: number): boolean => {
  const row = hasProc ? procfs.readStat(pid) : psTable.rows("-p", String(pid))[0]
  return row !== undefined && row.pgid === pgid && !isDead(row)
}

/** The living rows of a group and of everything below it, the leader's own not among them; none when they cannot be listed. */
export const descendantsOf = (pgid: number): ReadonlyArray<Row> => {
  const rows = snapshot() ?? []
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

/** What a person wants to see of a row; undefined when the process is gone. */
export const describe = ({ pid }: Row): ProcessInfo | undefined =>
  hasProc ? procTable.rowOf(pid) : psTable.rows("-p", String(pid))[0]

/** Whether its stdin is a pipe, which that of a process that is exiting is not. Without /proc it is taken to be one. */
export const hasPipedStdin = (pid: number): boolean => {
  if (!hasProc) return true
  try {
    return fs.statSync(`/proc/${pid}/fd/0`).isFIFO()
  } catch (error) {
    return errnoOf(error) === "EACCES"
  }
}

const statusField = (status: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0)

/** What one living process has used, its children that it has waited for included. Undefined when it is gone. */
export const usageOf = (pid: number): ResourceUsage | undefined => {
  const stat = hasProc ? procfs.readStat(pid) : undefined
  if (stat === undefined) return undefined
  const status = procfs.readProc(`/proc/${pid}/status`) ?? ""
  const duration = (ticks: number) => Duration.millis(procTable.millisOf(ticks))
  return {
    userTime: duration(stat.userTicks + stat.childrenUserTicks),
    systemTime: duration(stat.systemTicks + stat.childrenSystemTicks),
    maxRss: 1024 * statusField(status, "VmHWM"),
    minorPageFaults: stat.minorFaults,
    majorPageFaults: stat.majorFaults,
    voluntaryContextSwitches: statusField(status, "voluntary_ctxt_switches"),
    involuntaryContextSwitches: statusField(status, "nonvoluntary_ctxt_switches")
  }
}

/** The owner as the mark in its children's environment names it: pid, start time in ticks, boot id, user. */
export const ownerMark = (): string =>
  hasProc
    ? ownerParts()
    : `${process.pid}:${psTable.rows("-p", String(process.pid))[0]?.startTime ?? 0}::${process.geteuid?.() ?? 0}`

/** An empty NO_COLOR says nothing. Source: no-color.org. */
const wantsColours = (): boolean =>
  (process.env["NO_COLOR"] ?? "") === "" && process.stdout.isTTY && process.stdout.hasColors()

/** With an engine on the spawn server, large tables are read by its program, the one that `binary` is. */
export const sourceOf = (engine: Engine, binary: string | undefined): ProcessSource => ({
  snapshot: engine.guarantees.engine === "spawn-server"
    ? procParts.snapshot(engine, binary ?? defaultBinary())
    : hasProc
    ? procTable.snapshot
    : psTable.snapshot,
  wantsColours: Effect.sync(wantsColours)
})
