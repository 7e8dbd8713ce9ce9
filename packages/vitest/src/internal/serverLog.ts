/** What a server has written, kept to be shown to a person: the last of it, without secrets and without what a terminal obeys. */
import { visibleLines } from "./visible.ts"

/** How much is kept, in characters. */
const limit = 64 * 1024

/** How much of it an error shows. */
const tailLines = 30
const tailLimit = 8 * 1024

const colours = /\u001b\[[0-9;:]*m/g

/** @internal */
export const printable = (text: string): string => visibleLines(text.replaceAll(colours, ""))

/** @internal */
export const indent = (text: string): string => text.trimEnd().replaceAll(/^/gm, "    ")

/** The end of a text that is too long, from the beginning of a line where there is one. */
const endOf = (text: string, size: number): string => {
  if (text.length <= size) return text
  const end = text.slice(-size)
  return end.slice(end.indexOf("\n") + 1)
}

/** @internal */
export class ServerLog {
  private readonly redact: (text: string) => string
  /** What was shown already, and what came after that. */
  private shown = ""
  private fresh = ""
  private hasDropped = false

  constructor(redact: (text: string) => string) {
    this.redact = redact
  }

  push(line: string): void {
    this.fresh += `${line}\n`
    if (this.shown.length + this.fresh.length < 2 * limit) return
    this.hasDropped ||= this.fresh.length > limit
    // Redacted before it is cut: half a secret would not be recognized.
    this.fresh = endOf(this.redact(this.fresh), limit)
    this.shown = endOf(this.redact(this.shown), Math.max(0, limit - this.fresh.length))
  }

  get text(): string {
    return endOf(printable(this.redact(this.shown + this.fresh)), limit)
  }

  get tail(): string {
    return endOf(this.text.split("\n").slice(-tailLines - 1).join("\n"), tailLimit)
  }

  /** What nobody was shown yet. */
  take(): string {
    const text = printable(this.redact(this.fresh))
    const dropped = this.hasDropped ? "(the oldest lines were dropped)\n" : ""
    this.shown += this.fresh
    this.fresh = ""
    this.hasDropped = false
    return dropped + text
  }
}
