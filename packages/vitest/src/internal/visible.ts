/** Text as it may be shown to a person, whatever a program printed. */

const names: Readonly<Record<string, string>> = { "\r": "\\r", "\x1b": "\\e", "\b": "\\b", "\x07": "\\a" }

// oxlint-disable-next-line no-control-regex -- they are what it looks for
const control = /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

/** Control characters as escapes; lines and tabs stay. @internal */
export const visible = (text: string): string =>
  text.replace(control, (c) => names[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)

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
