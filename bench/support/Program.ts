/** A benchmark: a module `bench/NAME/NAME.ts` whose sections go between its markers in RESULTS.md. */
import type { Effect, Scope } from "effect"
import type { ProcessSpawner, ProcessTable } from "effect-process"
import type { Listing, Section } from "./report.ts"
import type { Failure } from "./Worker.ts"

export interface Settings {
  /** Only whether the programs work; the figures say nothing. */
  readonly short: boolean
  readonly rounds: number
}

export type Part = (settings: Settings) => Effect.Effect<Section, Failure, ProcessSpawner | ProcessTable | Scope.Scope>

export interface Program {
  readonly name: string
  readonly title: string
  /** In this order. Each gets a scope of its own, with which its workers end. */
  readonly parts: ReadonlyArray<Part>
  /** Those that the short form runs, unless it runs all. */
  readonly short?: ReadonlyArray<Part>
  /** A table of all its parts, which comes before theirs. */
  readonly overview?: (sections: ReadonlyArray<Listing>) => Listing
}
