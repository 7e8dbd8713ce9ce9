/**
 * What the system tells of one process, and of the resources that it used.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"

/**
 * One row of the process table, as `ps -j` and `ps -l` show it. Source: proc_pid_stat(5).
 *
 * - `state`: the letter of ps(1): `R` running, `S` sleeping, `D` uninterruptible, `T` stopped, `t` traced, `Z` zombie, ...
 * - `rss`: resident memory in bytes
 * - `cpuTime`: user and system time together
 * - `startTime`: milliseconds since 1970; together with the pid it names one process for good
 * - `commandLine`: the arguments joined by spaces, or the name in brackets when the process has none left
 *
 * @since 0.1.0
 * @category models
 */
export interface ProcessInfo {
  readonly pid: number
  readonly ppid: number
  readonly pgid: number
  readonly sid: number
  readonly state: string
  readonly rss: number
  readonly cpuTime: Duration.Duration
  readonly startTime: number
  readonly commandLine: string
}

/**
 * Source: getrusage(2). Sizes are bytes. What an engine is not told is zero; its `guarantees` say which.
 *
 * @since 0.1.0
 * @category models
 */
export interface ResourceUsage {
  readonly userTime: Duration.Duration
  readonly systemTime: Duration.Duration
  readonly maxRss: number
  readonly minorPageFaults: number
  readonly majorPageFaults: number
  readonly voluntaryContextSwitches: number
  readonly involuntaryContextSwitches: number
}

/**
 * The usage of nothing.
 *
 * @since 0.1.0
 * @category constants
 */
export const noUsage: ResourceUsage = {
  userTime: Duration.zero,
  systemTime: Duration.zero,
  maxRss: 0,
  minorPageFaults: 0,
  majorPageFaults: 0,
  voluntaryContextSwitches: 0,
  involuntaryContextSwitches: 0
}

/**
 * The usage of two processes together: times and counts add up, the peak memory is the larger one, as getrusage(2)
 * reports it for children.
 *
 * @since 0.1.0
 * @category combining
 */
export const combineUsage = (self: ResourceUsage, that: ResourceUsage): ResourceUsage => ({
  userTime: Duration.sum(self.userTime, that.userTime),
  systemTime: Duration.sum(self.systemTime, that.systemTime),
  maxRss: Math.max(self.maxRss, that.maxRss),
  minorPageFaults: self.minorPageFaults + that.minorPageFaults,
  majorPageFaults: self.majorPageFaults + that.majorPageFaults,
  voluntaryContextSwitches: self.voluntaryContextSwitches + that.voluntaryContextSwitches,
  involuntaryContextSwitches: self.involuntaryContextSwitches + that.involuntaryContextSwitches
})
