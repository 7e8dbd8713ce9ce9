/** What the client asks of the system: names of errors, `/proc`. */
import * as os from "node:os"
import type { ProcessRow } from "../Job.ts"
import { environmentOf, isDeadState, listPids, readCommandLine, readStat, ticksPerSecond } from "./procfs.ts"
import { presence } from "./presence.ts"

/** Some numbers have two names: the usual one is last here, and counts. */
const errnoNames = new Map<number, string>([
  ...Object.entries(os.constants.errno).map(([name, value]) => [value, name] as const).toReversed(),
  [os.constants.errno.EAGAIN, "EAGAIN"],
  [os.constants.errno.EOPNOTSUPP, "EOPNOTSUPP"],
  [os.constants.errno.EDEADLK, "EDEADLK"]
])

/**
 * The name of an error of a system call, by its number. Source: errno(3).
 *
 * @example
 * import { errnoName } from "@effect-process/spawn-server"
 *
 * errnoName(2) // => "ENOENT"
 *
 * @since 0.1.0
 * @category names
 */
export const errnoName = (errno: number): string => errnoNames.get(errno) ?? `E${errno}`

/**
 * What a supervisor would say of a process: for when there is none any more.
 *
 * @internal
 */
export const readRow = (pid: number): ProcessRow | undefined => {
  const stat = readStat(pid)
  if (stat === undefined) return undefined
  const { name, pgid, ppid, rssBytes, sid, start, state, systemTicks, userTicks } = stat
  const words = readCommandLine(pid).trim()
  return {
    pid,
    ppid,
    pgid,
    sid,
    state,
    denied: presence(pid) === "denied",
    start,
    rssBytes,
    cpuMicros: (userTicks + systemTicks) * 1_000_000 / ticksPerSecond(),
    command: words === "" ? `(${name})` : words.slice(0, 199)
  }
}

/**
 * What a supervisor calls itself while it has a job. See PR_SET_NAME of prctl(2).
 *
 * @since 0.1.0
 * @category names
 */
export const supervisorName = "ep-supervisor"

/**
 * What a spawn server calls itself. See PR_SET_NAME of prctl(2).
 *
 * @since 0.1.0
 * @category names
 */
export const serverName = "ep-server"

/** Undefined when an ancestor went away while we looked: then somebody else is the parent of what was below it. */
const isBelowSupervisor = (pid: number): boolean | undefined => {
  for (let at = pid, hops = 0; hops < 4096; hops++) {
    const stat = readStat(at)
    if (stat === undefined) return at === pid ? true : undefined
    // A supervisor that is exiting has closed its pipes, so it counts as gone, and has not yet given its children away.
    if (at !== pid && stat.name === supervisorName && !stat.isExiting) return true
    // What is above us has jobs of its own. Up to us lead those that were not yet given away, or to us, as to PID 1.
    if (at === process.pid || stat.ppid <= 0) return false
    at = stat.ppid
  }
  return true
}

const isOrphan = (pid: number): boolean => {
  for (let looks = 0; looks < 16; looks++) {
    const isBelow = isBelowSupervisor(pid)
    if (isBelow !== undefined) return !isBelow
  }
  return true
}

/**
 * Processes that carry this mark of a lost server and are not below a supervisor: left by a server and a supervisor that
 * were both killed. Reads all of `/proc`.
 *
 * @internal
 */
export const findOrphans = (mark: string): Array<{ pid: number; start: number; state: string }> => {
  const found: Array<{ pid: number; start: number; state: string }> = []
  for (const pid of listPids()) {
    if (!environmentOf(pid).includes(`\0${mark}\0`)) continue
    const stat = readStat(pid)
    if (stat !== undefined && !isDeadState(stat.state) && isOrphan(pid)) {
      found.push({ pid, start: stat.start, state: stat.state })
    }
  }
  return found
}
