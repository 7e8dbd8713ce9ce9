/** Which commands a rule is for, and why one is not. */
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import * as Redacted from "effect/Redacted"
import { Command } from "effect-process"
import type { Invocation } from "../ScriptedAnswer.ts"
import type { Condition, Pattern, Rest } from "../ScriptedRule.ts"
import { hide, redacted } from "./bytes.ts"

/** @internal */
export interface CommandPattern {
  readonly words: readonly [file: Pattern, ...args: ReadonlyArray<Pattern>]
  readonly takesRest: boolean
  readonly conditions: ReadonlyArray<Condition>
}

/** @internal */
export const isRest = (value: Pattern | Rest): value is Rest =>
  typeof value === "object" && "_tag" in value && value._tag === "Rest"

/** @internal */
export const matchesWord = (pattern: Pattern, word: string): boolean => {
  if (typeof pattern === "string") return pattern === word
  if (typeof pattern === "function") return pattern(word)
  // One that is global or sticky goes on where it last was.
  if (pattern instanceof RegExp) return new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, "")).test(word)
  return Redacted.value(pattern) === word
}

/** Of a variable; `undefined` stands for one that is not there. @internal */
export const matchesVariable = (pattern: Pattern | undefined, value: string | undefined): boolean =>
  pattern === undefined || value === undefined ? pattern === value : matchesWord(pattern, value)

const quoted = (word: string): string =>
  word.split(redacted).map((part) => part === "" && word !== "" ? "" : String(Command.make(part))).join(redacted)

const shown = new WeakMap<object, string>()

/**
 * A word that was written down with its secrets hidden: anything may stand in their place.
 *
 * @internal
 */
export const hidden = (text: string): Pattern => {
  if (!text.includes(redacted)) return text
  const parts = text.split(redacted).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
  const expression = new RegExp(`^${parts.join(".*")}$`, "s")
  const matches = (word: string) => expression.test(word)
  shown.set(matches, quoted(text))
  return matches
}

/** @internal */
export const showPattern = (pattern: Pattern): string => {
  if (typeof pattern === "string") return quoted(pattern)
  if (typeof pattern === "function") return shown.get(pattern) ?? `<${pattern.name || "predicate"}>`
  return pattern instanceof RegExp ? String(pattern) : redacted
}

/** The command as a user would type it, secrets hidden. @internal */
export const showCommand = (
  { args, file }: Pick<Invocation, "args" | "file">,
  secrets: ReadonlyArray<string>
): string => [file, ...args].map((word) => quoted(hide(word, secrets))).join(" ")

/** @internal */
export const showRule = ({ conditions, takesRest, words }: CommandPattern): string =>
  [
    ...words.map(showPattern),
    ...(takesRest ? ["..."] : []),
    ...conditions.map(({ description }) => `(${description})`)
  ].join(" ")

const wordsOf = ({ args, file }: Invocation): ReadonlyArray<string> => [file, ...args]

/** @internal */
export const matches = (pattern: CommandPattern, invocation: Invocation): boolean => {
  const words = wordsOf(invocation)
  return (pattern.takesRest ? words.length >= pattern.words.length : words.length === pattern.words.length) &&
    pattern.words.every((word, i) => matchesWord(word, words[i] ?? "")) &&
    pattern.conditions.every(({ holds }) => holds(invocation))
}

type Step =
  | { readonly kind: "same" | "changed"; readonly pattern: Pattern; readonly word: string; readonly at: number }
  | { readonly kind: "missing"; readonly pattern: Pattern; readonly at: number }
  | { readonly kind: "extra"; readonly word: string; readonly at: number }

interface Way {
  readonly cost: number
  readonly last: Step | undefined
  readonly before: Way | undefined
}

