/** What a server can be told when it is started, and what it says of itself. */
import { findProgram } from "./internal/program.ts"

/**
 * What a server can be told when it is started.
 *
 * @since 0.1.0
 * @category options
 */
export interface StartOptions {
  /** Path of the program; default `defaultBinary()`. */
  readonly binary?: string
  /** Milliseconds after SIGKILL before what is left is reported; default 1000. */
  readonly killBoundMs?: number
  /** Milliseconds that a supervisor may be late before the server looks after it; default 250. */
  readonly slackMs?: number
  /** Mark processes with `EFFECT_PROCESS_OWNER`; default true. */
  readonly mark?: boolean
  /** Keep jobs in a cgroup of their own where one can be made; default true. */
  readonly cgroup?: boolean
  /** Use `/proc/PID/task/TID/children` where the kernel has it; default true. Without, all of `/proc` is read. */
  readonly childrenFiles?: boolean
  /**
   * How our ends of the pipes are opened: through `/proc`, or as FIFOs in a directory of their own. Default `/proc`, and
   * FIFOs where it does not lead to them.
   */
  readonly pipes?: "proc" | "fifo"
  /** Milliseconds for the program to start and greet; default 5000. */
  readonly startTimeoutMs?: number
  /** Milliseconds without an answer after which the server is taken for hung and killed; default 2000. */
  readonly hangMs?: number
}

/**
 * What the kernel and the system let a server do.
 *
 * @since 0.1.0
 * @category options
 */
export interface Features {
  /** The kernel has `/proc/PID/task/TID/children`. */
  readonly childrenFiles: boolean
  readonly cgroup: boolean
}

/**
 * Path of the program: the one that `scripts/build.mjs` has built beside this package, else the one of the optional package for
 * this platform, such as `@effect-process/spawn-server-linux-x64`.
 *
 * @example
 * import { defaultBinary } from "@effect-process/spawn-server"
 * import * as fs from "node:fs"
 *
 * fs.existsSync(defaultBinary()) // => true
 *
 * @since 0.1.0
 * @category options
 */
export const defaultBinary = (): string => findProgram()
