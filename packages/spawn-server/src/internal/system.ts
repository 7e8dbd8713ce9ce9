/** What the client asks of the system: names of errors, `/proc`. */
import * as os from "node:os"
import type { ProcessRow } from "../Job.ts"
import { environmentOf, isDeadState, listPids, readCommandLine, readStat, ticksPerSecond } from "./procfs.ts"

const errnoNames = new Map<number, string>()
for (const [name, value] of Object.entries(os.constants.errno)) if (!errnoNames.has(value)) errnoNames.set(value, name)
const errnoAliases = new Map([[11, "EAGAIN"], [95, "EOPNOTSUPP"], [35, "EDEADLK"]])

/** @internal */
export const errnoName = (errno: number): string => errnoAliases.get(errno) ?? errnoNames.get(errno) ?? `E${errno}`

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
    denied: isDenied(pid),
    start,
    rssBytes,
    cpuMicros: (userTicks + systemTicks) * 1_000_000 / ticksPerSecond(),
    command: words === "" ? `(${name})` : words.slice(0, 199)
  }
}

const isDenied = (pid: number): boolean => {
  try {
    return !process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"
  }
}

/**
 * What supervisors and servers call themselves, see PR_SET_NAME.
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

const isOrphan = (pid: number): boolean => {
  for (let at = pid, hops = 0; hops < 4096; hops++) {
    const stat = readStat(at)
    if (stat === undefined || at === process.pid) return false
    if (at !== pid && stat.name === supervisorName) return false
    if (stat.ppid <= 0) return true
    at = stat.ppid
  }
  return false
}

/**
 * Processes that carry our mark and are neither below us nor below a supervisor: left by a server and a supervisor that
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
