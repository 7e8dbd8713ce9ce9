/** Tables of what was measured, for the terminal and for RESULTS.md. */
import * as fs from "node:fs"
import type { Figure } from "../speed/figures.ts"
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

interface Titled {
  readonly title: string
  /** What was done, and on what terms. */
  readonly notes: ReadonlyArray<string>
}

/** Ours beside one peer, row by row. */
export interface Judged extends Titled {
  readonly rows: ReadonlyArray<Row>
}

/** Any table: its header, then its rows. */
export type Table = readonly [ReadonlyArray<string>, ...ReadonlyArray<ReadonlyArray<string>>]

/** Many peers, or anything that has columns of its own. */
export interface Listing extends Titled {
  readonly table: Table
  /** What is slower here than elsewhere, a sentence each. */
  readonly slower?: ReadonlyArray<string>
  /** What it is made of. */
  readonly figures?: ReadonlyArray<Figure>
  /** The place in README.md for this table. */
  readonly readme?: string
}

export type Section = Judged | Listing

const digits = (value: number): string => {
  if (!Number.isFinite(value)) return "?"
  if (Math.abs(value) >= 100) return value.toFixed(0)
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(value < 1 ? 3 : 2)
}

export const quantity = (unit: string) => (value: number): string => `${digits(value)} ${unit}`

export const millis = quantity("ms")

export const sizeOf = (mebibytes: number): string =>
  mebibytes < 1024 ? `${mebibytes} MiB` : `${Number((mebibytes / 1024).toFixed(1))} GiB`

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

export const tableOf = ([header, ...rows]: Table): string => {
  const widths = header.map((_, column) => Math.max(3, ...[header, ...rows].map((line) => line[column]?.length ?? 0)))
  const render = (line: ReadonlyArray<string>) =>
    `| ${widths.map((width, column) => (line[column] ?? "").padEnd(width)).join(" | ")} |`
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`
  return [render(header), rule, ...rows.map(render)].join("\n")
}

export const sectionOf = (section: Section): string => {
  const table = "rows" in section ? tableOf([header, ...section.rows.map(cells)]) : tableOf(section.table)
  return [`### ${section.title}`, "", ...section.notes.flatMap((note) => [note, ""]), table, ""].join("\n")
}

/** Without verdicts, for figures that deserve none. */
export const unjudged = (section: Section): Section =>
  "rows" in section ? { ...section, rows: section.rows.map((row) => ({ ...row, holds: undefined })) } : section

/** How many of the targets hold. */
export const verdictOf = (sections: ReadonlyArray<Section>): string => {
  const judged = sections.flatMap((section) => "rows" in section ? section.rows : []).filter(({ holds }) =>
    holds !== undefined
  )
  if (judged.length === 0) return ""
  return `${judged.filter(({ holds }) => holds === true).length} of ${judged.length} targets hold.`
}

/** What a reader has to know first. */
export const slownessOf = (sections: ReadonlyArray<Section>): ReadonlyArray<string> => {
  const lines = sections.flatMap((section) => "table" in section ? section.slower ?? [] : [])
  return lines.length === 0
    ? []
    : ["**What is slower here than elsewhere:**", "", ...lines.map((line) => `- ${line}`), ""]
}

const preamble = `# Results

What \`npx --yes pnpm@10 bench\` measured last, program by program; \`bench PROGRAM...\` replaces the parts of these programs only.

How: every peer runs in a process of its own (\`worker.ts\`; its commands are in \`peers/\`), has the same work and the same stdio, and is
warmed up first. Rounds are in turn: each peer once, then each again, so that all meet the same weather on the machine; where that is not so,
the table says it. A ratio is the median of the rounds' ratios, with the least and the greatest of them; a figure is worth something
beside its peers of the same run only. Libraries are at their newest version; those that need Node.js 22 run on Node.js 24 from the npm
package \`node\`, and \`node:child_process\` beside them; Bun comes from npm too, both fetched by npx when they are first needed; Go is
measured where it is installed. A dash stands for what a peer cannot do, with the reason.
`

const replaced = (before: string, [open, close]: readonly [string, string], text: string): string | undefined => {
  const [from, to] = [before.indexOf(open), before.indexOf(close)]
  if (from < 0 || to < from) return undefined
  return `${before.slice(0, from)}${open}\n${text.trim()}\n${before.slice(to)}`
}

const markersOf = (program: string) => [`<!-- ${program} -->`, `<!-- end of ${program} -->`] as const

/** Begins the file anew, for a run of everything. */
export const begin = (file: string): void => fs.writeFileSync(file, preamble)

/** Puts a program's text between its markers, and leaves everything else in the file as it is. */
export const save = (file: string, program: string, text: string): void => {
  const markers = markersOf(program)
  const before = fs.existsSync(file) ? fs.readFileSync(file, "utf8") : preamble
  const after = replaced(before, markers, text) ??
    [before.trimEnd(), "", markers[0], text.trim(), markers[1], ""].join("\n")
  fs.writeFileSync(file, after)
}

/** Puts the tables that are meant for it into README.md, each between its markers. */
export const publish = (file: string, sections: ReadonlyArray<Section>): void => {
  for (const section of sections) {
    if (!("table" in section) || section.readme === undefined) continue
    const after = replaced(fs.readFileSync(file, "utf8"), markersOf(section.readme), tableOf(section.table))
    if (after === undefined) throw new Error(`${file} has no place for ${section.readme}`)
    fs.writeFileSync(file, after)
  }
}
