/** How a matcher says what happened. */
import { ExitStatus } from "effect-process"
import type { Subject } from "./subject.ts"
import { visibleLines } from "./visible.ts"

/** Lines of an output that a message shows. */
const most = 15

const block = (name: string, text: string | undefined): ReadonlyArray<string> => {
  if (text === undefined) return []
  if (text === "") return [`${name}: nothing`]
  const lines = visibleLines(text).replace(/\n$/, "").split("\n")
  const shown = lines.slice(-most)
  const title = shown.length < lines.length ? `${name} (last ${most} of ${lines.length} lines):` : `${name}:`
  return [title, ...shown.map((line) => `  | ${line}`)]
}

/** The ends of what was printed, where it is known. @internal */
export const outputs = ({ stderr, stdout }: Subject): ReadonlyArray<string> => [
  ...block("stdout", stdout),
  ...block("stderr", stderr)
]

/** @internal */
export const nameOf = ({ command }: Subject): string => command === undefined ? "the command" : command

/** @internal */
export const statusOf = (status: ExitStatus.ExitStatus): string =>
  ExitStatus.isExited(status)
    ? `exited with code ${status.code}`
    : `was killed by ${status.signal}${status.coreDumped ? " (core dumped)" : ""}`

/** What happened, to follow "but it". @internal */
export const ending = ({ exit, instead }: Subject): string => {
  if (exit === undefined) return instead ?? "has no exit status"
  return instead?.startsWith("timed out") === true ? `${instead} and ${statusOf(exit)}` : statusOf(exit)
}

const commonRun = (line: string, text: string): readonly [length: number, at: number] => {
  let best = 0
  let where = 0
  for (let at = 0; at < line.length && line.length - at > best; at++) {
    let n = 0
    while (n < text.length && at + n < line.length && line[at + n] === text[n]) n++
    if (n > best) {
      best = n
      where = at
    }
  }
  return [best, where]
}

/**
 * The line that comes nearest to a text that was not printed, with a mark where they part.
 *
 * @internal
 */
export const nearestLine = ({ stderr, stdout }: Subject, text: string): ReadonlyArray<string> => {
  const expected = visibleLines(text).split("\n").find((line) => line !== "") ?? ""
  const lines = visibleLines(`${stdout ?? ""}\n${stderr ?? ""}`).split("\n").slice(-1000)
  let found: { readonly line: string; readonly length: number; readonly at: number } | undefined
  for (const line of lines) {
    const [length, at] = commonRun(line, expected)
    if (length > (found?.length ?? 2)) found = { line, length, at }
  }
  if (found === undefined || found.length === expected.length) return []
  const { at, length, line } = found
  // A long line is shown around the place.
  const from = Math.max(0, at - 40)
  return [
    "nearest is this line:",
    `  printed   ${line.slice(from, at + expected.length + 40)}`,
    `  expected  ${" ".repeat(at - from)}${expected}`,
    `            ${" ".repeat(at - from + length)}^`
  ]
}

/** @internal */
export const message = (first: string, ...more: ReadonlyArray<string>): string =>
  more.length === 0 ? first : `${first}\n\n${more.join("\n")}`
