/**
 * What a test started and left: found by the lists of children, below the spawn server, and by a mark in the environment where a
 * process is no descendant any more; described, and ended.
 */
import { setTimeout as sleep } from "node:timers/promises"
import type { LeakedProcess } from "../LeakedProcess.ts"
import * as clock from "./clock.ts"
import { mark } from "./mark.ts"
import * as origins from "./origins.ts"
import { describe as wordsOf, look, type Row, type View } from "./view.ts"

/**
 * What was there before, and who is not to be counted.
 *
 * @internal
 */
export interface Baseline {
  readonly at: number
  /** Processes that are ours, by pid: what was started before, and what bears our mark. */
  readonly ours: ReadonlySet<number>
  /** The spawn server or watchdog of the harness; what hangs below it is looked at. */
  readonly harness: ReadonlySet<number>
}

/** Which of the pids seen last bear our mark; asked once for each. */
let seen = new Map<number, boolean>()

const marked = (view: View, anew: boolean): ReadonlyArray<number> => {
  const text = mark()
  const next = new Map<number, boolean>()
  const found: Array<number> = []
  for (const pid of view.pids()) {
    if (pid === process.pid) continue
    const bears = anew ? view.bears(pid, text) : seen.get(pid) ?? view.bears(pid, text)
    next.set(pid, bears)
    if (bears) found.push(pid)
  }
  seen = next
  return found
}

/** The children that count: a supervisor of the harness is none, what it supervises is one. */
const starts = (view: View, harness: ReadonlySet<number>): ReadonlyArray<number> => [
  ...view.own.filter((pid) => !harness.has(pid)),
  ...[...harness].flatMap((pid) => view.childrenOf(pid)).flatMap((supervisor) => view.childrenOf(supervisor))
]

/**
 * What is there now. `harness` are processes of ours that come and go with the suite.
 *
 * @internal
 */
export const begin = (harness: ReadonlySet<number>): Baseline => {
  const view = look()
  // Supervisors bear the mark, too, but their next job may be that of a test.
  const harnessAndBelow = new Set([...harness, ...supervisorsOf(view, harness)])
  const found = [...starts(view, harness), ...marked(view, false)]
  return { at: clock.now(), ours: new Set(found.filter((pid) => !harnessAndBelow.has(pid))), harness }
}

const supervisorsOf = (view: View, harness: ReadonlySet<number>): ReadonlyArray<number> =>
  [...harness].flatMap((pid) => view.childrenOf(pid))

/**
 * Whether a process hangs below one that was there before: then it is that one's business. A supervisor has one job after another;
 * as long as the leader of an earlier one is there, be it as a zombie, it has that.
 */
const isBelow = (view: View, pid: number, { harness, ours }: Baseline): boolean => {
  for (let at = view.row(pid)?.ppid ?? 0, hops = 0; at > 1 && hops < 4096; hops++) {
    if (ours.has(at)) return true
    if (at === process.pid || harness.has(at)) return false
    const parent = view.row(at)?.ppid ?? 0
    if (harness.has(parent)) return view.childrenOf(at).some((child) => ours.has(child))
    at = parent
  }
  return false
}

const find = (baseline: Baseline, anew: boolean): ReadonlyArray<Row> => {
  const view = look()
  const { harness, ours } = baseline
  const supervisors = new Set(supervisorsOf(view, harness))
  const found = new Map<number, Row>()
  const visit = (pid: number): void => {
    if (found.has(pid) || ours.has(pid) || harness.has(pid) || supervisors.has(pid)) return
    const row = view.row(pid)
    if (row === undefined || row.state === "X") return
    found.set(pid, row)
    for (const child of view.childrenOf(pid)) visit(child)
  }
  for (const pid of starts(view, harness)) if (!isBelow(view, pid, baseline)) visit(pid)
  for (const pid of marked(view, anew)) {
    // A dead one that is nobody's child here is init's to reap.
    if (view.row(pid)?.state.startsWith("Z") !== true && !isBelow(view, pid, baseline)) visit(pid)
  }
  return [...found.values()].sort((a, b) => a.pid - b.pid)
}

/** Milliseconds between two looks. */
const pause = 10

const until = async (ends: number, isDone: () => boolean): Promise<boolean> => {
  while (!isDone()) {
    if (clock.monotonic() >= ends) return false
    await sleep(pause)
  }
  return true
}

/** A zombie that somebody else took over is gone: reaping it is that one's business. */
const isGone = (view: View, row: Row, isOurs: (pid: number) => boolean): boolean => {
  const now = view.row(row.pid)
  return now === undefined || now.start !== row.start || (now.state.startsWith("Z") && !isOurs(now.ppid))
}

const send = (row: Row, signal: NodeJS.Signals): void => {
  if (row.pid <= 1 || row.pid === process.pid || look().row(row.pid)?.start !== row.start) return
  try {
    process.kill(row.pid, signal)
  } catch {
    // It has gone meanwhile, or it is another user's; which of the two is looked at in the end.
  }
}

/** First politely, then by SIGKILL to all at once while none of them can fork. Returns what is left. */
const end = async (
  leaked: ReadonlyArray<Row>,
  baseline: Baseline,
  bounds: Bounds
): Promise<ReadonlySet<number>> => {
  const all = new Map(leaked.map((row) => [row.pid, row]))
  const left = (): ReadonlyArray<Row> => {
    for (const row of find(baseline, false)) all.set(row.pid, row)
    const view = look()
    const supervisors = supervisorsOf(view, baseline.harness)
    const isOurs = (pid: number) =>
      pid === process.pid || all.has(pid) || baseline.ours.has(pid) || supervisors.includes(pid)
    return [...all.values()].filter((row) => !isGone(view, row, isOurs))
  }
  for (const signal of ["SIGTERM", "SIGCONT"] as const) for (const row of all.values()) send(row, signal)
  if (await until(clock.monotonic() + bounds.gracePeriod, () => left().length === 0)) return new Set()
  await until(clock.monotonic() + killBound, () => {
    // Until no stopped process can have forked another one.
    for (let before = -1, rows = left(); rows.length !== before; rows = left()) {
      before = rows.length
      for (const row of rows) send(row, "SIGSTOP")
    }
    for (const row of left()) send(row, "SIGKILL")
    return left().length === 0
  })
  return new Set(left().map(({ pid }) => pid))
}

