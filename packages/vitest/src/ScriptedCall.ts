/**
 * What a scripted spawner was asked for, and what has become of its script. `ScriptedSpawner` exports all of this.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type { ExitStatus, Signal } from "effect-process"

/**
 * A call with its secrets in the clear, for an assertion on them. Printing it prints them.
 *
 * - `env`: the whole environment
 * - `inputs`: what was written to each descriptor that the program could read, by number
 *
 * @since 0.1.0
 * @category models
 */
export interface Revealed {
  readonly file: string
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
  readonly stdin: string
  readonly inputs: ReadonlyMap<number, Uint8Array>
}

/**
 * One command that was spawned, or one stage of a pipeline, as it is when `calls` is asked. What was given as redacted stands
 * as `<redacted>` in every field, so that the difference that a failed assertion prints shows no secret; `reveal()` has it in the clear.
 *
 * - `command`: as a user would type it
 * - `env`: what differs from the owner's environment; `undefined` is a variable that was taken out
 * - `job`, `stage`: which spawn this was, and which of its stages, counted from 0
 * - `rule`: the number of the rule that answered, counted from 1 as in explanations
 * - `pid`: undefined where the rule refused to start it
 * - `startedAt`, `endedAt`, `at`: milliseconds on the spawner's clock
 * - `stdin`: what was written to its stdin so far
 * - `stdout`, `stderr`: what it printed so far, wherever that led
 * - `signals`: what it was sent, in order
 * - `exit`: undefined as long as it runs
 *
 * @since 0.1.0
 * @category models
 */
export interface Call {
  readonly command: string
  readonly file: string
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string | undefined>>
  readonly workingDirectory: string | undefined
  readonly job: number
  readonly stage: number
  readonly rule: number
  readonly pid: number | undefined
  readonly startedAt: number
  readonly endedAt: number | undefined
  readonly stdin: string
  readonly stdout: string
  readonly stderr: string
  readonly signals: ReadonlyArray<{ readonly signal: Signal.Signal; readonly at: number }>
  readonly exit: ExitStatus.ExitStatus | undefined
  readonly reveal: () => Revealed
}

/**
 * A command that no rule is for, or that no cassette has. The program under test dies of it, for it may well handle every failure; and where that goes
 * unnoticed, as in a fiber beside it, the layer dies of it when it is closed. `message` shows the nearest rule and what differs.
 *
 * @example
 * import { it } from "@effect/vitest"
 * import { ScriptedSpawner } from "@effect-process/vitest"
 * import { Cause, Effect, Exit } from "effect"
 * import { Command } from "effect-process"
 * import { expect } from "vitest"
 *
 * it.effect("is no failure that a program could handle", () =>
 *   Effect.gen(function*() {
 *     const exit = yield* Effect.exit(
 *       Command.string(Command.make("git", "push")).pipe(Effect.provide(ScriptedSpawner.layer([])))
 *     )
 *     expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
 *   }))
 *
 * @since 0.1.0
 * @category errors
 */
export class UnmatchedCommand extends Data.TaggedError("UnmatchedCommand")<{
  readonly problem: string
  readonly command: string
  readonly nearest: string | undefined
  readonly explanation: string
}> {
  override get message(): string {
    return `${this.problem}\n\n  ${this.command}\n\n${this.explanation}\n`
  }
}

/**
 * The script was not followed: commands that no rule is for, and rules that were used less often than they say.
 *
 * @example
 * import { expect, it } from "@effect/vitest"
 * import { ScriptedSpawner } from "@effect-process/vitest"
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * const script = [ScriptedSpawner.on("git", "tag").pipe(ScriptedSpawner.answers({ stdout: "v1\n" }))]
 *
 * it.effect("says which rule was not used", () =>
 *   Effect.gen(function*() {
 *     const failure = yield* Effect.flip(ScriptedSpawner.verify)
 *     expect(failure.unused).toHaveLength(1)
 *   }).pipe(Effect.provide(ScriptedSpawner.layer(script))))
 *
 * @since 0.1.0
 * @category errors
 */
export class ScriptNotFollowed extends Data.TaggedError("ScriptNotFollowed")<{
  readonly unmatched: ReadonlyArray<string>
  readonly unused: ReadonlyArray<string>
}> {
  override get message(): string {
    const list = (title: string, lines: ReadonlyArray<string>) =>
      lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line}`)]
    return [
      ...list("no rule is for these commands:", this.unmatched),
      ...list("these rules were not used, or not as often as they say:", this.unused)
    ].join("\n")
  }
}

/**
 * What has become of the script.
 *
 * - `calls`: what was spawned so far, a stage each, in order
 * - `unused`: the rules that were used less often than they say; those that hold for ever, when they were not used at all
 * - `verify`: fails where a rule is unused or a command was unmatched
 * - `files`: what commands have written to files so far, and what the option `files` gave, by full names
 *
 * @example
 * import { expect, it } from "@effect/vitest"
 * import { ScriptedSpawner } from "@effect-process/vitest"
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * const script = [ScriptedSpawner.on("git", "tag").pipe(ScriptedSpawner.answers({ stdout: "v1\n" }))]
 *
 * it.effect("uses the whole script", () =>
 *   Effect.gen(function*() {
 *     expect(yield* Command.lines(Command.make("git", "tag"))).toEqual(["v1"])
 *     yield* (yield* ScriptedSpawner.ScriptedSpawner).verify
 *   }).pipe(Effect.provide(ScriptedSpawner.layer(script))))
 *
 * @since 0.1.0
 * @category services
 */
export class ScriptedSpawner extends Context.Tag("@effect-process/vitest/ScriptedSpawner")<ScriptedSpawner, {
  readonly calls: Effect.Effect<ReadonlyArray<Call>>
  readonly unused: Effect.Effect<ReadonlyArray<string>>
  readonly verify: Effect.Effect<void, ScriptNotFollowed>
  readonly files: Effect.Effect<ReadonlyMap<string, Uint8Array>>
}>() {}
