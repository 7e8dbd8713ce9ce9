/** Texts that stand for others: secrets and paths in what is written to a cassette, and paths in what is read from it. */
import { concat } from "./bytes.ts"

/** What is found, and what takes its place. @internal */
export type Substitution = readonly [from: string, to: string]

/** UTF-8 as one character a byte, so that texts are found in what is no text as well. */
const binary = (text: string): string => Buffer.from(text, "utf8").toString("latin1")

interface Match {
  readonly start: number
  readonly end: number
  readonly to: string
}

/** From left to right; of several at one place the longest. */
const matchesIn = (text: string, table: ReadonlyArray<Substitution>): ReadonlyArray<Match> => {
  const known = table.filter(([from]) => from !== "").sort(([a], [b]) => b.length - a.length)
  if (known.length === 0) return []
  const places = new Map(known.map(([from, to]) => [from, to] as const))
  const expression = new RegExp(known.map(([from]) => from.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"), "g")
  return [...text.matchAll(expression)].map((match) => ({
    start: match.index,
    end: match.index + match[0].length,
    to: places.get(match[0]) ?? ""
  }))
}

/** @internal */
export const substitute = (text: string, table: ReadonlyArray<Substitution>): string => {
  let result = ""
  let at = 0
  for (const { end, start, to } of matchesIn(text, table)) {
    result += text.slice(at, start) + to
    at = end
  }
  return result + text.slice(at)
}

/**
 * In bytes that came in pieces: what is split between two is found too, and its place is in the piece in which it began.
 *
 * @internal
 */
export const substituteInChunks = (
  chunks: ReadonlyArray<Uint8Array>,
  table: ReadonlyArray<Substitution>
): ReadonlyArray<Uint8Array> => {
  const all = Buffer.from(concat(chunks)).toString("latin1")
  const matches = matchesIn(all, table.map(([from, to]) => [binary(from), binary(to)]))
  if (matches.length === 0) return chunks
  let begin = 0
  return chunks.map(({ byteLength }) => {
    const end = begin + byteLength
    let result = ""
    let at = begin
    for (const match of matches) {
      if (match.end <= begin || match.start >= end) continue
      result += all.slice(at, Math.max(at, match.start))
      if (match.start >= begin) result += match.to
      at = Math.min(end, match.end)
    }
    result += all.slice(at, end)
    begin = end
    return Buffer.from(result, "latin1")
  })
}

/** @internal */
export const substituteInBytes = (bytes: Uint8Array, table: ReadonlyArray<Substitution>): Uint8Array =>
  substituteInChunks([bytes], table)[0] ?? bytes