/** The words of a command beside those of a rule, with as few differences as can be. */
const align = (
  pattern: CommandPattern,
  invocation: Invocation
): readonly [cost: number, steps: ReadonlyArray<Step>] => {
  const words = wordsOf(invocation)
  const rows: Array<Array<Way>> = []
  for (let p = 0; p <= pattern.words.length; p++) {
    const row: Array<Way> = []
    rows.push(row)
    for (let w = 0; w <= words.length; w++) {
      const ways: Array<Way> = p === 0 && w === 0 ? [{ cost: 0, last: undefined, before: undefined }] : []
      const add = (before: Way | undefined, cost: number, last: Step) => {
        if (before !== undefined) ways.push({ cost: before.cost + cost, last, before })
      }
      const expected = pattern.words[p - 1]
      const word = words[w - 1]
      if (expected !== undefined && word !== undefined) {
        const isSame = matchesWord(expected, word)
        // Another program is further away than any other argument.
        const cost = isSame ? 0 : w === 1 || p === 1 ? 5 : 1.5
        add(rows[p - 1]?.[w - 1], cost, { kind: isSame ? "same" : "changed", pattern: expected, word, at: w - 1 })
      }
      if (expected !== undefined) add(rows[p - 1]?.[w], p === 1 ? 5 : 1, { kind: "missing", pattern: expected, at: w })
      if (word !== undefined) {
        const isFree = pattern.takesRest && p === pattern.words.length
        add(
          row[w - 1],
          isFree ? 0 : 1,
          isFree
            ? { kind: "same", pattern: word, word, at: w - 1 }
            : { kind: "extra", word, at: w - 1 }
        )
      }
      row.push(ways.reduce((best, way) => way.cost < best.cost ? way : best))
    }
  }
  const steps: Array<Step> = []
  let way = rows.at(-1)?.at(-1)
  const cost = way?.cost ?? Infinity
  for (; way?.last !== undefined; way = way.before) steps.unshift(way.last)
  return [cost, steps]
}

const where = (at: number): string => at === 0 ? "the program" : `argument ${at}`

/** @internal */
export interface Difference {
  /** How far the rule is from the command; 0 where their words agree. */
  readonly distance: number
  /** What differs, a line each. */
  readonly reasons: ReadonlyArray<string>
  /** The command and the rule one above the other, with a mark below each word that differs. */
  readonly picture: ReadonlyArray<string>
}

/** @internal */
export const difference = (
  pattern: CommandPattern,
  invocation: Invocation,
  secrets: ReadonlyArray<string>,
  noun: string
): Difference => {
  const [cost, steps] = align(pattern, invocation)
  const show = (word: string) => quoted(hide(word, secrets))
  const showExpected = (pattern: Pattern) => hide(showPattern(pattern), secrets)
  const columns = steps.map((step) => {
    const word = step.kind === "missing" ? "" : show(step.word)
    const expected = step.kind === "extra" ? "" : step.kind === "same" ? "" : showExpected(step.pattern)
    const shown = step.kind === "same"
      ? (pattern.words.includes(step.pattern) ? showExpected(step.pattern) : word)
      : expected
    const width = Math.max(word.length, shown.length)
    return {
      command: word.padEnd(width),
      rule: shown.padEnd(width),
      marks: (step.kind === "same" ? " " : "^").repeat(width)
    }
  })
  const failing = pattern.conditions.filter(({ holds }) => !holds(invocation))
  const reasons = [
    ...steps.flatMap((step) => {
      switch (step.kind) {
        case "same":
          return []
        case "changed":
          return [`${where(step.at)} is ${show(step.word)}, the ${noun} has ${showExpected(step.pattern)}`]
        case "missing":
          return [`${showExpected(step.pattern)} is missing as ${where(step.at)}`]
        case "extra":
          return [`${where(step.at)} is ${show(step.word)}, which the ${noun} does not have`]
      }
    }),
    ...failing.map(({ description, explain }) =>
      `the condition (${description}) does not hold${
        explain === undefined ? "" : `: ${hide(explain(invocation), secrets)}`
      }`
    )
  ]
  const margin = Math.max("command".length, noun.length) + 2
  const line = (name: string, key: "command" | "rule" | "marks") =>
    `${name.padEnd(margin)}${columns.map((column) => column[key]).join(" ")}`.trimEnd()
  const rest = pattern.takesRest ? " ..." : ""
  return {
    distance: cost + failing.length * 0.5,
    reasons,
    picture: [line("command", "command"), `${line(noun, "rule")}${rest}`, line("", "marks")]
      .filter((text) => text.trim() !== "")
  }
}

const prototype = {
  pipe() {
    return pipeArguments(this, arguments)
  }
}

/**
 * A matcher or rule with these fields.
 *
 * @internal
 */
export const withFields = <A extends object>(fields: A): A & Pipeable => Object.assign(Object.create(prototype), fields)
