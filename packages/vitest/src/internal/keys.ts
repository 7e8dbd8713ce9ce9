/** What the keys of a terminal send. Source: ctlseqs of xterm(1). */

const fixed = {
  Enter: "\r",
  Tab: "\t",
  ShiftTab: "\x1b[Z",
  Space: " ",
  Backspace: "\x7f",
  Escape: "\x1b",
  Insert: "\x1b[2~",
  Delete: "\x1b[3~",
  PageUp: "\x1b[5~",
  PageDown: "\x1b[6~",
  F1: "\x1bOP",
  F2: "\x1bOQ",
  F3: "\x1bOR",
  F4: "\x1bOS",
  F5: "\x1b[15~",
  F6: "\x1b[17~",
  F7: "\x1b[18~",
  F8: "\x1b[19~",
  F9: "\x1b[20~",
  F10: "\x1b[21~",
  F11: "\x1b[23~",
  F12: "\x1b[24~"
} as const

/** Which a program may ask to be told apart: `ESC [ A` or `ESC O A`. */
const cursor = { ArrowUp: "A", ArrowDown: "B", ArrowRight: "C", ArrowLeft: "D", Home: "H", End: "F" } as const

type Letter =
  | "A"
  | "B"
  | "C"
  | "D"
  | "E"
  | "F"
  | "G"
  | "H"
  | "I"
  | "J"
  | "K"
  | "L"
  | "M"
  | "N"
  | "O"
  | "P"
  | "Q"
  | "R"
  | "S"
  | "T"
  | "U"
  | "V"
  | "W"
  | "X"
  | "Y"
  | "Z"

/** @internal */
export type Key =
  | keyof typeof fixed
  | keyof typeof cursor
  | `Ctrl-${Letter | "@" | "[" | "\\" | "]" | "^" | "_"}`
  | `Alt-${Letter | Lowercase<Letter>}`

const has = <T extends object>(table: T, key: string): key is Extract<keyof T, string> => Object.hasOwn(table, key)

/** Nothing for what is no key. @internal */
export const sequenceOf = (key: string, applicationCursorKeys: boolean): string | undefined => {
  if (has(fixed, key)) return fixed[key]
  if (has(cursor, key)) return `\x1b${applicationCursorKeys ? "O" : "["}${cursor[key]}`
  const control = /^Ctrl-([@A-Z[\\\]^_])$/.exec(key)?.[1]
  if (control !== undefined) return String.fromCharCode(control.charCodeAt(0) - 64)
  const meta = /^Alt-([A-Za-z])$/.exec(key)?.[1]
  return meta === undefined ? undefined : `\x1b${meta}`
}
