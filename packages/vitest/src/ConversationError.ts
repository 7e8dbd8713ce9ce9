/**
 * What a conversation fails with. `Conversation` exports it.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import type { ExitStatus } from "effect-process"
import { tailOf } from "./internal/visible.ts"

/**
 * What was expected did not come.
 *
 * - `reason`: the time was up, or the output ended first
 * - `pattern`: as it is written
 * - `received`: the last 8 KiB since the last match, with redacted values hidden
 * - `screen`: what a terminal showed, lines that are too long for it in one piece
 * - `issue`: of a Schema, why the last line was not what it describes
 * - `exit`: how the process ended, if it has
 *
 * @example
 * import { Conversation, expect, it } from "@effect-process/vitest"
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * it.process("says what came instead", () =>
 *   Effect.gen(function*() {
 *     const program = yield* Conversation.make(Command.make("echo", "password?"))
 *     const failure = yield* Effect.flip(program.expect("login:"))
 *     expect(failure.reason).toBe("Ended")
 *     expect(failure.received).toBe("password?\n")
 *   }))
 *
 * @since 0.1.0
 * @category errors
 */
export class ExpectationFailed extends Data.TaggedError("ExpectationFailed")<{
  readonly command: string
  readonly reason: "TimedOut" | "Ended"
  readonly pattern: string
  readonly within: Duration.Duration
  readonly received: string
  readonly screen: string | undefined
  readonly issue: string | undefined
  readonly exit: ExitStatus.ExitStatus | undefined
}> {
  override get message(): string {
    const why = this.reason === "TimedOut"
      ? `did not come within ${Duration.format(this.within)}`
      : "did not come before the output ended"
    return [
      `${this.command}: ${this.pattern} ${why}`,
      "received since the last match:",
      tailOf(this.received),
      ...(this.screen === undefined ? [] : ["on the screen:", tailOf(this.screen)]),
      ...(this.issue === undefined ? [] : ["the last line that was looked at:", tailOf(this.issue)]),
      this.exit === undefined ? "the process has not exited" : `the process has ended: ${String(this.exit)}`
    ].join("\n")
  }
}
