/** Looking for a pattern in what was received. */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { visible } from "./visible.ts"

/** @internal */
export type AnyPattern = string | RegExp | Schema.Schema<unknown, string>

/** What was found, and where it ends. @internal */
export interface Found {
  readonly value: unknown
  readonly end: number
}

/** @internal */
export interface Finder {
  /** As it is shown in an error. */
  readonly description: string
  /** `isWhole`: nothing will be added to the text. */
  readonly find: (text: string, isWhole: boolean) => Found | undefined
  /** Why the last line that could have been it was not. */
  readonly issue: () => string | undefined
}

const literal = (pattern: string): Finder => ({
  description: JSON.stringify(pattern),
  issue: () => undefined,
  find: (text) => {
    const at = text.indexOf(pattern)
    return at < 0 ? undefined : { value: pattern, end: at + pattern.length }
  }
})

const regexp = (pattern: RegExp): Finder => {
  // One that remembers where it was would skip what came since.
  const fresh = new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, ""))
  return {
    description: String(pattern),
    issue: () => undefined,
    find: (text) => {
      const match = fresh.exec(text)
      return match === null ? undefined : { value: match, end: match.index + match[0].length }
    }
  }
}

const line = (schema: Schema.Schema<unknown, string>): Finder => {
  const decode = Schema.decodeEither(schema)
  let issue: string | undefined
  // Lines that are not it are not looked at again when more has come.
  let checked = 0
  let seen = 0
  return {
    description: `a line that is ${String(schema.ast)}`,
    issue: () => issue,
    find: (text, isWhole) => {
      if (text.length < seen) checked = 0
      seen = text.length
      for (let at = checked; at < text.length;) {
        const newline = text.indexOf("\n", at)
        if (newline < 0 && !isWhole) return undefined
        const end = newline < 0 ? text.length : newline
        const decoded = decode(text.slice(at, end).replace(/\r$/, ""))
        const next = newline < 0 ? end : newline + 1
        if (Either.isRight(decoded)) return { value: decoded.right, end: next }
        issue = visible(ParseResult.TreeFormatter.formatErrorSync(decoded.left))
        at = next
        if (newline >= 0) checked = next
      }
      return undefined
    }
  }
}

/** @internal */
export const finderOf = (pattern: AnyPattern): Finder =>
  typeof pattern === "string" ? literal(pattern) : pattern instanceof RegExp ? regexp(pattern) : line(pattern)
