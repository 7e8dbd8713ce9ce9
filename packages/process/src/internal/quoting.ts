/** Quoting for sh: single words, commands as we show them, and script templates. */
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import { type Piece, pieces, texts, type Word } from "./words.ts"

const singleQuote = (value: string): string => `'${value.replaceAll("'", "'\\''")}'`

/**
 * One word of sh, bare where that is safe for an argument.
 *
 * @internal
 */
export const quote = (value: string): string => /^[\w./:=@%+,-]+$/.test(value) ? value : singleQuote(value)

// What a terminal or a log would act on instead of showing it.
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u

const escapes: Readonly<Record<string, string>> = { "'": "\\'", "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" }

const escape = (char: string): string => {
  const code = char.charCodeAt(0)
  const hex = code.toString(16)
  return escapes[char] ?? (code < 0x80 ? `\\x${hex.padStart(2, "0")}` : `\\u${hex.padStart(4, "0")}`)
}

const literal = (text: string): string =>
  unprintable.test(text)
    ? `$'${text.replace(/['\\\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, escape)}'`
    : quote(text)

/**
 * The command as a user would type it, on one line: redacted pieces as `<redacted>`, and what a terminal would act on
 * in the `$'\x1b'` form of bash.
 *
 * @internal
 */
export const render = (words: ReadonlyArray<Word>): string =>
  words.map((word) => {
    const literals = [""]
    for (const piece of word) {
      if (typeof piece === "string") literals.push((literals.pop() ?? "") + piece)
      else literals.push("")
    }
    return literals.map((text) => text === "" && literals.length > 1 ? "" : literal(text)).join("<redacted>")
  }).join(" ")

/*
 * The scanner below follows a script up to each value and tells why the value may not stand there. It knows as much of
 * sh as it takes to be certain; where shells differ or it loses the thread (a `string` instead of the next index), it
 * refuses the value rather than guess. What follows the last value does not matter: the place of a value is settled by
 * the text before it.
 */

/** A list of commands: the script itself, or what stands within `$( )`. */
interface Commands {
  readonly kind: "commands"
  /** Parentheses open within. */
  parens: number
  /** The word so far, with `'` for whatever is quoted or expanded in it. */
  word: string
  /** A redirection waits for its word. */
  redirecting: boolean
  /** Here-documents that begin after this line. */
  readonly hereDocs: Array<{ readonly end: string; readonly isQuoted: boolean; readonly stripsTabs: boolean }>
}

type Frame = Commands | { readonly kind: "doubleQuotes" }

type Step = number | string

const commands = (): Commands => ({ kind: "commands", parens: 0, word: "", redirecting: false, hereDocs: [] })

const useVariable = "assign it to a variable earlier in the script (name=VALUE) and use \"$name\" there"

const problems = {
  singleQuotes: "stands in single quotes, which do not protect it; end them before it",
  doubleQuotes: "stands in double quotes, which do not protect it; end them before it",
  bashQuotes: `stands in or after a $'...' with an escaped quote, which is not sh; ${useVariable}`,
  backquotes: "stands in backquotes, where it would be read twice; use $(...) instead",
  oddBackquotes: "comes after backquotes that hold quotes, backslashes or newlines; use $(...) instead",
  comment: "stands in a comment; move it out",
  oddComment: "comes after a comment within $(...) that some shells misread; take the quotes and parentheses out of it",
  dollar: "comes right after a $; remove the $",
  backslash: "comes right after a backslash, which would undo its quoting; remove the backslash",
  parameter: `stands in or after a \${...} too intricate to follow; ${useVariable}`,
  arithmetic: "stands in or after a $((...)), which evaluates what it is given; compute the number in the program",
  bashArithmetic: "stands in or after the $[...] or ((...)) of bash; use $((...)), and put a space between ( and (",
  bashTest: "stands in or after the [[ of bash, which evaluates what it is given; use [",
  subscript: `stands in or after a [ within a word; ${useVariable}`,
  caseInside: `stands in or after a case within $(...); ${useVariable}`,
  wordBeforeParen: "comes after a word that touches (; put a space between them",
  arrayTouches: "is an array that touches text or another value; put white space around it",
  arrayRedirection: "is an array as the target of a redirection; give one file",
  hereDoc: "stands in a here-document; assign it to a variable earlier (name=VALUE) and write $name there",
  hereDocEnd: "stands in or after a here-document's delimiter that is not a plain word; use one like EOF",
  hereDocNewline: "comes after a << whose line goes on in quotes, $(...) or after a backslash; write that line as one",
  oddHereDoc: "comes after a here-document too intricate to follow; move it before, or quote the delimiter",
  continuation: "comes after a backslash-newline that splits an operator; put a space before the backslash",
  locale: "comes after a # that follows a letter outside ASCII; quote the #"
} as const

