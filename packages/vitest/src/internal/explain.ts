/** What to say of a command that no rule of a script is for. */
import type { Invocation } from "../ScriptedAnswer.ts"
import { hide } from "./bytes.ts"
import { type CommandPattern, difference, matches, showCommand, showRule } from "./rule.ts"

/** A rule with what is left of it. @internal */
export interface Candidate {
  readonly pattern: CommandPattern
  /** What it is called, such as `rule 2`. */
  readonly name: string
  readonly used: number
  readonly times: number
}

/** @internal */
export interface Explanation {
  readonly command: string
  /** The rule that comes nearest, as it is written. */
  readonly nearest: string | undefined
  /** Several lines for a person. */
  readonly text: string
}

const count = (n: number): string => n === 1 ? "once" : n === 2 ? "twice" : `${n} times`

const whatDiffers = (
  { name, pattern, times, used }: Candidate,
  invocation: Invocation,
  secrets: ReadonlyArray<string>,
  noun: string
): ReadonlyArray<string> => {
  if (matches(pattern, invocation)) {
    return [
      `${name} is for it and has answered ${count(used)} already, as it was told to (${count(times)}):`,
      "",
      `  ${showRule(pattern)}`
    ]
  }
  const { picture, reasons } = difference(pattern, invocation, secrets, noun)
  return [`nearest is ${name}:`, "", ...picture.map((line) => `  ${line}`), "", ...reasons.map((line) => `  - ${line}`)]
}

/** @internal */
export const explain = (
  invocation: Invocation,
  candidates: ReadonlyArray<Candidate>,
  secrets: ReadonlyArray<string>,
  { noun, remedy }: { readonly noun: string; readonly remedy: string }
): Explanation => {
  const command = showCommand(invocation, secrets)
  const ranked = candidates
    .map((candidate) => ({ candidate, ...difference(candidate.pattern, invocation, secrets, noun) }))
    .sort((a, b) => a.distance - b.distance)
  const nearest = ranked[0]?.candidate
  const place = invocation.workingDirectory === undefined ? [] : [`in directory ${invocation.workingDirectory}`]
  const stage = invocation.stages === 1 ? [] : [`stage ${invocation.stage + 1} of a pipeline of ${invocation.stages}`]
  const details = [...place, ...stage]
  return {
    command,
    nearest: nearest === undefined ? undefined : hide(showRule(nearest.pattern), secrets),
    text: [
      ...(details.length === 0 ? [] : [details.join(", "), ""]),
      ...(nearest === undefined ? [`there is no ${noun} at all`] : whatDiffers(nearest, invocation, secrets, noun)),
      "",
      remedy
    ].join("\n")
  }
}
