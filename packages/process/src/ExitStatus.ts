/**
 * How a process ended: it returned a code, or a signal killed it. The two are never folded into one number.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type { Signal } from "./Signal.ts"

/**
 * The process ended by itself, with a code from 0 to 255. Source: `_exit(2)`.
 *
 * @since 0.1.0
 * @category models
 */
export class Exited extends Data.TaggedClass("Exited")<{ readonly code: number }> {
  /** As a shell user would say it: `exit code 3`. */
  override toString(): string {
    return `exit code ${this.code}`
  }
}

/**
 * A signal ended the process. `coreDumped` is true when the kernel wrote a core file; an engine that is not told of it
 * (the fallback on `node:child_process`) says false.
 *
 * @since 0.1.0
 * @category models
 */
export class Killed extends Data.TaggedClass("Killed")<{ readonly signal: Signal; readonly coreDumped: boolean }> {
  override toString(): string {
    return `${this.signal}${this.coreDumped ? " (core dumped)" : ""}`
  }
}

/**
 * @since 0.1.0
 * @category models
 */
export type ExitStatus = Exited | Killed

/**
 * The status of a process that returned `code`.
 *
 * @example
 * import { ExitStatus } from "effect-process"
 *
 * String(ExitStatus.exited(3)) // => "exit code 3"
 *
 * @since 0.1.0
 * @category constructors
 */
export const exited = (code: number): ExitStatus => new Exited({ code })

/**
 * The status of a process that `signal` killed.
 *
 * @example
 * import { ExitStatus } from "effect-process"
 *
 * String(ExitStatus.killed("SIGKILL")) // => "SIGKILL"
 *
 * @since 0.1.0
 * @category constructors
 */
export const killed = (signal: Signal, options?: { readonly coreDumped?: boolean }): ExitStatus =>
  new Killed({ signal, coreDumped: options?.coreDumped ?? false })

/**
 * Whether the process ended by itself.
 *
 * @since 0.1.0
 * @category guards
 */
export const isExited = (self: ExitStatus): self is Exited => self._tag === "Exited"

/**
 * Whether a signal ended the process.
 *
 * @since 0.1.0
 * @category guards
 */
export const isKilled = (self: ExitStatus): self is Killed => self._tag === "Killed"
