/** Medians and spreads of few numbers. */

const sorted = (values: ReadonlyArray<number>): Array<number> => [...values].sort((a, b) => a - b)

/** `NaN` of no values. */
export const median = (values: ReadonlyArray<number>): number => {
  const all = sorted(values)
  const upper = all[Math.floor(all.length / 2)] ?? Number.NaN
  const lower = all[Math.ceil(all.length / 2) - 1] ?? Number.NaN
  return (lower + upper) / 2
}

/** Of the milliseconds that so many bytes took. */
export const gibibytesPerSecond = (bytes: number) => ({ elapsed }: { readonly elapsed: number }): number =>
  bytes / 2 ** 30 / (elapsed / 1000)

export interface Spread {
  readonly median: number
  readonly minimum: number
  readonly maximum: number
}

export const spread = (values: ReadonlyArray<number>): Spread => ({
  median: median(values),
  minimum: Math.min(...values),
  maximum: Math.max(...values)
})

/** Round by round `a / b`: both of a round met the same weather on the machine. */
export const ratios = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): ReadonlyArray<number> =>
  a.map((value, round) => value / (b[round] ?? Number.NaN))
