/**
 * Talking to an interactive program, over pipes or over a terminal: send something, expect something.
 *
 * @example
 * import { Conversation } from "@effect-process/vitest"
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * const greets = Effect.gen(function*() {
 *   const shell = yield* Conversation.make(Command.make("sh", "-c", "read name; echo hello $name"))
 *   yield* shell.sendLine("Ada")
 *   return (yield* shell.expect(/hello (\w+)\n/))[1] // => "Ada"
 * }).pipe(Effect.scoped)
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import type * as Redacted from "effect/Redacted"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import {
  Command,
  type Process,
  type ProcessGone,
  ProcessSpawner,
  type SpawnError,
  type SpawnServerLost,
  type StdinError,
  type TerminalError
} from "effect-process"
import type { ExpectationFailed } from "./ConversationError.ts"
import type { Key as NamedKey } from "./internal/keys.ts"
import { Talk } from "./internal/talk.ts"

export { ExpectationFailed } from "./ConversationError.ts"

/**
 * A key of a keyboard by its name: `"Enter"`, `"ArrowDown"`, `"F1"`, `"Ctrl-C"`, `"Alt-b"` and so on. Text is typed as
 * `{ text }`.
 *
 * @since 0.1.0
 * @category models
 */
export type Key = NamedKey | { readonly text: string | Redacted.Redacted<string> }

/**
 * A regular expression that knows the names of its groups; made by `regexp`.
 *
 * @since 0.1.0
 * @category models
 */
export interface TypedRegExp<out Names extends string> extends RegExp {
  readonly groupNames: Names | undefined
}

/**
 * What a `TypedRegExp` found. A group that took no part in the match is undefined.
 *
 * @since 0.1.0
 * @category models
 */
export interface TypedMatch<Names extends string> extends ReadonlyArray<string | undefined> {
  readonly 0: string
  readonly index: number
  readonly groups: { readonly [name in Names]: string | undefined }
}

/**
 * The names of the groups in the source of a regular expression.
 *
 * @since 0.1.0
 * @category models
 */
export type GroupNames<Source extends string> = Source extends `${string}(?<${infer Name}>${infer Rest}`
  // What begins like a group may look behind itself instead.
  ? Name extends `${"=" | "!"}${string}` ? GroupNames<`${Name}>${Rest}`> : Name | GroupNames<Rest>
  : never

/**
 * - `within`: how long to wait, instead of that of the conversation
 *
 * @since 0.1.0
 * @category models
 */
export interface ExpectOptions {
  readonly within?: Duration.DurationInput
}

/**
 * - `terminal`: talk over a terminal, 80 columns and 24 rows when nothing is said; `type` is what the program finds as `TERM`,
 *   `xterm-256color` when nothing is said. Without it, over pipes.
 * - `within`: how long `expect` waits, 5 seconds when nothing is said
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly terminal?: boolean | { readonly columns?: number; readonly rows?: number; readonly type?: string }
  readonly within?: Duration.DurationInput
}

/**
 * A program that is talked to. One at a time expects something of it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Conversation<out E = never> {
  readonly process: Process.Process<E>
  /**
   * Waits until the pattern is in what was received since the last match, and takes everything up to its end: a string
   * as it is, a regular expression, or a Schema, which takes the first line that it decodes. Fails when the time is up, and at
   * once when the output ends before. The end of a pattern is matched as soon as it has come: write `/(\d+)\n/`, not `/\d+/`, for a
   * whole number. The time is that of the engine's clock, not of a `TestClock`.
   *
   * Over a terminal it looks at the text without control sequences, lines end with `\n`, and what was typed is
   * there as well, if it is echoed. Over pipes it looks at stdout and stderr, in order of arrival, as they are.
   */
  readonly expect: {
    (pattern: string, options?: ExpectOptions): Effect.Effect<string, ExpectationFailed>
    <Names extends string>(
      pattern: TypedRegExp<Names>,
      options?: ExpectOptions
    ): Effect.Effect<TypedMatch<Names>, ExpectationFailed>
    (pattern: RegExp, options?: ExpectOptions): Effect.Effect<RegExpExecArray, ExpectationFailed>
    <A>(line: Schema.Schema<A, string>, options?: ExpectOptions): Effect.Effect<A, ExpectationFailed>
  }
  /** Waits until the screen shows the string or matches the regular expression; takes nothing. Over pipes, all text so far. */
  readonly expectScreen: (
    pattern: string | RegExp,
    options?: ExpectOptions
  ) => Effect.Effect<string, ExpectationFailed>
  /** Sends text as it is. A redacted one is kept out of errors. Fails with `StdinError` when the input was closed. */
  readonly send: (text: string | Redacted.Redacted<string>) => Effect.Effect<void, StdinError>
  /** As `send`, and the end of the line: Enter on a terminal, `\n` over pipes. */
  readonly sendLine: (text?: string | Redacted.Redacted<string>) => Effect.Effect<void, StdinError>
  /** Presses keys, one after the other. */
  readonly sendKeys: (...keys: ReadonlyArray<Key>) => Effect.Effect<void, StdinError>
  /** The end of the input: Ctrl-D on a terminal. A second call does nothing. */
  readonly closeInput: Effect.Effect<void>
  /** What the terminal shows now: its lines, without the blanks at their ends. Over pipes, all text so far. */
  readonly screen: Effect.Effect<string>
  /** Everything that was received, as `expect` sees it: its last megabytes. */
  readonly received: Effect.Effect<string>
  readonly resize: (
    columns: number,
    rows: number
  ) => Effect.Effect<void, TerminalError | ProcessGone | SpawnServerLost>
  /** Waits for the exit, as `process.exit`. */
  readonly exit: Process.Process<E>["exit"]
}

