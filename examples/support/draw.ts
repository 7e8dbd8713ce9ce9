/** Text and colours: trees as `pstree -p` draws them, rows as `ps -j` shows them. */
import { type Row, rowOf } from "./table.ts"

const coloured = process.stdout.isTTY && (process.env["NO_COLOR"] ?? "") === "" && process.env["TERM"] !== "dumb"

const paint = (code: string) => (text: string): string => coloured ? `\u001b[${code}m${text}\u001b[0m` : text

export const bold = paint("1")
export const dim = paint("2")
export const red = paint("31")
export const green = paint("32")
const yellow = paint("33")
export const cyan = paint("36")

const width = Math.min(process.stdout.columns ?? 120, 120)

const clip = (text: string, length: number): string => text.length > length ? `${text.slice(0, length - 1)}…` : text

const stateNames: Record<string, string> = {
  R: "running",
  S: "sleeping",
  D: "in uninterruptible sleep",
  T: "stopped",
  t: "traced",
  Z: "zombie"
}

/** A state as ps(1) abbreviates it, and what that means. */
export const stateName = (state: string): string => `${state}, ${stateNames[state] ?? "see ps(1)"}`

interface Node {
  readonly row: Row
  readonly isMember: boolean
  readonly children: ReadonlyArray<Node>
}

const branch = ({ children, isMember, row }: Node): ReadonlyArray<string> => {
  const label = `${row.name}(${row.pid})`
  const painted = isMember ? yellow(label) : dim(label)
  const margin = " ".repeat(label.length)
  if (children.length === 0) return [painted]
  return children.flatMap((child, at) => {
    const isLast = at === children.length - 1
    const first = children.length === 1 ? "───" : at === 0 ? "─┬─" : isLast ? " └─" : " ├─"
    return branch(child).map((line, below) => {
      const before = below > 0 ? isLast ? "   " : " │ " : first
      return `${at === 0 && below === 0 ? painted : margin}${before}${line}`
    })
  })
}

/** The processes under the parents that they have now; this program alone when there are none. */
export const tree = (rows: ReadonlyArray<Row>): ReadonlyArray<string> => {
  const members = new Set(rows.map((row) => row.pid))
  const node = (row: Row): Node => ({
    row,
    isMember: members.has(row.pid),
    children: rows.filter((child) => child.ppid === row.pid).map(node)
  })
  const parents = new Set(rows.length === 0 ? [process.pid] : rows.map((row) => row.ppid))
  return [...parents].filter((pid) => !members.has(pid)).flatMap((pid) => {
    const parent = rowOf(pid)
    return parent === undefined ? [] : branch(node(parent))
  })
}

const clock = (seconds: number): string => new Date(seconds * 1000).toISOString().slice(11, 19)

const line = (ids: ReadonlyArray<number | string>, state: string, time: string, command: string): string =>
  clip(`${ids.map((id) => String(id).padStart(7)).join(" ")} ${state.padEnd(4)} ${time} ${command}`, width - 4)

/** The columns of `ps -j`, and the parent. */
export const table = (rows: ReadonlyArray<Row>): ReadonlyArray<string> =>
  rows.length === 0 ? [dim("(no process of the job)")] : [
    dim(line(["PPID", "PID", "PGID", "SID"], "STAT", "    TIME", "COMMAND")),
    ...rows.map(({ command, pgid, pid, ppid, seconds, sid, state }) =>
      line([ppid, pid, pgid, sid], state, clock(seconds), command.replace(/\s+/g, " "))
    )
  ]
