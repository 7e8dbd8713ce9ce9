/** Bytes and texts that come from children: decoding, the ends of outputs, and making them safe to show. */

/** @internal */
export const tailSize = 8 * 1024

const encoder = new TextEncoder()

/** @internal */
export const encode = (text: string): Uint8Array => encoder.encode(text)

/**
 * Decodes without stripping a byte order mark.
 *
 * @internal
 */
export const decode = (bytes: Uint8Array, encoding = "utf-8"): string =>
  new TextDecoder(encoding, { ignoreBOM: true }).decode(bytes)

/** @internal */
export const isEncoding = (label: string): boolean => {
  try {
    new TextDecoder(label)
    return true
  } catch {
    return false
  }
}

/** @internal */
export const concat = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  if (chunks.length === 1 && chunks[0] !== undefined) return chunks[0]
  const all = new Uint8Array(chunks.reduce((n, chunk) => n + chunk.byteLength, 0))
  let offset = 0
  for (const chunk of chunks) {
    all.set(chunk, offset)
    offset += chunk.byteLength
  }
  return all
}

/**
 * Hides what was given as redacted. Where secrets overlap, all that they cover is hidden together. With `from`, the text
 * from there on, of which a secret may have begun before.
 *
 * @internal
 */
export const scrub = (text: string, secrets: ReadonlyArray<string>, from = 0): string => {
  const found: Array<readonly [start: number, end: number]> = []
  for (const secret of secrets) {
    if (secret === "") continue
    for (let at = text.indexOf(secret); at >= 0; at = text.indexOf(secret, at + 1)) found.push([at, at + secret.length])
  }
  found.sort(([a], [b]) => a - b)
  let shown = ""
  let at = from
  let hidden = -1
  for (const [start, end] of found) {
    if (end <= at) continue
    // One that begins within the last is hidden with it.
    if (start >= hidden) shown += `${text.slice(at, start)}<redacted>`
    at = hidden = end
  }
  return shown + text.slice(at)
}

/** @internal */
export interface Tails {
  readonly stdout: string
  readonly stderr: string
}

/**
 * The last 8 KiB of a stream, as text without secrets.
 *
 * @internal
 */
export class Tail {
  private readonly secrets: ReadonlyArray<string>
  private readonly keep: number
  private buffer = new Uint8Array(0)
  private size = 0

  constructor(secrets: ReadonlyArray<string>) {
    this.secrets = secrets
    // A secret that begins before the tail must still be recognized, or its end would be shown.
    this.keep = tailSize + secrets.reduce((longest, secret) => Math.max(longest, encode(secret).byteLength), 0)
  }

  /** Copied into one buffer, as this is done for each piece of an output that may be large. */
  push(chunk: Uint8Array): void {
    const last = chunk.byteLength > this.keep ? chunk.subarray(-this.keep) : chunk
    if (this.size + last.byteLength > this.buffer.byteLength) this.makeRoom(last.byteLength)
    this.buffer.set(last, this.size)
    this.size += last.byteLength
  }

  /** Twice as much as is kept, so that the kept bytes move once in a while and not for each piece. */
  private makeRoom(count: number): void {
    const kept = Math.min(this.size, this.keep - count)
    if (this.buffer.byteLength < 2 * this.keep) {
      const grown = new Uint8Array(Math.min(2 * this.keep, 2 * (this.size + count)))
      grown.set(this.buffer.subarray(this.size - kept, this.size))
      this.buffer = grown
    } else this.buffer.copyWithin(0, this.size - kept, this.size)
    this.size = kept
  }

  text(): string {
    if (this.size === 0) return ""
    const last = this.buffer.subarray(Math.max(0, this.size - this.keep), this.size)
    // What comes before the tail proper is there to recognize a secret that reaches into it, and is not shown.
    const start = boundary(last, Math.max(0, last.byteLength - tailSize))
    const before = decode(last.subarray(boundary(last, 0), start))
    const shown = scrub(before + decode(last.subarray(start)), this.secrets, before.length)
    return shown.length > tailSize ? shown.slice(-tailSize) : shown
  }
}

/** The beginning of the next character at or after an offset. */
const boundary = (bytes: Uint8Array, offset: number): number => {
  let at = offset
  while (at < offset + 3 && ((bytes[at] ?? 0) & 0xc0) === 0x80) at++
  return at
}

/**
 * The last line that says something, cut to one line's length and without anything that a terminal would obey.
 *
 * @internal
 */
export const lastLine = (tail: string): string => {
  const line = tail.split(/[\r\n]+/).findLast((text) => text.trim() !== "") ?? ""
  return printable(line.trim()).slice(0, 200)
}

/**
 * Control characters, among them those that begin terminal sequences or turn the writing direction, as `\u{..}`.
 *
 * @internal
 */
export const printable = (text: string): string =>
  text.replace(
    // oxlint-disable-next-line no-control-regex
    /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`
  )

/**
 * Splits a text that arrives in pieces at `\n` or `\r\n`, also when a read ends between the two.
 *
 * @internal
 */
export class LineSplitter {
  /** The line that has begun and not ended. */
  get rest(): string {
    return withoutCarriageReturn(this.pieces.join(""))
  }

  /** How many characters that line has. */
  get length(): number {
    return this.size
  }

  private readonly decoder = new TextDecoder("utf-8", { ignoreBOM: true })
  private pieces: Array<string> = []
  private size = 0

  push(chunk: Uint8Array): ReadonlyArray<string> {
    const parts = this.decoder.decode(chunk, { stream: true }).split("\n")
    if (parts.length === 1) {
      if (parts[0] !== "") this.pieces.push(parts[0] ?? "")
      this.size += parts[0]?.length ?? 0
      return []
    }
    parts[0] = this.pieces.join("") + (parts[0] ?? "")
    const rest = parts.pop() ?? ""
    this.pieces = rest === "" ? [] : [rest]
    this.size = rest.length
    return parts.map(withoutCarriageReturn)
  }

  /** The last line, when it has no newline at its end. */
  end(): ReadonlyArray<string> {
    const rest = this.pieces.join("") + this.decoder.decode()
    this.pieces = []
    this.size = 0
    return rest === "" ? [] : [withoutCarriageReturn(rest)]
  }
}

/** @internal */
export const lines = (bytes: Uint8Array): ReadonlyArray<string> => {
  const splitter = new LineSplitter()
  return [...splitter.push(bytes), ...splitter.end()]
}

const withoutCarriageReturn = (line: string): string => line.endsWith("\r") ? line.slice(0, -1) : line
