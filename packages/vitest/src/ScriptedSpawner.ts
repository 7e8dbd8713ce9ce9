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
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import type * as Redacted from "effect/Redacted"
import type * as Sink from "effect/Sink"
import type { ProcessSpawner } from "effect-process"
import { checked } from "./internal/answer.ts"
import { isRest, matchesVariable, showPattern } from "./internal/rule.ts"
import { type Behaviour, make } from "./internal/scriptedEngine.ts"
import type { Answer, Invocation, Program, Received, Refused } from "./ScriptedAnswer.ts"
import { type Call, ScriptedSpawner, type ScriptNotFollowed } from "./ScriptedCall.ts"

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

/**
 * What a word of a command must be: the same text, what an expression is found in, the same secret, or what a function accepts.
 *
 * @since 0.1.0
 * @category models
 */
export type Pattern = string | RegExp | Redacted.Redacted<string> | ((word: string) => boolean)

/**
 * Any further arguments, none too.
 *
 * @since 0.1.0
 * @category models
 */
export interface Rest {
  readonly _tag: "Rest"
}

/**
 * At the end of a rule: any further arguments, none too.
 *
 * @since 0.1.0
 * @category patterns
 */
export const rest: Rest = { _tag: "Rest" }

/**
 * Any one argument.
 *
 * @since 0.1.0
 * @category patterns
 */
export const any: Pattern = function any() {
  return true
}

/**
 * What else must hold for a command. `explain` tells what was found instead.
 *
 * @since 0.1.0
 * @category models
 */
export interface Condition {
  readonly description: string
  readonly holds: (invocation: Invocation) => boolean
  readonly explain?: (invocation: Invocation) => string
}

/**
 * Which commands are meant.
 *
 * @since 0.1.0
 * @category models
 */
export interface Matcher extends Pipeable {
  readonly words: readonly [file: Pattern, ...args: ReadonlyArray<Pattern>]
  readonly takesRest: boolean
  readonly conditions: ReadonlyArray<Condition>
}

/**
 * Which commands are meant, what they do, and how many times.
 *
 * @since 0.1.0
 * @category models
 */
export interface Rule extends Matcher {
  readonly behaviour: Behaviour
  readonly times: number
}

const Proto = {
  pipe() {
    return pipeArguments(this, arguments)
  }
}

const withFields = <A extends object>(fields: A): A & Pipeable => Object.assign(Object.create(Proto), fields)

/**
 * The commands with this program and exactly these arguments; with `rest` at the end, any further ones.
 *
 * @example
 * import { ScriptedSpawner } from "@effect-process/vitest"
 *
 * ScriptedSpawner.on("git", "status")
 * ScriptedSpawner.on("git", "push", ScriptedSpawner.rest)
 * ScriptedSpawner.on("tar", "-xf", /\.tar\.gz$/, "-C", ScriptedSpawner.any)
 *
 * @since 0.1.0
 * @category rules
 */
export const on = (file: Pattern, ...args: ReadonlyArray<Pattern> | [...ReadonlyArray<Pattern>, Rest]): Matcher => {
  const words = args.filter((arg): arg is Pattern => !isRest(arg))
  return withFields({ words: [file, ...words] as const, takesRest: words.length < args.length, conditions: [] })
}

/**
 * Every command.
 *
 * @since 0.1.0
 * @category rules
 */
export const anyCommand: Matcher = on(any, rest)

const withCondition = (self: Matcher, condition: Condition): Matcher =>
  withFields({ ...self, conditions: [...self.conditions, condition] })

/**
 * Of these, the commands for which a predicate holds. The description says it in an explanation.
 *
 * @example
 * import { ScriptedSpawner } from "@effect-process/vitest"
 *
 * ScriptedSpawner.on("ssh", ScriptedSpawner.rest).pipe(
 *   ScriptedSpawner.where("with an agent", ({ env }) => env["SSH_AUTH_SOCK"] !== undefined)
 * )
 *
 * @since 0.1.0
 * @category rules
 */
