/**
 * What the system tells of one process, and of the resources that it used.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"

/**
 * The letters of ps(1) for what a process is doing, and what they mean. `Z` is said of a process that has ended in each of
 * its threads; one whose main thread alone has exited has the letter of a thread that lives. `?` is a process that
 * this user may not look at.
 *
 * @example
 * import { processStates } from "effect-process"
 *
 * processStates.Z // => "zombie: it has ended, and its parent has not waited for it"
 *
 * @since 0.1.0
 * @category constants
 */
export const processStates = {
  R: "running, or ready to",
  S: "sleeping: it waits for something",
  D: "in uninterruptible sleep, most often for a disk or a network file system",
  T: "stopped by a signal",
  t: "stopped by a tracer",
  Z: "zombie: it has ended, and its parent has not waited for it",
  X: "dead: about to vanish",
  I: "an idle thread of the kernel",
  P: "parked: a thread of the kernel without work",
  K: "woken only to be killed",
  W: "waking, or paging",
  "?": "not known"
} as const

/**
 * A letter of `processStates`.
 *
 * @since 0.1.0
 * @category models
 */
export type ProcessState = keyof typeof processStates

/**
 * One row of the process table, as `ps -j` and `ps -l` show it. Source: proc_pid_stat(5).
 *
 * - `state`: what it does, as a letter of `processStates`
 * - `name`: the name of the program, which the kernel cuts to 15 bytes and the process itself may change (`comm` of ps)
 * - `uid`, `user`: whom it runs as (the effective user), by number and by name; the number again where no name is known
 * - `threads`: how many it has; 0 where the system does not say (macOS)
 * - `rss`: resident memory in bytes
 * - `cpuTime`: user and system time together, without that of its children
 * - `startTime`: milliseconds since 1970; together with the pid it names one process for good
 * - `commandLine`: the arguments joined by spaces, or the name in brackets when the process has none left
 *
 * What the library hands out is safe to print: `name` and `commandLine` have control characters, which a terminal would
 * obey, as `\u{1b}`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProcessInfo {
  readonly pid: number
  readonly ppid: number
  readonly pgid: number
  readonly sid: number
  readonly state: ProcessState
  readonly name: string
  readonly uid: number
  readonly user: string
  readonly threads: number
  readonly rss: number
  readonly cpuTime: Duration.Duration
  readonly startTime: number
  readonly commandLine: string
}

/**
 * What a process, or the stages of a job together, have used. Source: getrusage(2). Sizes are bytes. What an engine is not told is zero; its `guarantees` say which.
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
 * @example
 * import { combineUsage, noUsage } from "effect-process/ProcessInfo"
 *
 * combineUsage({ ...noUsage, maxRss: 2048 }, { ...noUsage, maxRss: 4096 }).maxRss // => 4096
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

/**
 * Whether a process has ended: all that is left of it is its row, until its parent has waited for it.
 *
 * @example
 * import { isDead } from "effect-process/ProcessInfo"
 *
 * isDead({ state: "Z" }) // => true
 * isDead({ state: "S" }) // => false
 *
 * @since 0.1.0
 * @category guards
 */
export const isDead = (info: Pick<ProcessInfo, "state">): boolean => info.state === "Z" || info.state === "X"
