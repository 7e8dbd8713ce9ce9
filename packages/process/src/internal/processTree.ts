/** Rows of the process table: made fit to be shown, and as a tree of who is below whom. */
import type { ProcessInfo } from "../ProcessInfo.ts"
import { printable } from "./text.ts"

/**
 * Texts that a process chose itself are never handed on raw: they may hold what a terminal obeys.
 *
 * @internal
 */
export const printableRow = (row: ProcessInfo): ProcessInfo => {
  const name = printable(row.name)
  const commandLine = printable(row.commandLine)
  return name === row.name && commandLine === row.commandLine ? row : { ...row, name, commandLine }
}

/** @internal */
export interface Node {
  readonly info: ProcessInfo
  readonly children: ReadonlyArray<Node>
}

/**
 * Whether a row can be the parent that another one names. The pid may have been given to somebody else since; but nobody is
 * younger than his children.
 */
const isParent = (parent: ProcessInfo | undefined, child: ProcessInfo): parent is ProcessInfo =>
  parent !== undefined && parent.pid !== child.pid &&
  (parent.startTime === 0 || child.startTime === 0 || parent.startTime <= child.startTime)

/**
 * The rows that have a given one above them, in order of their pids. Rows come from a moving system, so that circles are
 * possible, and no row counts twice.
 *
 * @internal
 */
export const below = (rows: ReadonlyArray<ProcessInfo>, pids: ReadonlyArray<number>): ReadonlyArray<ProcessInfo> => {
  const children = childrenOf(rows)
  const seen = new Set(pids)
  const found: Array<ProcessInfo> = []
  const left = [...pids]
  for (let pid = left.pop(); pid !== undefined; pid = left.pop()) {
    for (const child of children.get(pid) ?? []) {
      if (seen.has(child.pid)) continue
      seen.add(child.pid)
      found.push(child)
      left.push(child.pid)
    }
  }
  return found.sort(byPid)
}

const childrenOf = (rows: ReadonlyArray<ProcessInfo>): ReadonlyMap<number, ReadonlyArray<ProcessInfo>> => {
  const known = new Map(rows.map((row) => [row.pid, row]))
  const children = new Map<number, Array<ProcessInfo>>()
  for (const row of known.values()) {
    if (!isParent(known.get(row.ppid), row) && known.has(row.ppid)) continue
    const siblings = children.get(row.ppid)
    if (siblings === undefined) children.set(row.ppid, [row])
    else siblings.push(row)
  }
  return children
}

/**
 * The order in which pstree(1) has siblings.
 *
 * @internal
 */
export const byName = (a: ProcessInfo, b: ProcessInfo): number =>
  a.name === b.name ? a.uid - b.uid || a.pid - b.pid : a.name < b.name ? -1 : 1

/**
 * That of ps(1).
 *
 * @internal
 */
export const byPid = (a: ProcessInfo, b: ProcessInfo): number => a.pid - b.pid

/**
 * The trees that the rows are, siblings in a given order: a root is a row whose parent is none of them.
 *
 * @internal
 */
export const forest = (
  rows: ReadonlyArray<ProcessInfo>,
  order: (a: ProcessInfo, b: ProcessInfo) => number
): ReadonlyArray<Node> => {
  const known = new Map(rows.map((row) => [row.pid, row]))
  const children = childrenOf(rows)
  const placed = new Set<number>()
  const grow = (root: ProcessInfo): Node => {
    placed.add(root.pid)
    const top: { info: ProcessInfo; children: Array<Node> } = { info: root, children: [] }
    const left = [top]
    // Not by recursion: a chain of processes may be longer than our stack.
    for (let node = left.pop(); node !== undefined; node = left.pop()) {
      for (const info of [...children.get(node.info.pid) ?? []].sort(order)) {
        if (placed.has(info.pid)) continue
        placed.add(info.pid)
        const child = { info, children: [] }
        node.children.push(child)
        left.push(child)
      }
    }
    return top
  }
  const sorted = [...known.values()].sort(byPid)
  const trees = sorted.filter((row) => !isParent(known.get(row.ppid), row)).map(grow)
  // What is left runs in circles, each of which is opened at its lowest pid.
  for (const row of sorted) if (!placed.has(row.pid)) trees.push(grow(row))
  return trees
}
