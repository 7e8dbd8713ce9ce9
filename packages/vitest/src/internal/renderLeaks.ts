/** The tree of what leaked, for a person who reads the report of a test run. */
import type { LeakedProcess } from "../LeakedProcess.ts"
import * as clock from "./clock.ts"
import { visibleLine } from "./visible.ts"

const longest = 160

const cut = (text: string): string => text.length <= longest ? text : `${text.slice(0, longest - 1)}…`

const ageOf = (millis: number): string => {
  const seconds = Math.max(0, millis) / 1000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 120) return `${Math.round(seconds)} s`
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`
}

const stateOf = ({ state }: LeakedProcess): string =>
  state.startsWith("Z") ? ", a zombie" : state.startsWith("T") ? ", stopped" : ""

const lineOf = (process: LeakedProcess, now: number): string => {
  const { commandLine, isEnded, pid, startTime, startedBy } = process
  const by = startedBy === undefined ? "" : `, started by ${visibleLine(startedBy)}`
  return `${pid} ${cut(visibleLine(commandLine))} (${ageOf(now - startTime)}${stateOf(process)}${by})` +
    (isEnded ? "" : " COULD NOT BE ENDED")
}

const linesBelow = (
  roots: ReadonlyArray<LeakedProcess>,
  all: ReadonlyArray<LeakedProcess>,
  now: number,
  indent: string
): ReadonlyArray<string> =>
  roots.flatMap((root, i) => {
    const isLast = i === roots.length - 1
    return [
      `${indent}${isLast ? "└─" : "├─"} ${lineOf(root, now)}`,
      ...linesBelow(all.filter(({ ppid }) => ppid === root.pid), all, now, `${indent}${isLast ? "   " : "│  "}`)
    ]
  })

/** @internal */
export const render = (during: string, all: ReadonlyArray<LeakedProcess>, now: number): string => {
  const pids = new Set(all.map(({ pid }) => pid))
  const roots = all.filter(({ ppid }) => !pids.has(ppid))
  const left = all.filter(({ isEnded }) => !isEnded).length
  const [what, were] = all.length === 1 ? ["1 process", "was"] : [`${all.length} processes`, "were"]
  const ended = left === 0 ? `${were} ended` : `${left} of them could not be ended`
  return [
    `${what} started by ${during} ${were} still there when it had ended, and ${ended}:`,
    ...roots.flatMap((root) => [
      `  ${lineOf(root, now)}`,
      ...linesBelow(all.filter(({ ppid }) => ppid === root.pid), all, now, "  ")
    ])
  ].join("\n")
}

/**
 * What vitest is shown. Its place is where the first of them was started, if that is known.
 *
 * @internal
 */
export const leakError = (during: string, all: ReadonlyArray<LeakedProcess>): Error => {
  const error = new Error(render(during, all, clock.now()))
  error.name = "LeakedProcesses"
  const frames = all.find(({ stack }) => stack !== undefined)?.stack?.split("\n").filter((line) => /^\s+at /.test(line))
  error.stack = [`${error.name}: ${error.message}`, ...frames ?? []].join("\n")
  return error
}
