/** Bytes, and what of them a person may see. */

const encoder = new TextEncoder()

/** @internal */
export const bytesOf = (data: string | Uint8Array): Uint8Array => typeof data === "string" ? encoder.encode(data) : data

/** @internal */
export const textOf = (bytes: Uint8Array): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)

/** @internal */
export const concat = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const all = new Uint8Array(chunks.reduce((n, chunk) => n + chunk.byteLength, 0))
  let offset = 0
  for (const chunk of chunks) {
    all.set(chunk, offset)
    offset += chunk.byteLength
  }
  return all
}

/** What stands where something redacted stood. @internal */
export const redacted = "<redacted>"

/**
 * Hides secrets, the longest first, so that one which contains another is hidden whole.
 *
 * @internal
 */
export const hide = (text: string, secrets: ReadonlyArray<string>): string => {
  const known = [...new Set(secrets)].filter((secret) => secret !== "").sort((a, b) => b.length - a.length)
  if (known.length === 0) return text
  const pattern = new RegExp(known.map((secret) => secret.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"), "g")
  return text.replace(pattern, redacted)
}