/**
 * A regular expression whose groups have types.
 *
 * @example
 * import { Conversation } from "@effect-process/vitest"
 *
 * const listening = Conversation.regexp("listening on (?<host>\\S+):(?<port>\\d+)\n")
 * // expect(listening) => { groups: { host: string | undefined, port: string | undefined }, ... }
 *
 * @since 0.1.0
 * @category constructors
 */
export const regexp = <const Source extends string>(
  source: Source,
  flags?: string
): TypedRegExp<GroupNames<Source>> => Object.assign(new RegExp(source, flags), { groupNames: undefined })

const defaultWithin = Duration.seconds(5)

const terminalOf = ({ terminal }: Options) => {
  if (terminal === undefined || terminal === false) return undefined
  const { columns = 80, rows = 24, type = "xterm-256color" } = terminal === true ? {} : terminal
  return { columns, rows, type }
}

/**
 * Starts a command to talk to. The closing scope ends it; over a terminal it hangs up first (`SIGHUP`), which ends shells, then
 * terminates as any command.
 *
 * A terminal takes `NodeProcess.layerSpawnServer`, which is what `NodeProcess.layer` is where it runs; else the spawn fails with
 * `Unsupported`.
 *
 * @example
 * import { Conversation } from "@effect-process/vitest"
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * const asksOnce = Effect.gen(function*() {
 *   const shell = yield* Conversation.make(Command.make("bash", "--norc", "-i"), { terminal: true })
 *   yield* shell.expect("$ ")
 *   yield* shell.sendLine("sleep 100")
 *   yield* shell.sendKeys("Ctrl-Z")
 *   yield* shell.expect("Stopped")
 *   return yield* shell.screen
 * }).pipe(Effect.scoped)
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <E, R>(
  command: Command.Command<E, R>,
  options: Options = {}
): Effect.Effect<Conversation<E>, SpawnError | SpawnServerLost, ProcessSpawner | Scope.Scope | R> =>
  Effect.gen(function*() {
    const { clock } = yield* ProcessSpawner
    const terminal = terminalOf(options)
    const started = terminal === undefined ? Command.stdin(command, "pipe") : command.pipe(
      Command.stdin("pipe"),
      Command.terminal(terminal),
      Command.env({ TERM: terminal.type, COLUMNS: undefined, LINES: undefined })
    )
    const process = yield* Command.start(started)
    const typed = yield* Queue.unbounded<Uint8Array | null>()
    const within = options.within === undefined ? defaultWithin : Duration.decode(options.within)
    const talk = new Talk<E>(process, command, clock, within, terminal, typed)
    yield* Effect.acquireRelease(
      Effect.forEach([talk.listen, talk.write], (part) => Effect.forkDaemon(Effect.interruptible(part))),
      // Only once the process is hung up: the end of a reader would do that less politely.
      (fibers) => Effect.zipRight(talk.close, Effect.forEach(fibers, Fiber.interruptFork))
    )
    return talk
  })
