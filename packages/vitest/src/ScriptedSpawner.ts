/**
 * A `ProcessSpawner` that starts nothing: a script says how each command answers, and what was asked of it can be looked at.
 * Everything above the processes is real: timeouts, grace periods, pipelines, limits of captured output, accepted exit codes,
 * errors. It runs on the clock of the fiber that builds the layer, so a `TestClock` moves it.
 *
 * @example
 * import { it } from "@effect/vitest"
 * import { ScriptedSpawner } from "@effect-process/vitest"
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 * import { expect } from "vitest"
 *
 * const script = [
 *   ScriptedSpawner.on("git", "rev-parse", "HEAD").pipe(ScriptedSpawner.answers({ stdout: "0f3a\n" })),
 *   ScriptedSpawner.on("docker", "push", ScriptedSpawner.rest).pipe(
 *     ScriptedSpawner.answers({ stderr: "denied\n", exit: 1 })
 *   )
 * ]
 *
 * it.effect("asks git", () =>
 *   Effect.gen(function*() {
 *     expect(yield* Command.string(Command.make("git", "rev-parse", "HEAD"))).toBe("0f3a\n")
 *     expect((yield* ScriptedSpawner.calls).map(({ command }) => command)).toEqual(["git rev-parse HEAD"])
 *   }).pipe(Effect.provide(ScriptedSpawner.layer(script))))
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import type { ProcessSpawner } from "effect-process"
import { checked } from "./internal/answer.ts"
import { withFields } from "./internal/rule.ts"
import { make } from "./internal/scriptedEngine.ts"
import type { Answer, Program } from "./ScriptedAnswer.ts"
import { type Call, ScriptedSpawner, type ScriptNotFollowed } from "./ScriptedCall.ts"
import type { Matcher, Reader, Rule } from "./ScriptedRule.ts"

export {
  type Answer,
  type CatchableSignal,
  type Child,
  type Chunk,
  type Dies,
  type Exits,
  type Hangs,
  InvalidAnswer,
  type Invocation,
  type Printed,
  type Program,
  type Reaction,
  type Received,
  type Refused,
  type Runs
} from "./ScriptedAnswer.ts"
export { type Call, type Revealed, ScriptedSpawner, ScriptNotFollowed, UnmatchedCommand } from "./ScriptedCall.ts"
export {
  any,
  anyCommand,
  type Condition,
  inDirectory,
  type Matcher,
  on,
  once,
  type Pattern,
  type Reader,
  type Rest,
  rest,
  type Rule,
  times,
  where,
  withEnv
} from "./ScriptedRule.ts"

/**
 * What the commands do. Throws `InvalidAnswer` where no program can do that.
 *
 * @example
 * import { ScriptedSpawner } from "@effect-process/vitest"
 *
 * ScriptedSpawner.on("npm", "ci").pipe(
 *   ScriptedSpawner.answers({ stdout: ["resolving\n", { after: "2 seconds", data: "done\n" }] })
 * )
 * ScriptedSpawner.on("server").pipe(
 *   ScriptedSpawner.answers({ stdout: "ready\n", hangs: true, signals: { SIGTERM: "ignore" } })
 * )
 * ScriptedSpawner.on("podman", ScriptedSpawner.rest).pipe(ScriptedSpawner.answers({ spawnError: "NotFound" }))
 *
 * @since 0.1.0
 * @category answers
 */
export const answers: {
  (answer: Answer): (self: Matcher) => Rule
  (self: Matcher, answer: Answer): Rule
} = dual(
  2,
  (self: Matcher, given: Answer): Rule =>
    withFields({ ...self, behaviour: { _tag: "Fixed" as const, answer: checked(given) }, times: Infinity })
)

/**
 * What the commands do, by what they read: a function of the whole stdin and the command, or a Sink that runs on stdin and gives
 * the answer; where it is done before the end of stdin it closes it, as `head` does.
 *
 * @example
 * import { ScriptedSpawner } from "@effect-process/vitest"
 *
 * ScriptedSpawner.on("wc", "-l").pipe(
 *   ScriptedSpawner.answersWith(({ stdinText }) => ({ stdout: `${stdinText.split("\n").length - 1}\n` }))
 * )
 *
 * @since 0.1.0
 * @category answers
 */
export const answersWith: {
  (reader: Reader): (self: Matcher) => Rule
  (self: Matcher, reader: Reader): Rule
} = dual(
  2,
  (self: Matcher, reader: Reader): Rule =>
    withFields({ ...self, behaviour: { _tag: "Computed" as const, reader }, times: Infinity })
)

/**
 * What the commands do, as a program: for conversations, and whatever an answer cannot say.
 *
 * @example
 * import { ScriptedSpawner } from "@effect-process/vitest"
 * import { Effect, Stream } from "effect"
 *
 * // Answers each line of its stdin.
 * ScriptedSpawner.on("calculator").pipe(
 *   ScriptedSpawner.runs((child) =>
 *     child.input.pipe(
 *       Stream.decodeText(),
 *       Stream.splitLines,
 *       Stream.runForEach((line) => child.stdout(`${Number(line) * 2}\n`)),
 *       Effect.as(0)
 *     )
 *   )
 * )
 *
 * @since 0.1.0
 * @category answers
 */
export const runs: {
  (program: Program): (self: Matcher) => Rule
  (self: Matcher, program: Program): Rule
} = dual(
  2,
  (self: Matcher, program: Program): Rule =>
    withFields({ ...self, behaviour: { _tag: "Played" as const, program }, times: Infinity })
)

/**
 * - `environment`: the owner's, in place of that of Node
 * - `files`: what the files hold that commands read by `Stdio.file`; nothing is read from the disk or written to it
 * - `connect`: whether somebody listens at a port, for `Readiness.port`; nobody does when nothing is said
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly environment?: Readonly<Record<string, string>>
  readonly files?: Readonly<Record<string, string | Uint8Array>>
  readonly connect?: (port: number, host: string) => boolean
}

/**
 * A spawner that follows a script. The first rule that is for a command, and has not been used up, answers it.
 *
 * @example
 * import { expect, it } from "@effect/vitest"
 * import { ScriptedSpawner } from "@effect-process/vitest"
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * const script = [ScriptedSpawner.on("git", "tag").pipe(ScriptedSpawner.answers({ stdout: "v1\n" }))]
 *
 * it.effect("asks git", () =>
 *   Effect.gen(function*() {
 *     expect(yield* Command.string(Command.make("git", "tag"))).toBe("v1\n")
 *   }).pipe(Effect.provide(ScriptedSpawner.layer(script))))
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  script: ReadonlyArray<Rule>,
  options: Options = {}
): Layer.Layer<ProcessSpawner | ScriptedSpawner> => Layer.scopedContext(make(script, options))

/**
 * What was spawned so far.
 *
 * @since 0.1.0
 * @category accessors
 */
export const calls: Effect.Effect<ReadonlyArray<Call>, never, ScriptedSpawner> = Effect.flatMap(
  ScriptedSpawner,
  ({ calls }) => calls
)

/**
 * The rules that were used less often than they say.
 *
 * @since 0.1.0
 * @category accessors
 */
export const unused: Effect.Effect<ReadonlyArray<string>, never, ScriptedSpawner> = Effect.flatMap(
  ScriptedSpawner,
  ({ unused }) => unused
)

/**
 * Fails where a rule is unused or a command was unmatched.
 *
 * @since 0.1.0
 * @category accessors
 */
export const verify: Effect.Effect<void, ScriptNotFollowed, ScriptedSpawner> = Effect.flatMap(
  ScriptedSpawner,
  ({ verify }) => verify
)
