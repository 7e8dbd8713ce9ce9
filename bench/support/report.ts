/** Tables of what was measured, for the terminal and for RESULTS.md. */
import * as fs from "node:fs"
import type { Comparison } from "./rounds.ts"
import type { Spread } from "./statistics.ts"

export interface Row {
  readonly what: string
  readonly ours: string
  readonly peer: string
  /** Ours to the peer, with the least and the greatest of the rounds. */
  readonly ratio: string
  readonly target: string
  /** `undefined`: there is no target, or nothing to judge. */
  readonly holds: boolean | undefined
}

export interface Section {
  readonly title: string
  /** What was done, and on what terms. */
  readonly notes: ReadonlyArray<string>
  readonly rows: ReadonlyArray<Row>
}

const digits = (value: number): string => {
  if (!Number.isFinite(value)) return "?"
  if (Math.abs(value) >= 100) return value.toFixed(0)
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(value < 1 ? 3 : 2)
}

export const quantity = (unit: string) => (value: number): string => `${digits(value)} ${unit}`

export const millis = quantity("ms")

export const spreadOf = ({ maximum, median, minimum }: Spread): string => {
  if (!Number.isFinite(median)) return ""
  if (minimum === maximum) return digits(median)
  return `${digits(median)} (${digits(minimum)}–${digits(maximum)})`
}

export interface Target {
  readonly bound: "at most" | "at least"
  readonly value: number
  readonly unit?: string
}

/** What a row says about its target: the text, and whether `value` is within it. */
export const judge = (target: Target | undefined, value: number): Pick<Row, "target" | "holds"> => {
  if (target === undefined) return { target: "", holds: undefined }
  const { bound, unit, value: limit } = target
  return {
    target: `${bound === "at most" ? "≤" : "≥"} ${limit}${unit === undefined ? "" : ` ${unit}`}`,
    holds: bound === "at most" ? value <= limit : value >= limit
  }
}

/** A row whose ratio is judged. */
export const ratioRow = (
  what: string,
  comparison: Comparison,
  show: (value: number) => string,
  target?: Target
): Row => ({
  what,
  ours: show(comparison.ours.median),
  peer: show(comparison.peer.median),
  ratio: spreadOf(comparison.ratio),
  ...judge(target, comparison.ratio.median)
})

/** A row whose own value is judged; the ratio is for information. */
export const valueRow = (
  what: string,
  comparison: Comparison,
  show: (value: number) => string,
  target?: Target
): Row => ({ ...ratioRow(what, comparison, show), ...judge(target, comparison.ours.median) })

/** A row without a peer. */
export const plainRow = (what: string, value: number, show: (value: number) => string, target?: Target): Row => ({
  what,
  ours: show(value),
  peer: "",
  ratio: "",
  ...judge(target, value)
})

/** A row that could not be measured. */
export const missingRow = (what: string, why: string): Row => ({
  what,
  ours: why,
  peer: "",
  ratio: "",
  target: "",
  holds: undefined
})

const verdict = (holds: boolean | undefined): string => holds === undefined ? "" : holds ? "yes" : "**no**"

const header = ["", "ours", "peer", "ratio (min–max)", "target", "holds"]

const cells = (row: Row): ReadonlyArray<string> => [
  row.what,
  row.ours,
  row.peer,
  row.ratio,
  row.target,
  verdict(row.holds)
]

const tableOf = (rows: ReadonlyArray<Row>): string => {
  const lines = [header, ...rows.map(cells)]
  const widths = header.map((_, column) => Math.max(3, ...lines.map((line) => line[column]?.length ?? 0)))
  const render = (line: ReadonlyArray<string>) =>
    `| ${widths.map((width, column) => (line[column] ?? "").padEnd(width)).join(" | ")} |`
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`
  return [render(header), rule, ...rows.map((row) => render(cells(row)))].join("\n")
}

export const sectionOf = ({ notes, rows, title }: Section): string =>
  [`### ${title}`, "", ...notes.flatMap((note) => [note, ""]), tableOf(rows), ""].join("\n")

/** Without verdicts, for figures that deserve none. */
export const unjudged = (section: Section): Section => ({
  ...section,
  rows: section.rows.map((row) => ({ ...row, holds: undefined }))
})

/** How many of the targets hold. */
export const verdictOf = (sections: ReadonlyArray<Section>): string => {
  const judged = sections.flatMap(({ rows }) => rows).filter(({ holds }) => holds !== undefined)
  return `${judged.filter(({ holds }) => holds === true).length} of ${judged.length} targets hold`
}

const preamble = `# Results

What \`npx --yes pnpm@10 bench\` measured last, program by program. Every figure is worth something beside its peer only, which was
measured in the same run, in turn with it: a ratio is the median of the rounds' ratios, with the least and the greatest of
them. The commands of the peers are in \`peers/\`.
`

/** Puts a program's text between its markers, and leaves everything else in the file as it is. */
export const save = (file: string, program: string, text: string): void => {
  const [open, close] = [`<!-- ${program} -->`, `<!-- end of ${program} -->`]
  const before = fs.existsSync(file) ? fs.readFileSync(file, "utf8") : preamble
  const [from, to] = [before.indexOf(open), before.indexOf(close)]
  const body = `${open}\n${text.trim()}\n${close}`
  const after = from < 0 || to < from
    ? `${before.trimEnd()}\n\n${body}\n`
    : `${before.slice(0, from)}${body}${before.slice(to + close.length)}`
  fs.writeFileSync(file, after)
}
