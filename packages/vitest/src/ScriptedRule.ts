/**
 * Which commands a rule of a script is for, and how often. `ScriptedSpawner` exports all of this.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type { Pipeable } from "effect/Pipeable"
import type * as Redacted from "effect/Redacted"
import type * as Sink from "effect/Sink"
import { isRest, matchesVariable, showPattern, withFields } from "./internal/rule.ts"
import type { Behaviour } from "./internal/scriptedEngine.ts"
import type { Answer, Invocation, Received, Refused } from "./ScriptedAnswer.ts"

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
 * How an answer is found from stdin. A program that reads has started, so it cannot be refused any more.
 *
 * @since 0.1.0
 * @category models
 */
export type Reader =
  | ((received: Received) => Exclude<Answer, Refused> | Effect.Effect<Exclude<Answer, Refused>>)
  | Sink.Sink<Exclude<Answer, Refused>, Uint8Array, unknown>

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
