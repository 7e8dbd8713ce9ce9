/** Commands from what a user writes: a program with arguments, or a template. Bad input is kept, and told when it is spawned. */
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import type { Command } from "../Command.ts"
import * as command from "./command.ts"
import { shellTemplate } from "./quoting.ts"
import { show, single, withProblem } from "./spec.ts"
import { fromTemplate, reveal, type Word, word } from "./words.ts"

const isTemplate = (u: unknown): u is TemplateStringsArray => Array.isArray(u) && "raw" in u

const fromWords = (parsed: Either.Either<ReadonlyArray<Word>, string>): Command =>
  command.make(Either.match(parsed, { onLeft: (problem) => withProblem(single([]), problem), onRight: single }))

/** @internal */
export const make = (first: string | TemplateStringsArray, ...rest: ReadonlyArray<unknown>): Command => {
  if (isTemplate(first)) return fromWords(fromTemplate(first, rest))
  const all: ReadonlyArray<unknown> = [first, ...rest]
  const at = all.findIndex((value) => typeof value !== "string" && !Redacted.isRedacted(value))
  const which = at === 0 ? "the command" : `argument ${at}`
  return fromWords(
    at < 0
      ? Either.right((all as ReadonlyArray<string | Redacted.Redacted<string>>).map(word))
      : Either.left(`${which} is ${show(all[at])} and no string; convert it with String()`)
  )
}

/** @internal */
export const shell = (first: string | TemplateStringsArray, ...values: ReadonlyArray<unknown>): Command => {
  const script = isTemplate(first)
    ? shellTemplate(first, values)
    : typeof first === "string"
    ? Either.right(word(first))
    : Either.left(`the script is ${show(first)}; write a string`)
  return fromWords(Either.map(script, (text) => {
    // What begins like an option would be read as one.
    const end = /^[-+]/.test(reveal(text)) ? [word("--")] : []
    return [word("/bin/sh"), word("-c"), ...end, text]
  }))
}
