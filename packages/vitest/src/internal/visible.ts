/** Text as it may be shown to a person, whatever a program printed. */

/** What a terminal would obey, and what turns the direction of writing, but for the ends of lines and tabs. */
// oxlint-disable-next-line no-control-regex -- they are what it looks for
const control = /[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/** Control characters as escapes, written as the library's errors write them; lines and tabs stay. @internal */
export const visible = (text: string): string =>
  text.replace(control, (char) => char === "\r" ? "\\r" : `\\u{${char.charCodeAt(0).toString(16)}}`)

/** In one line, as a command line is. @internal */
export const visibleLine = (text: string): string => visible(text).replaceAll("\n", "\\n").replaceAll("\t", "\\t")

/** Of an output, whose lines may end as those of a terminal do. @internal */
export const visibleLines = (text: string): string => visible(text.replaceAll("\r\n", "\n"))

const mostLines = 24
const mostCharacters = 4_096

/** The end of a text, each line after a bar. @internal */
export const tailOf = (text: string): string => {
  if (text === "") return "  (nothing)"
  const end = text.slice(-mostCharacters)
  const lines = end.split("\n")
  const shown = lines.slice(-mostLines)
  const isCut = end.length < text.length || shown.length < lines.length
  return [...(isCut ? ["  | ..."] : []), ...shown.map((line) => `  | ${visible(line)}`)].join("\n")
}
