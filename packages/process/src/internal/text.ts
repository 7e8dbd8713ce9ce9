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
 * Hides what was given as redacted, longest first, because one secret may hold another.
 *
 * @internal
 */
export const scrub = (text: string, secrets: ReadonlyArray<string>): string =>
  [...secrets].sort((a, b) => b.length - a.length).reduce(
    (shown, secret) => shown.replaceAll(secret, "<redacted>"),
    text
  )

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
  private chunks: Array<Uint8Array> = []
  private size = 0

  constructor(secrets: ReadonlyArray<string>) {
    this.secrets = secrets
    // A secret that begins before the tail must still be recognized, or its end would be shown.
    this.keep = tailSize + secrets.reduce((longest, secret) => Math.max(longest, encode(secret).byteLength), 0)
  }

  push(chunk: Uint8Array): void {
    // A copy when it is small against its buffer: a view would keep the whole buffer in memory.
    const part = chunk.byteLength > this.keep ? chunk.slice(-this.keep) : chunk
    this.chunks.push(part)
    this.size += part.byteLength
    if (this.size > 4 * this.keep) {
      const last = concat(this.chunks).slice(-this.keep)
      this.chunks = [last]
      this.size = last.byteLength
    }
  }

  text(): string {
    if (this.size === 0) return ""
    const last = concat(this.chunks).subarray(-this.keep)
    let start = 0
    while (start < 3 && ((last[start] ?? 0) & 0xc0) === 0x80) start++
    const shown = scrub(decode(last.subarray(start)), this.secrets)
    return shown.length > tailSize ? shown.slice(-tailSize) : shown
  }
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
  private readonly decoder = new TextDecoder("utf-8", { ignoreBOM: true })
  private pieces: Array<string> = []

  push(chunk: Uint8Array): ReadonlyArray<string> {
    const parts = this.decoder.decode(chunk, { stream: true }).split("\n")
    if (parts.length === 1) {
      if (parts[0] !== "") this.pieces.push(parts[0] ?? "")
      return []
    }
    parts[0] = this.pieces.join("") + (parts[0] ?? "")
    const rest = parts.pop() ?? ""
    this.pieces = rest === "" ? [] : [rest]
    return parts.map(withoutCarriageReturn)
  }

  /** The last line, when it has no newline at its end. */
  end(): ReadonlyArray<string> {
    const rest = this.pieces.join("") + this.decoder.decode()
    this.pieces = []
    return rest === "" ? [] : [withoutCarriageReturn(rest)]
  }
}

/** @internal */
export const lines = (bytes: Uint8Array): ReadonlyArray<string> => {
  const splitter = new LineSplitter()
  return [...splitter.push(bytes), ...splitter.end()]
}

const withoutCarriageReturn = (line: string): string => line.endsWith("\r") ? line.slice(0, -1) : line
