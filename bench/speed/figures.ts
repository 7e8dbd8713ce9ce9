/** What was measured of whom, and the tables that are made of it. */
import { dropIn, fallback, ours, raw } from "../support/contenders.ts"
import type { Contender } from "../support/contenders.ts"
import { spreadOf, type Table } from "../support/report.ts"
import { median, ratios, spread } from "../support/statistics.ts"

export interface Measure {
  /** As the head of a column, and in a sentence. */
  readonly name: string
  readonly better: "less" | "more"
  readonly show: (value: number) => string
  /** Whether it is a column of the summary. */
  readonly summary?: boolean
  /** Whether the rounds of all were in turn, so that ratios round by round mean something. */
  readonly inTurn?: boolean
}

export interface Figure {
  readonly measure: Measure
  readonly contender: Contender
  /** With its version. */
  readonly name: string
  /** The rounds, or why there are none. */
  readonly values: ReadonlyArray<number> | string
}

const of = (figures: ReadonlyArray<Figure>, measure: Measure, contender: Contender): Figure | undefined =>
  figures.find((figure) => figure.measure === measure && figure.contender === contender)

const valuesOf = (figure: Figure | undefined): ReadonlyArray<number> =>
  figure === undefined || typeof figure.values === "string" ? [] : figure.values

const unique = <A>(values: ReadonlyArray<A>): ReadonlyArray<A> => [...new Set(values)]

/** A dash and its reason, or the median with its spread. */
const valueOf = ({ measure, values }: Figure): string => {
  if (typeof values === "string") return `– (${values})`
  const { maximum, median, minimum } = spread(values)
  const shown = measure.show(median)
  return minimum === maximum ? shown : `${shown} (${measure.show(minimum)}–${measure.show(maximum)})`
}

/** What the ratios are to: node:child_process, and ours where it cannot do it. */
const baseOf = (figures: ReadonlyArray<Figure>, measure: Measure): Contender =>
  valuesOf(of(figures, measure, raw)).length > 0 ? raw : ours

const ratioOf = (figures: ReadonlyArray<Figure>, figure: Figure): string => {
  const contender = baseOf(figures, figure.measure)
  const [own, base] = [valuesOf(figure), valuesOf(of(figures, figure.measure, contender))]
  if (own.length === 0 || base.length === 0 || figure.contender === contender) return ""
  if (figure.measure.inTurn === true) return spreadOf(spread(ratios(own, base)))
  return spreadOf(spread([median(own) / median(base)]))
}

/** A line for each contender, with each measure and its ratio to one of them. */
export const detail = (figures: ReadonlyArray<Figure>): Table => {
  const measures = unique(figures.map(({ measure }) => measure))
  const header = ["", ...measures.flatMap((measure) => [measure.name, `to ${baseOf(figures, measure).label}`])]
  const rows = unique(figures.map(({ contender }) => contender)).map((contender) => {
    const own = measures.map((measure) => of(figures, measure, contender))
    return [
      own.find((figure) => figure !== undefined)?.name ?? contender.label,
      ...own.flatMap((figure) => figure === undefined ? ["–", ""] : [valueOf(figure), ratioOf(figures, figure)])
    ]
  })
  return [header, ...rows]
}

/** Medians only. */
export const summary = (figures: ReadonlyArray<Figure>): Table => {
  const measures = unique(figures.map(({ measure }) => measure)).filter(({ summary }) => summary === true)
  const rows = unique(figures.map(({ contender }) => contender)).map((contender) => {
    const own = measures.map((measure) => of(figures, measure, contender))
    const cells = own.map((figure) => {
      const values = valuesOf(figure)
      return figure === undefined || values.length === 0 ? "–" : figure.measure.show(median(values))
    })
    return [own.find((figure) => figure !== undefined)?.name ?? contender.label, ...cells]
  })
  return [
    ["", ...measures.map(({ name }) => name)],
    ...rows.filter((row) => row.some((cell, i) => i > 0 && cell !== "–"))
  ]
}

const own: ReadonlyArray<Contender> = [ours, fallback, dropIn]

/** Less than this is no difference. */
const noise = 1.05

/** For each measure the peers that are better than ours, on the spawn server, the best first. */
export const slower = (figures: ReadonlyArray<Figure>): ReadonlyArray<string> =>
  unique(figures.map(({ measure }) => measure)).flatMap((measure) => {
    const here = median(valuesOf(of(figures, measure, ours)))
    const times = (value: number) => measure.better === "less" ? here / value : value / here
    const better = figures
      .filter((figure) => figure.measure === measure && !own.includes(figure.contender))
      .map((figure) => ({ name: figure.name, value: median(valuesOf(figure)) }))
      .filter(({ value }) => times(value) > noise)
      .sort((a, b) => times(b.value) - times(a.value))
    if (better.length === 0) return []
    const all = better.map(({ name, value }) =>
      `${name} ${measure.show(value)} (${times(value).toFixed(2)} times as good)`
    )
    return [`${measure.name}: ${measure.show(here)} here; ${all.join(", ")}`]
  })
