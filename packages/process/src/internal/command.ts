import * as Duration from "effect/Duration"
import { dual } from "effect/Function"
import { NodeInspectSymbol } from "effect/Inspectable"
import { pipeArguments } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type { Command } from "../Command.ts"
import { render } from "./quoting.ts"
import { settingsOf, type Spec, type Stage } from "./spec.ts"

/** @internal */
export const TypeId: unique symbol = Symbol.for("effect-process/Command")

interface CommandImpl extends Command {
  readonly spec: Spec
}

const variance = { _E: (_: never) => _, _R: (_: never) => _ }

const shown = ({ env, workingDirectory }: Stage) => {
  const names = Object.entries(env)
  return {
    ...(workingDirectory === undefined ? {} : { workingDirectory }),
    ...(names.length === 0 ? {} : {
      env: Object.fromEntries(
        names.map(([key, value]) => [key, Redacted.isRedacted(value) ? "<redacted>" : value ?? null])
      )
    })
  }
}

const Proto = {
  [TypeId]: variance,
  pipe() {
    return pipeArguments(this, arguments)
  },
  toJSON(this: CommandImpl) {
    const { settings, stages } = this.spec
    const { gracePeriod, timeout } = settingsOf(this.spec)
    const { label } = settings
    return {
      _id: "Command",
      command: name(this),
      ...(label === undefined ? {} : { label }),
      ...(stages.length === 1 ? shown(stages[0]) : {
        stages: stages.map((stage) => ({ command: stageName(stage), ...shown(stage) }))
      }),
      ...(timeout === undefined ? {} : { timeout: Duration.format(timeout) }),
      gracePeriod: Duration.format(gracePeriod)
    }
  },
  toString(this: CommandImpl) {
    return name(this)
  },
  [NodeInspectSymbol](this: CommandImpl) {
    return this.toJSON()
  }
}

/** @internal */
export const make = <E = never, R = never>(spec: Spec): Command<E, R> => {
  const self = Object.create(Proto)
  // Not enumerable: what walks an object (a logger, a test's differ) must not come upon plain values.
  Object.defineProperty(self, "spec", { value: spec })
  return self
}

/** @internal */
export const isCommand = (u: unknown): u is Command<unknown, unknown> => hasProperty(u, TypeId)

/** @internal */
export const specOf = (self: Command<unknown, unknown>): Spec => (self as CommandImpl).spec

/** @internal */
export const map = <E, R>(self: Command<unknown, unknown>, f: (spec: Spec) => Spec): Command<E, R> =>
  make(f(specOf(self)))

/**
 * One command of a pipeline as a user would type it.
 *
 * @internal
 */
export const stageName = ({ problem, words }: Stage): string => {
  if (words.length === 0) return problem === undefined ? "''" : "(invalid command)"
  return render(words)
}

/** As zsh and fish write them; POSIX has a word for the first only. @internal */
export const bars = { stdout: " | ", stderr: " 2>| ", all: " |& " } as const

/**
 * The command as a user would type it, with redacted values hidden.
 *
 * @internal
 */
export const name = (self: Command<unknown, unknown>): string => specName(specOf(self))

/** @internal */
export const specName = ({ stages }: Spec): string =>
  stages.map((stage) => stageName(stage) + (stage.feeds === undefined ? "" : bars[stage.feeds])).join("")

/**
 * A change of what a command says, as one of the command. Whoever exports it says what becomes of its types.
 *
 * @internal
 */
export const changing =
  <A>(set: (self: Spec, value: A) => Spec) => (self: Command<unknown, unknown>, value: A): Command =>
    map(self, (old) => set(old, value))

/** Makes a combinator of one argument dual. @internal */
export const setter = <A>(set: (self: Spec, value: A) => Spec): {
  (value: A): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, value: A): Command<E, R>
} => dual(2, changing(set))