const opensMore = (word: string): boolean => word.split("[").length > word.split("]").length

const startsDocument = (frame: Frame): boolean => frame.kind === "commands" && frame.hereDocs.length > 0

/** The index after the match at `at`, or undefined. */
const after = (pattern: RegExp, text: string, at: number): number | undefined => {
  const sticky = new RegExp(pattern, "y")
  sticky.lastIndex = at
  return sticky.test(text) ? sticky.lastIndex : undefined
}

// Only what every shell reads alike: no quotes where they differ, nothing nested.
const simpleParameter = /\$\{(?=[\w@*#?!$-])(?:[^'"`\\{}()$\s]|[ \t](?!#)|\$[\w@*#?!$-]|\$\{\w+\})*\}/
const simpleParameterOutside =
  /\$\{(?=[\w@*#?!$-])(?:[^'"`\\{}()$\s]|[ \t](?!#)|\$[\w@*#?!$-]|\$\{\w+\}|"(?:[^"'`\\{}()$\s]|[ ]|\$\w)*")*\}/
const term = "[\\w \\t+*/%<>=!&|^~?:,.-]|\\$\\w|\\$\\{\\w+\\}"
const simpleArithmetic = new RegExp(`\\$\\(\\((?:${term}|\\((?:${term}|\\((?:${term})*\\))*\\))*\\)\\)`)
const simpleBackquotes = /`(?:[^`'"\\#\n<]|<(?!<))*`/

/** A `$` or a backquote, in commands or in double quotes. */
const expansion = (frames: Array<Frame>, text: string, at: number, isQuoted: boolean): Step => {
  if (text[at] === "`") {
    return after(simpleBackquotes, text, at) ??
      (after(/`(?:[^`\\]|\\[^])*`/, text, at) === undefined ? problems.backquotes : problems.oddBackquotes)
  }
  const next = text[at + 1]
  switch (next) {
    case undefined:
      return isQuoted ? problems.doubleQuotes : problems.dollar
    case "(":
      if (text[at + 2] === "(") return after(simpleArithmetic, text, at) ?? problems.arithmetic
      frames.push(commands())
      return at + 2
    case "{":
      return after(isQuoted ? simpleParameter : simpleParameterOutside, text, at) ?? problems.parameter
    case "[":
      return problems.bashArithmetic
    case "\\":
      return text[at + 2] === "\n" ? problems.continuation : at + 1
    default:
      return /[\w@*#?!$-]/.test(next) ? at + 2 : at + 1
  }
}

const insideDoubleQuotes = (frames: Array<Frame>, text: string, at: number): Step => {
  switch (text[at]) {
    case "\"":
      frames.pop()
      return at + 1
    case "\\":
      return text[at + 1] === "\n" && frames.some(startsDocument) ? problems.hereDocNewline : at + 2
    case "$":
    case "`":
      return expansion(frames, text, at, true)
    case "\n":
      return frames.some(startsDocument) ? problems.hereDocNewline : at + 1
    default:
      return at + 1
  }
}

const insideSingleQuotes = (frames: Array<Frame>, text: string, at: number): Step => {
  const end = text.indexOf("'", at)
  if (end < 0) return problems.singleQuotes
  return frames.some(startsDocument) && text.slice(at, end).includes("\n") ? problems.hereDocNewline : end + 1
}

/** Ends the word, which bash may read on past its end. */
const endWord = (frames: Array<Frame>, frame: Commands): string | undefined => {
  const { word } = frame
  if (word === "") return undefined
  frame.word = ""
  frame.redirecting = false
  if (word === "[[") return problems.bashTest
  // The `)` of its patterns would look like the end of `$( )`.
  if (word === "case" && frames.length > 1) return problems.caseInside
  return /^[A-Za-z_]\w*\[/.test(word) && opensMore(word) ? problems.subscript : undefined
}

/** From `<<` to the end of the delimiter. */
const hereDocument = (frame: Commands, text: string, at: number): Step => {
  const stripsTabs = text[at + 2] === "-"
  const start = after(/[ \t]*/, text, at + (stripsTabs ? 3 : 2)) ?? at
  const end = after(/(?:[^\s'"\\$`;&|<>()#]|'[^'\n]*'|"[^"\\$`\n]*"|\\[^\n])+(?=[ \t\n;&|<>()])/, text, start)
  if (end === undefined) return problems.hereDocEnd
  frame.redirecting = false
  const raw = text.slice(start, end)
  frame.hereDocs.push({
    end: raw.replace(/'([^']*)'|"([^"]*)"|\\([^])/g, "$1$2$3"),
    isQuoted: /['"\\]/.test(raw),
    stripsTabs
  })
  return end
}

/** From the newline before the first here-document's first line to the line after the last one's delimiter. */
const hereDocuments = (frames: Array<Frame>, frame: Commands, text: string, newline: number): Step => {
  const isNested = frames.length > 1
  if (frames.some((other) => other !== frame && startsDocument(other))) return problems.hereDocNewline
  let at = newline + 1
  for (const { end, isQuoted, stripsTabs } of frame.hereDocs.splice(0)) {
    for (;;) {
      const lineEnd = text.indexOf("\n", at)
      if (lineEnd < 0) return problems.hereDoc
      const line = text.slice(at, lineEnd).replace(stripsTabs ? /^\t+/ : "", "")
      at = lineEnd + 1
      if (line === end) break
      // bash before 5.2 reads these within $( ) as if they were commands.
      if (isNested && (line.startsWith(end) || /['"`()\\#]/.test(line))) return problems.oddHereDoc
      // dash looks for the delimiter only outside an expansion, bash on every line.
      const active = line.replace(/\\./g, "").replace(/\$\{\w+\}|\$\([^()'"`\\<#{}$]*\)/g, "")
      if (!isQuoted && /\$[({]|`|\\$/.test(active)) return problems.oddHereDoc
    }
  }
  return at
}

const comment = (frames: Array<Frame>, text: string, at: number): Step => {
  const end = text.indexOf("\n", at)
  if (end < 0) return problems.comment
  // bash 3.2, the sh of macOS, reads these within $( ) although they are commented out.
  return frames.length > 1 && /['"`()\\]/.test(text.slice(at, end)) ? problems.oddComment : end
}

const operator = (frames: Array<Frame>, frame: Commands, text: string, at: number): Step => {
  const char = text[at]
  // Only `f()` is sh; the others are arrays and patterns of bash, with a syntax of their own.
  if (char === "(" && frame.word !== "" && after(/\([ \t]*\)/, text, at) === undefined) return problems.wordBeforeParen
  if (char === "(" && text[at + 1] === "(") return problems.bashArithmetic
  const problem = endWord(frames, frame)
  if (problem !== undefined) return problem
  frame.redirecting = false
  if (char === "(" && (text[at - 1] === "<" || text[at - 1] === ">")) frames.push(commands())
  else if (char === "(") frame.parens++
  else if (char === ")" && frame.parens > 0) frame.parens--
  // At the top, a `)` more than there are `(` ends a pattern of case.
  else if (char === ")" && frames.length > 1) {
    if (startsDocument(frame)) return problems.hereDocNewline
    frames.pop()
  }
  return at + 1
}

const wordCharacter = (frames: Array<Frame>, frame: Commands, text: string, at: number): Step => {
  const char = text[at] ?? ""
  if (!/[\\'"$`]/.test(char)) {
    frame.word += char
    return at + 1
  }
  frame.word += "'"
  switch (char) {
    case "\\":
      return at + 2
    case "'":
      return insideSingleQuotes(frames, text, at + 1)
    case "\"":
      frames.push({ kind: "doubleQuotes" })
      return at + 1
    default:
      if (char === "$" && text[at + 1] === "'") {
        const end = insideSingleQuotes(frames, text, at + 2)
        // bash takes `\'` for a quote inside this one, sh for its end.
        const isEscaped = typeof end === "number" && /[^\\](?:\\\\)*\\'$/.test(text.slice(at, end))
        return isEscaped ? problems.bashQuotes : end
      }
      return expansion(frames, text, at, false)
  }
}

const insideCommands = (frames: Array<Frame>, frame: Commands, text: string, at: number): Step => {
  const char = text[at] ?? ""
  switch (char) {
    case "\\":
      if (at + 1 === text.length) return problems.backslash
      if (text[at + 1] !== "\n") break
      if (frames.some(startsDocument)) return problems.hereDocNewline
      return frame.word !== "" || at === 0 || /\s/.test(text[at - 1] ?? "") ? at + 2 : problems.continuation
    case "#":
      if (frame.word !== "") {
        // Where the locale takes a byte of that letter for a blank, this is a comment.
        if (/[^\x21-\x7e]$/.test(frame.word)) return problems.locale
        break
      }
      return comment(frames, text, at)
    case " ":
    case "\t":
      return endWord(frames, frame) ?? at + 1
    case "\n":
      frame.redirecting = false
      return endWord(frames, frame) ?? hereDocuments(frames, frame, text, at)
    case "<":
    case ">": {
      const problem = endWord(frames, frame)
      if (problem !== undefined) return problem
      frame.redirecting = true
      if (text.startsWith("<<<", at)) return at + 3
      return text.startsWith("<<", at) ? hereDocument(frame, text, at) : after(/<>|>>|[<>][&|]?/, text, at) ?? at + 1
    }
    case ";":
    case "&":
    case "|":
    case "(":
    case ")":
      return operator(frames, frame, text, at)
  }
  return wordCharacter(frames, frame, text, at)
}

/** Brings `frames` to the end of the text, or tells why no value may follow it. */
const scan = (frames: Array<Frame>, text: string): string | undefined => {
  for (let at = 0; at < text.length;) {
    const frame = frames.at(-1)
    const step = frame?.kind === "commands"
      ? insideCommands(frames, frame, text, at)
      : insideDoubleQuotes(frames, text, at)
    if (typeof step === "string") return step
    at = step
  }
  return undefined
}

/** Why a value may not stand where the scan has come to. `next` is the text after an array. */
const placeProblem = (frames: Array<Frame>, next: string | undefined): string | undefined => {
  const frame = frames.at(-1)
  if (frame?.kind !== "commands") return problems.doubleQuotes
  const { redirecting, word } = frame
  // bash evaluates what is within the brackets of an assignment, the output of a $( ) there too.
  if (frames.some((other) => other.kind === "commands" && opensMore(other.word))) return problems.subscript
  if (next !== undefined) {
    if (word !== "" || !/^[ \t\n;&|<>()]/.test(next)) return problems.arrayTouches
    if (redirecting) return problems.arrayRedirection
  }
  frame.word += "'"
  return undefined
}

const quotePiece = (piece: Piece): Piece =>
  typeof piece === "string" ? singleQuote(piece) : Redacted.make(singleQuote(Redacted.value(piece)))

/**
 * The script of a `Command.shell` template: each value one quoted word, an array as many. A problem is one line that
 * names the value by its position, which counts from 1, and the remedy.
 *
 * The words are safe from the shell that reads this script. They are not from whatever takes them for code after that:
 * `eval ${x}`, `sh -c ${x}`, `trap ${x} EXIT`, `ssh host ${x}`, `$((n))` after `n=${x}`, and in bash `let`, `unset`,
 * `read`, `test -v`, `printf -v`.
 *
 * @internal
 */
export const shellTemplate = (
  strings: TemplateStringsArray,
  values: ReadonlyArray<unknown>
): Either.Either<Word, string> =>
  Either.gen(function*() {
    const literals = yield* texts(strings)
    const frames: Array<Frame> = [commands()]
    const script: Array<Piece> = []
    for (const [index, value] of values.entries()) {
      const items = yield* pieces(value, index + 1)
      const text = literals[index] ?? ""
      const next = (literals[index + 1] ?? "") + (index + 1 === values.length ? "\n" : "")
      const problem = scan(frames, text) ?? placeProblem(frames, Array.isArray(value) ? next : undefined)
      if (problem !== undefined) return yield* Either.left(`value ${index + 1} ${problem}`)
      // Without a space, the operators on either side of an empty array would become another one.
      script.push(text, ...(items.length === 0 ? [" "] : items.flatMap((item) => [" ", quotePiece(item)]).slice(1)))
    }
    return [...script, literals[values.length] ?? ""]
  })
