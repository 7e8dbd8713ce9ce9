/** A benchmark: a module `bench/NAME/NAME.ts` whose sections go between its markers in RESULTS.md. */
import type { Effect, Scope } from "effect"
import type { ProcessSpawner, ProcessTable } from "effect-process"
import type { Section } from "./report.ts"
import type { Failure } from "./Worker.ts"

export interface Settings {
  /** Only whether the programs work; the figures say nothing. */
  readonly short: boolean
  readonly rounds: number
}

export interface Program {
  readonly name: string
  readonly title: string
  /** In this order. Each gets a scope of its own, with which its workers end. */
  readonly parts: ReadonlyArray<
    (settings: Settings) => Effect.Effect<Section, Failure, ProcessSpawner | ProcessTable | Scope.Scope>
  >
}
