/** What a terminal was sent, as the text that a person reads: without control sequences, its lines ended by `\n`. */

// CSI, OSC and the other strings, two-character sequences. Source: ECMA-48.
// oxlint-disable-next-line no-control-regex -- they are what it looks for
const sequence = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][\s\S]*?(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-Z\\`-~])/g

// One of the above that is not complete, or the beginning of an end of a line.
// oxlint-disable-next-line no-control-regex -- as above
const incomplete = /(?:\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)?|\r+)$/

/** What never comes to an end is no sequence. */
const longest = 64 * 1024

/** Takes pieces as they come; a sequence may be in two of them. @internal */
export class PlainText {
  private rest = ""
  private isLineBegun = false

  push(piece: string): string {
    const text = this.rest + piece
    const at = incomplete.exec(text)?.index ?? text.length
    const isSequence = text.length - at < longest
    this.rest = isSequence ? text.slice(at) : ""
    return this.clean(isSequence ? text.slice(0, at) : text)
  }

  /** What is left at the end. */
  end(): string {
    const text = this.clean(this.rest)
    this.rest = ""
    return text
  }

  private clean(piece: string): string {
    const text = clean(piece)
    // A return at the beginning of a line goes nowhere; shells are fond of it.
    const clear = this.isLineBegun ? text : text.replace(/^\r+/, "")
    if (clear !== "") this.isLineBegun = !clear.endsWith("\n")
    return clear
  }
}

// The bell and the shifts of character sets are no text either.
// oxlint-disable-next-line no-control-regex -- as above
const clean = (text: string): string =>
  text.replace(sequence, "").replace(/\r*\n\r*/g, "\n").replace(/[\x07\x0e\x0f]/g, "")
