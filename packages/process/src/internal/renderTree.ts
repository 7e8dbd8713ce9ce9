/** Draws rows of the process table: as pstree(1) does, and as ps(1) does with a forest in the last column. */
import * as Duration from "effect/Duration"
import { isDead, type ProcessInfo } from "../ProcessInfo.ts"
import { byName, byPid, forest, type Node } from "./processTree.ts"
import { printable } from "./text.ts"

/** @internal */
export interface Style {
  readonly colours: boolean
  readonly ascii: boolean
  /** In columns; longer lines are cut. */
  readonly width: number
}

/** The ways to say something with colours and without. Source: console_codes(4). */
const paint = (code: string) => (text: string, { colours }: Style): string =>
  colours && text !== "" ? `\u001b[${code}m${text}\u001b[0m` : text

const dim = paint("2")
const bold = paint("1")
const red = paint("31")
const yellow = paint("33")
const magenta = paint("35")

/** What is unusual stands out. */
const byState = (info: ProcessInfo, text: string, style: Style): string => {
  if (isDead(info)) return red(text, style)
  if (info.state === "T" || info.state === "t") return yellow(text, style)
  return info.state === "D" ? magenta(text, style) : text
}

const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u

/** How many columns of a terminal a text takes; it holds no control characters. */
const columns = (text: string): number => {
  let count = 0
  for (const char of text) count += wide.test(char) ? 2 : 1
  return count
}

/** A line that is put together from pieces, each with or without colours. One that is cut ends in a `+`, as with pstree(1). */
class Line {
  private readonly style: Style
  private readonly pieces: Array<readonly [text: string, coloured: (text: string, style: Style) => string]> = []

  constructor(style: Style) {
    this.style = style
  }

  add(piece: string, coloured: (text: string, style: Style) => string = (text) => text): this {
    this.pieces.push([piece, coloured])
    return this
  }

  toString(): string {
    const { pieces, style } = this
    const whole = style.width === Infinity ? 0 : pieces.reduce((sum, [text]) => sum + columns(text), 0)
    if (whole <= style.width) return pieces.map(([text, coloured]) => coloured(text, style)).join("")
    let left = style.width - 1
    let line = ""
    for (const [text, coloured] of pieces) {
      let kept = ""
      for (const char of text) {
        left -= columns(char)
        if (left < 0) break
        kept += char
      }
      line += coloured(kept, style)
      if (left < 0) break
    }
    return `${line}+`
  }
}

interface Branches {
  readonly only: string
  readonly first: string
  readonly middle: string
  readonly last: string
  readonly past: string
  readonly under: string
}

const drawn: Branches = { only: "───", first: "─┬─", middle: "├─", last: "└─", past: "│ ", under: "  " }
const typed: Branches = { only: "---", first: "-+-", middle: "|-", last: "`-", past: "| ", under: "  " }

/** A node whose place is known: what stands before it, if it begins a line, and before the lines that follow it. */
interface Placed {
  readonly node: Node
  readonly before: string
  readonly lead: string | undefined
}

/**
 * As `pstree -p` draws them, without the threads (`-T`).
 *
 * @internal
 */
export const renderTree = (rows: ReadonlyArray<ProcessInfo>, style: Style): string => {
  const branches = style.ascii ? typed : drawn
  const lines: Array<string> = []
  for (const root of forest(rows, byName)) {
    let line = new Line(style)
    const left: Array<Placed> = [{ node: root, before: "", lead: undefined }]
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      const { before, lead, node: { children, info } } = next
      if (lead !== undefined) line = new Line(style).add(lead)
      const name = printable(info.name)
      const pid = `(${info.pid})`
      line.add(name, (text) => byState(info, bold(text, style), style)).add(pid, dim)
      if (children.length === 0) {
        lines.push(line.toString())
        continue
      }
      const only = children.length === 1
      line.add(only ? branches.only : branches.first)
      // The branch of those that follow is below the one that the first hangs on.
      const column = before + " ".repeat(columns(name) + pid.length + (only ? 3 : 1))
      for (let i = children.length - 1; i >= 0; i--) {
        const isLast = i === children.length - 1
        left.push({
          node: children[i]!,
          before: only ? column : column + (isLast ? branches.under : branches.past),
          lead: i === 0 ? undefined : column + (isLast ? branches.last : branches.middle)
        })
      }
    }
  }
  return lines.join("\n")
}

const two = (value: number): string => String(value).padStart(2, "0")

/** Days only where there are some, as ps(1) has it: `1-02:03:04`. */
const clock = (duration: Duration.Duration): string => {
  const seconds = Math.floor(Duration.toSeconds(duration))
  const days = Math.floor(seconds / 86_400)
  const rest = `${two(Math.floor(seconds / 3600) % 24)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
  return days === 0 ? rest : `${days}-${rest}`
}

/** In the zone of this system, without the zone's name. */
const moment = (millis: number): string => {
  if (millis === 0) return "?"
  const date = new Date(millis)
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

interface Column {
  readonly title: string
  readonly of: (info: ProcessInfo) => string
  readonly toLeft?: boolean
}

const table: ReadonlyArray<Column> = [
  { title: "USER", of: ({ user }) => printable(user), toLeft: true },
  { title: "PID", of: ({ pid }) => String(pid) },
  { title: "PPID", of: ({ ppid }) => String(ppid) },
  { title: "PGID", of: ({ pgid }) => String(pgid) },
  { title: "SID", of: ({ sid }) => String(sid) },
  { title: "S", of: ({ state }) => state },
  { title: "NLWP", of: ({ threads }) => threads === 0 ? "?" : String(threads) },
  { title: "RSS", of: ({ rss }) => String(Math.round(rss / 1024)) },
  { title: "TIME", of: ({ cpuTime }) => clock(cpuTime) },
  { title: "STARTED", of: ({ startTime }) => moment(startTime) }
]

/**
 * As `ps` shows them, parents before their children, which are indented as by `ps f`. RSS is in KiB, as there.
 *
 * @internal
 */
export const renderTable = (rows: ReadonlyArray<ProcessInfo>, style: Style): string => {
  const listed: Array<{ readonly info: ProcessInfo; readonly indent: string }> = []
  const left = forest(rows, byPid).toReversed().map((node) => ({ node, before: "", indent: "" }))
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { before, indent, node } = next
    listed.push({ info: node.info, indent })
    for (let i = node.children.length - 1; i >= 0; i--) {
      const isLast = i === node.children.length - 1
      left.push({
        node: node.children[i]!,
        before: `${before} ${isLast ? " " : "|"}  `,
        indent: `${before} \\_ `
      })
    }
  }
  const cells = listed.map(({ info }) => table.map(({ of }) => of(info)))
  const widths = table.map(({ title }, i) =>
    cells.reduce((widest, row) => Math.max(widest, columns(row[i] ?? "")), title.length)
  )
  const pad = (cell: string, i: number): string => {
    const padding = " ".repeat((widths[i] ?? 0) - columns(cell))
    return `${table[i]?.toLeft === true ? cell + padding : padding + cell} `
  }
  const head = new Line(style).add(`${table.map(({ title }, i) => pad(title, i)).join("")}COMMAND`, bold)
  const lines = listed.map(({ indent, info }, i) =>
    new Line(style)
      .add((cells[i] ?? []).map(pad).join(""))
      .add(indent, dim)
      .add(printable(info.commandLine) + (isDead(info) ? " <defunct>" : ""), (text) => byState(info, text, style))
  )
  return [head, ...lines].map(String).join("\n")
}
