/** Two sides measured in turn, round by round. */
import { Effect } from "effect"
import { ratios, type Spread, spread } from "./statistics.ts"

export interface Comparison {
  readonly ours: Spread
  readonly peer: Spread
  /** Ours / peer, of the rounds. */
  readonly ratio: Spread
}

export const compare = (ours: ReadonlyArray<number>, peer: ReadonlyArray<number>): Comparison => ({
  ours: spread(ours),
  peer: spread(peer),
  ratio: spread(ratios(ours, peer))
})

/** As `compare` the other way round: peer / ours, for what is better the smaller it is and stated as "times as fast". */
export const inverted = ({ ours, peer, ratio: { maximum, median, minimum } }: Comparison): Comparison => ({
  ours,
  peer,
  ratio: { median: 1 / median, minimum: 1 / maximum, maximum: 1 / minimum }
})

/** Rounds that do not count: until then the compiler is still at work on what runs. */
const warmUp = 2

/** All sides in turn in each round, after some rounds for warming up; a single one only says whether they work. */
export const interleave = <K extends string, E, R>(
  rounds: number,
  sides: { readonly [side in K]: Effect.Effect<number, E, R> }
): Effect.Effect<{ readonly [side in K]: ReadonlyArray<number> }, E, R> =>
  Effect.gen(function*() {
    const entries = Object.entries(sides) as Array<[K, Effect.Effect<number, E, R>]>
    const measured = Object.fromEntries(entries.map(([side]) => [side, []])) as unknown as Record<K, Array<number>>
    for (let round = rounds > 1 ? -warmUp : 0; round < rounds; round++) {
      for (const [side, measure] of entries) {
        const value = yield* measure
        if (round >= 0) measured[side].push(value)
      }
    }
    return measured
  })
