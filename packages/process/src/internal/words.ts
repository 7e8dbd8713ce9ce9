/** The words of a command line, and how a template becomes words. */
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"

/** @internal */
export type Piece = string | Redacted.Redacted<string>

/**
 * One argument as the user gave it: literal pieces and redacted ones, which only `reveal` joins.
 *
 * @internal
 */
export type Word = ReadonlyArray<Piece>

/** @internal */
export const word = (value: Piece): Word => [value]

const plain = (piece: Piece): string => typeof piece === "string" ? piece : Redacted.value(piece)

/**
 * The argument as the child gets it, secrets included.
 *
 * @internal
 */
export const reveal = (word: Word): string => word.map(plain).join("")

/**
 * The argument as it may be shown, unquoted.
 *
 * @internal
 */
export const shown = (word: Word): string =>
  word.map((piece) => typeof piece === "string" ? piece : "<redacted>").join("")

/**
 * What the redacted pieces hide, each as it stands in its word and, where a script holds it quoted, also as a program
 * prints it. Nothing for an empty one: hiding that would hide the space between all letters.
 *
 * @internal
 */
export const secrets = (words: ReadonlyArray<Word>): ReadonlyArray<string> => {
  const found = new Set<string>()
  for (const piece of words.flat()) {
    if (typeof piece === "string") continue
    const secret = Redacted.value(piece)
    const unquoted = /^'.*'$/s.test(secret) ? secret.slice(1, -1).replaceAll("'\\''", "'") : secret
    if (unquoted !== "") found.add(secret).add(unquoted)
  }
  return [...found]
}

/**
 * The literal texts of a template, or the problem with one.
 *
 * @internal
 */
export const texts = (strings: TemplateStringsArray): Either.Either<ReadonlyArray<string>, string> => {
  const cooked: ReadonlyArray<string | undefined> = strings
  const bad = cooked.indexOf(undefined)
  return bad < 0
    ? Either.right(strings)
    : Either.left(
      `the text ${
        bad === 0 ? "at the start of the template" : `after value ${bad}`
      } has a malformed escape; double the backslash (\\\\) to mean a backslash`
    )
}

const kindOf = (value: unknown): string => {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return "an array within an array"
  if (Redacted.isRedacted(value)) return "a Redacted without a string in it"
  return typeof value === "object" ? "an object" : `a ${typeof value}`
}

// `Redacted.value` throws when the value was wiped.
const isRedactedString = (value: unknown): value is Redacted.Redacted<string> =>
  Redacted.isRedacted(value) &&
  Either.getOrElse(Either.try(() => typeof Redacted.value(value) === "string"), () => false)

const pieceOf = (value: unknown, name: string): Either.Either<Piece, string> => {
  if (typeof value === "string") return Either.right(value)
  if (typeof value === "number") return Either.right(String(value))
  if (isRedactedString(value)) return Either.right(value)
  return Either.left(
    `${name} is ${kindOf(value)}; give a string, a number, a Redacted string or an array of these ` +
      "(an empty array leaves it out)"
  )
}

/**
 * What one value of a template stands for: one piece, or for an array any number of them. `position` counts from 1.
 *
 * @internal
 */
export const pieces = (value: unknown, position: number): Either.Either<ReadonlyArray<Piece>, string> =>
  Either.all(
    Array.isArray(value)
      // Array.from makes a hole in a sparse array an undefined value.
      ? Array.from(value, (item, index) => pieceOf(item, `item ${index + 1} of value ${position}`))
      : [pieceOf(value, `value ${position}`)]
  )

/**
 * The words of a `Command.make` template. White space splits the literal text only, and quotes mean nothing in it.
 * A problem is one line that names the value by its position, which counts from 1, and the remedy.
 *
 * @internal
 */
export const fromTemplate = (
  strings: TemplateStringsArray,
  values: ReadonlyArray<unknown>
): Either.Either<ReadonlyArray<Word>, string> =>
  Either.gen(function*() {
    const literals = yield* texts(strings)
    const words: Array<Word> = []
    let open: Word | undefined
    const close = () => {
      if (open !== undefined) words.push(open)
      open = undefined
    }
    for (const [index, text] of literals.entries()) {
      for (const [n, part] of text.split(/[ \t\r\n]+/).entries()) {
        if (n > 0) close()
        if (part !== "") open = [...(open ?? []), part]
      }
      if (index === values.length) break
      const value = values[index]
      const items = yield* pieces(value, index + 1)
      if (!Array.isArray(value)) {
        open = [...(open ?? []), ...items]
        continue
      }
      const next = literals[index + 1] ?? ""
      const isLast = index + 1 === values.length
      if (open !== undefined || (next === "" ? !isLast : !/^[ \t\r\n]/.test(next))) {
        return yield* Either.left(
          `value ${index + 1} is an array that touches text or another value; put white space around it`
        )
      }
      words.push(...items.map(word))
    }
    close()
    return words
  })