/** Milliseconds after SIGKILL. */
const killBound = 2_000

/** @internal */
export interface Bounds {
  /** Milliseconds for what is ending already when the test has ended. */
  readonly settle: number
  /** Milliseconds from SIGTERM to SIGKILL. */
  readonly gracePeriod: number
  readonly ignore: (process: LeakedProcess) => boolean
}

/** Who started a process: a command or a call that is known by its pid, its session, its group or its supervisor. */
const originOf = (info: LeakedProcess, known: ReadonlyArray<Known>): Known | undefined => {
  // The latest: pids are used again.
  const by = (is: (origin: Known) => boolean) => known.findLast(is)
  return by(({ pid }) => pid === info.pid) ?? by(({ pid }) => pid === info.sid) ?? by(({ pid }) => pid === info.pgid) ??
    by(({ command, ppid }) => command !== undefined && ppid === info.ppid)
}

interface Known extends origins.Origin {
  /** While the process, or its zombie, is there. */
  readonly ppid: number | undefined
}

/** The command lines as their own handles show them, without secrets. */
const shownBy = async (known: ReadonlyArray<Known>): Promise<Map<number, string>> => {
  const shown = new Map<number, string>()
  for (const { command, pid, ppid } of known) {
    if (command === undefined || ppid === undefined) continue
    for (const [pid, line] of await command.below()) shown.set(pid, line)
    shown.set(pid, command.text)
  }
  return shown
}

const describe = async (rows: ReadonlyArray<Row>, since: number): Promise<ReadonlyArray<LeakedProcess>> => {
  const view = look()
  const all = origins.since(since)
  const commands = new Set(all.filter(({ command }) => command !== undefined).map(({ pid }) => pid))
  // The fallback calls `node:child_process` for a command; what a person wants to know is the command.
  const known = all.filter(({ command, pid }) => command !== undefined || !commands.has(pid))
    .map((origin): Known => ({ ...origin, ppid: view.row(origin.pid)?.ppid }))
  const pids = new Set(rows.map(({ pid }) => pid))
  const shown = await shownBy(known)
  return rows.map((row) => {
    const { pgid, pid, ppid, sid, state } = view.row(row.pid) ?? row
    const words = wordsOf(row)
    const bare = {
      pid,
      ppid,
      pgid,
      sid,
      state,
      startTime: words.startTime,
      commandLine: shown.get(row.pid) ?? words.commandLine,
      startedBy: undefined,
      stack: undefined,
      isEnded: true
    }
    return pids.has(row.ppid)
      ? bare
      : { ...bare, ...startOf(bare, known, known.length === 1 ? known[0] : undefined) }
  })
}

const startOf = (
  info: LeakedProcess,
  known: ReadonlyArray<Known>,
  only: Known | undefined
): Pick<LeakedProcess, "startedBy" | "stack"> => {
  const origin = originOf(info, known) ?? only
  if (origin?.command !== undefined) {
    const { test, text } = origin.command
    const which = origin.pid === info.pid ? "" : `: ${text}`
    return { startedBy: `a command of ${JSON.stringify(test)}${which}`, stack: undefined }
  }
  const site = origin?.call === undefined ? undefined : origins.siteOf(origin.call)
  if (site === undefined) return { startedBy: parentOf(info.ppid), stack: undefined }
  const who = origin?.pid === info.pid ? "" : "a process that has gone, itself started by "
  return {
    startedBy: `${who}node:child_process at ${site}`,
    stack: origin?.call === undefined ? undefined : origins.stackOf(origin.call)
  }
}

/** The best that is known of a process that nobody of us has started. */
const parentOf = (ppid: number): string => {
  const parent = ppid <= 1 ? undefined : look().row(ppid)
  return parent === undefined
    ? "a process that has gone"
    : ppid === process.pid
    ? "this process"
    : `process ${ppid}, ${wordsOf(parent).commandLine}`
}

/**
 * Looks for what was not there before and has not gone within the time to settle, describes it and ends it.
 * `anew`: reads every environment again, also of those that were seen before.
 *
 * @internal
 */
export const collect = async (
  baseline: Baseline,
  bounds: Bounds,
  anew = false
): Promise<ReadonlyArray<LeakedProcess>> => {
  let rows = find(baseline, anew)
  if (rows.length === 0) return []
  await until(clock.monotonic() + bounds.settle, () => {
    rows = find(baseline, false)
    return rows.length === 0
  })
  const all = await describe(rows, baseline.at)
  const found = all.filter((info) => !bounds.ignore(info))
  if (found.length === 0) return []
  const pids = new Set(found.map(({ pid }) => pid))
  // What is ignored counts as having been there before, and so does what it starts.
  const ours = new Set([...baseline.ours, ...all.map(({ pid }) => pid).filter((pid) => !pids.has(pid))])
  const left = await end(rows.filter(({ pid }) => pids.has(pid)), { ...baseline, ours }, bounds)
  return found.map((info) => ({ ...info, isEnded: !left.has(info.pid) }))
}
