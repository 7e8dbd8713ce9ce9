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
 * @example
 * import { Effect } from "effect"
 * import { Command, ExitStatus } from "effect-process"
 *
 * const program = Command.shell("exit 3").pipe(
 *   Command.acceptExitCodes("any"),
 *   Command.run,
 *   Effect.map(({ exit }) => exit instanceof ExitStatus.Exited ? exit.code : -1)
 * ) // => 3
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
 * @example
 * import { Effect } from "effect"
 * import { Command, ExitStatus } from "effect-process"
 *
 * const program = Command.shell("kill -KILL $$").pipe(
 *   Command.acceptExitCodes("any"),
 *   Command.run,
 *   Effect.map(({ exit }) => exit instanceof ExitStatus.Killed ? exit.signal : "none")
 * ) // => "SIGKILL"
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
 * A code or a signal, told apart by `_tag`. Printing one says it in words.
 *
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
 * @example
 * import { ExitStatus } from "effect-process"
 *
 * ExitStatus.isExited(ExitStatus.exited(0)) // => true
 *
 * @since 0.1.0
 * @category guards
 */
export const isExited = (self: ExitStatus): self is Exited => self._tag === "Exited"

/**
 * Whether a signal ended the process.
 *
 * @example
 * import { ExitStatus } from "effect-process"
 *
 * ExitStatus.isKilled(ExitStatus.exited(137)) // => false
 * ExitStatus.isKilled(ExitStatus.killed("SIGKILL")) // => true
 *
 * @since 0.1.0
 * @category guards
 */
export const isKilled = (self: ExitStatus): self is Killed => self._tag === "Killed"
