/** Programs that follow a script. */
import { ScriptedSpawner } from "@effect-process/vitest"
import * as Effect from "effect/Effect"
import { Command } from "effect-process"

export const script = (...rules: ReadonlyArray<ScriptedSpawner.Rule>) =>
  Effect.provide(ScriptedSpawner.layer(rules, { environment: { PATH: "/bin" } }))

export const output = (...words: readonly [string, ...ReadonlyArray<string>]) => Command.string(Command.make(...words))
