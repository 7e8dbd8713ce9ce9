/**
 * A process that outlived the test, or the file of tests, that started it.
 *
 * @since 0.1.0
 */
import type { ProcessInfo } from "effect-process/ProcessInfo"

/**
 * One row, as it was when the test had ended.
 *
 * - `state`: the letter of ps(1): `Z` is a zombie
 * - `startTime`: milliseconds since 1970
 * - `commandLine`: as the kernel shows it; of commands that went through the harness's `ProcessSpawner` without what is `Redacted`
 * - `startedBy`: who started it, as well as that is known: the place in the code that called `node:child_process`, the test whose
 *   command it belongs to, or its parent. `undefined` below a process that leaked as well.
 * - `stack`: of that call of `node:child_process`
 * - `isEnded`: whether it could be ended. A zombie whose parent does not wait for it cannot, nor another user's process.
 *
 * @since 0.1.0
 * @category models
 */
export interface LeakedProcess
  extends Pick<ProcessInfo, "pid" | "ppid" | "pgid" | "sid" | "startTime" | "commandLine">
{
  readonly state: string
  readonly startedBy: string | undefined
  readonly stack: string | undefined
  readonly isEnded: boolean
}