export const where: {
  (description: string, holds: (invocation: Invocation) => boolean): (self: Matcher) => Matcher
  (self: Matcher, description: string, holds: (invocation: Invocation) => boolean): Matcher
} = dual(
  3,
  (self: Matcher, description: string, holds: (invocation: Invocation) => boolean): Matcher =>
    withCondition(self, { description, holds })
)

/**
 * Of these, the commands that run in this directory, as `Command.workingDirectory` names it.
 *
 * @example
 * import { ScriptedSpawner } from "@effect-process/vitest"
 *
 * ScriptedSpawner.on("npm", "ci").pipe(ScriptedSpawner.inDirectory("/srv/shop"))
 *
 * @since 0.1.0
 * @category rules
 */
export const inDirectory: {
  (directory: string): (self: Matcher) => Matcher
  (self: Matcher, directory: string): Matcher
} = dual(2, (self: Matcher, directory: string): Matcher =>
  withCondition(self, {
    description: `in directory ${directory}`,
    holds: ({ workingDirectory }) => workingDirectory === directory,
    explain: ({ workingDirectory }) =>
      workingDirectory === undefined ? "it has none of its own" : `it is ${workingDirectory}`
  }))

/**
 * Of these, the commands whose environment has these values; `undefined` stands for a variable that is not there.
 *
 * @example
 * import { ScriptedSpawner } from "@effect-process/vitest"
 *
 * ScriptedSpawner.on("psql", ScriptedSpawner.rest).pipe(
 *   ScriptedSpawner.withEnv({ PGUSER: "shop", PGPASSWORD: /./, PGHOST: undefined })
 * )
 *
 * @since 0.1.0
 * @category rules
 */
export const withEnv: {
  (env: Readonly<Record<string, Pattern | undefined>>): (self: Matcher) => Matcher
  (self: Matcher, env: Readonly<Record<string, Pattern | undefined>>): Matcher
} = dual(
  2,
  (self: Matcher, env: Readonly<Record<string, Pattern | undefined>>): Matcher =>
    Object.entries(env).reduce((matcher, [name, pattern]) => {
      const description = pattern === undefined ? `without ${name}` : `with ${name}=${showPattern(pattern)}`
      return withCondition(matcher, {
        description,
        holds: ({ env }) => matchesVariable(pattern, env[name]),
        explain: ({ env }) => env[name] === undefined ? `${name} is not set` : `${name} is ${JSON.stringify(env[name])}`
      })
    }, self)
)

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
 * How an answer is found from stdin. A program that reads has started, so it cannot be refused any more.
 *
 * @since 0.1.0
 * @category models
 */
export type Reader =
  | ((received: Received) => Exclude<Answer, Refused> | Effect.Effect<Exclude<Answer, Refused>>)
  | Sink.Sink<Exclude<Answer, Refused>, Uint8Array, unknown>

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
 * The rule holds this many times; the next command goes on to the rules below it. Rules of which nothing is said hold for ever.
 *
 * @example
 * import { ScriptedSpawner } from "@effect-process/vitest"
 *
 * // Busy twice, and then done
 * const script = [
 *   ScriptedSpawner.on("apt-get", "update").pipe(ScriptedSpawner.answers({ exit: 100 }), ScriptedSpawner.times(2)),
 *   ScriptedSpawner.on("apt-get", "update").pipe(ScriptedSpawner.answers({ exit: 0 }))
 * ]
 *
 * @since 0.1.0
 * @category rules
 */
export const times: {
  (n: number): (self: Rule) => Rule
  (self: Rule, n: number): Rule
} = dual(2, (self: Rule, n: number): Rule => {
  if (!Number.isInteger(n) || n < 1) throw new TypeError(`times: ${n}; write a whole number from 1`)
  return withFields({ ...self, times: n })
})

/**
 * The rule holds for one command.
 *
 * @example
 * import { ScriptedSpawner } from "@effect-process/vitest"
 *
 * ScriptedSpawner.on("docker", "push", ScriptedSpawner.rest).pipe(
 *   ScriptedSpawner.answers({ exit: 1 }),
 *   ScriptedSpawner.once
 * ).times // => 1
 *
 * @since 0.1.0
 * @category rules
 */
export const once = (self: Rule): Rule => times(self, 1)

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
