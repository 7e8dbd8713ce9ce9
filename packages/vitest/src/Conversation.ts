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
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import {
  Command,
  type ExitStatus,
  type Process,
  type ProcessGone,
  ProcessSpawner,
  type SpawnError,
  type SpawnServerLost,
  StdinError,
  type TerminalError
} from "effect-process"
import { type Key as NamedKey, sequenceOf } from "./internal/keys.ts"
import { type AnyPattern, finderOf } from "./internal/patterns.ts"
import { PlainText } from "./internal/plainText.ts"
import { Screen } from "./internal/screen.ts"
import { Transcript } from "./internal/transcript.ts"
import { tailOf } from "./internal/visible.ts"

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
 * What was expected did not come.
 *
 * - `reason`: the time was up, or the output ended first
 * - `pattern`: as it is written
 * - `received`: the last 8 KiB since the last match, with redacted values hidden
 * - `screen`: what a terminal showed, lines that are too long for it in one piece
 * - `issue`: of a Schema, why the last line was not what it describes
 * - `exit`: how the process ended, if it has
 *
 * @example
 * import { Conversation, expect, it } from "@effect-process/vitest"
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * it.process("says what came instead", () =>
 *   Effect.gen(function*() {
 *     const program = yield* Conversation.make(Command.make("echo", "password?"))
 *     const failure = yield* Effect.flip(program.expect("login:"))
 *     expect(failure.reason).toBe("Ended")
 *     expect(failure.received).toBe("password?\n")
 *   }))
 *
 * @since 0.1.0
 * @category errors
 */
export class ExpectationFailed extends Data.TaggedError("ExpectationFailed")<{
  readonly command: string
  readonly reason: "TimedOut" | "Ended"
  readonly pattern: string
  readonly within: Duration.Duration
  readonly received: string
  readonly screen: string | undefined
  readonly issue: string | undefined
  readonly exit: ExitStatus.ExitStatus | undefined
}> {
  override get message(): string {
    const why = this.reason === "TimedOut"
      ? `did not come within ${Duration.format(this.within)}`
      : "did not come before the output ended"
    return [
      `${this.command}: ${this.pattern} ${why}`,
      "received since the last match:",
      tailOf(this.received),
      ...(this.screen === undefined ? [] : ["on the screen:", tailOf(this.screen)]),
      ...(this.issue === undefined ? [] : ["the last line that was looked at:", tailOf(this.issue)]),
      this.exit === undefined ? "the process has not exited" : `the process has ended: ${String(this.exit)}`
    ].join("\n")
  }
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

/** Characters of what was received that an error keeps. */
const receivedSize = 8 * 1024

const defaultWithin = Duration.seconds(5)

/** For the exit status of a program whose output has ended, which mostly is there at once. */
const exitPatience = Duration.millis(250)

class Talk<E> implements Conversation<E> {
  readonly process: Process.Process<E>
  private readonly command: Command.Command<unknown, unknown>
  private readonly clock: Clock.Clock
  private readonly within: Duration.Duration
  private readonly screenOf: Screen | undefined
  private readonly transcript = new Transcript()
  private readonly plain: PlainText | undefined
  private readonly typed: Queue.Queue<Uint8Array | null>
  private readonly turn = Effect.unsafeMakeSemaphore(1)
  private readonly secrets = new Set<string>()
  private isClosed = false

  constructor(
    process: Process.Process<E>,
    command: Command.Command<unknown, unknown>,
    clock: Clock.Clock,
    within: Duration.Duration,
    size: { readonly columns: number; readonly rows: number } | undefined,
    typed: Queue.Queue<Uint8Array | null>
  ) {
    this.process = process
    this.command = command
    this.clock = clock
    this.within = within
    this.typed = typed
    this.plain = size === undefined ? undefined : new PlainText()
    this.screenOf = size === undefined
      ? undefined
      : new Screen(size.columns, size.rows, (text) => this.isClosed || this.type(text))
  }

  private type(text: string): void {
    this.typed.unsafeOffer(new TextEncoder().encode(text))
  }

  /** Reads until the output ends. */
  readonly listen: Effect.Effect<void> = Effect.suspend(() => {
    const { stderr, stdout } = this.process
    const outputs = this.screenOf === undefined ? [stdout, stderr] : [stdout]
    return Effect.forEach(outputs, (output) => this.read(output), { concurrency: "unbounded", discard: true }).pipe(
      Effect.zipRight(this.screen),
      Effect.ensuring(Effect.sync(() => {
        this.transcript.push(this.plain?.end() ?? "")
        this.transcript.end()
      }))
    )
  })

  private read(output: Process.Process["stdout"]): Effect.Effect<void> {
    const decoder = new TextDecoder()
    const take = (bytes: Uint8Array) => {
      const text = decoder.decode(bytes, { stream: true })
      this.screenOf?.write(bytes, () => this.transcript.changed())
      this.transcript.push(this.plain === undefined ? text : this.plain.push(text))
    }
    // An output that is sent elsewhere, or breaks, has ended.
    return Effect.ignore(Stream.runForEach(output, (bytes) => Effect.sync(() => take(bytes))))
  }

  /** Writes what is typed. */
  readonly write: Effect.Effect<void> = Effect.suspend(() =>
    Effect.ignore(
      Stream.run(Stream.takeWhile(Stream.fromQueue(this.typed), (bytes) => bytes !== null), this.process.stdin)
    )
  )

  readonly expect = ((pattern: AnyPattern, options?: ExpectOptions) =>
    this.turn.withPermits(1)(Effect.suspend(() => {
      const finder = finderOf(pattern)
      const { transcript } = this
      const look = () => {
        const found = finder.find(transcript.unread, transcript.isEnded)
        return found === undefined ? transcript.isEnded ? Option.none() : undefined : Option.some(found)
      }
      // Taken only by who gets it: what comes as the time is up is there for the next one.
      return Effect.map(this.await(finder.description, transcript.until(look), options, finder.issue), (found) => {
        transcript.consume(found.end)
        return found.value
      })
    }))) as Conversation["expect"]

  readonly expectScreen: Conversation["expectScreen"] = (pattern, options) =>
    Effect.suspend(() => {
      const finder = finderOf(pattern)
      const look = () => {
        const text = this.screenText
        if (finder.find(text, true) !== undefined) return Option.some(text)
        return this.transcript.isEnded ? Option.none() : undefined
      }
      return this.await(`${finder.description} on the screen`, this.transcript.until(look), options, finder.issue)
    })

  private await<A>(
    pattern: string,
    found: Effect.Effect<Option.Option<A>>,
    options: ExpectOptions | undefined,
    issue: () => string | undefined
  ): Effect.Effect<A, ExpectationFailed> {
    const within = options?.within === undefined ? this.within : Duration.decode(options.within)
    return Effect.flatMap(this.atMost(found, within), (result) => {
      if (Option.isSome(result) && Option.isSome(result.value)) return Effect.succeed(result.value.value)
      const reason = Option.isNone(result) ? "TimedOut" : "Ended"
      return Effect.flatMap(
        Effect.zipLeft(this.exitWithin(reason === "Ended" ? exitPatience : Duration.zero), this.screen),
        (exit) =>
          new ExpectationFailed({
            command: Command.redact(this.command, String(this.command)),
            reason,
            pattern: this.hide(pattern),
            within,
            received: this.hide(this.transcript.unread).slice(-receivedSize),
            screen: this.screenOf === undefined ? undefined : this.hide(this.screenOf.unwrapped),
            issue: Option.getOrUndefined(Option.map(Option.fromNullable(issue()), (text) => this.hide(text))),
            exit
          })
      )
    })
  }

  /** On the engine's clock. Not `Effect.timeout`, which would give the clock to what it waits for as well. */
  private atMost<A>(self: Effect.Effect<A>, bound: Duration.Duration): Effect.Effect<Option.Option<A>> {
    return Effect.raceFirst(
      Effect.asSome(self),
      Effect.as(Effect.withClock(Effect.sleep(bound), this.clock), Option.none())
    )
  }

  private exitWithin(bound: Duration.Duration): Effect.Effect<ExitStatus.ExitStatus | undefined> {
    const exit = Effect.map(
      Effect.exit(this.process.exit),
      (status) => Exit.isSuccess(status) ? status.value : undefined
    )
    return Effect.flatMap(this.process.isRunning, (isRunning) =>
      isRunning && Duration.equals(bound, Duration.zero)
        ? Effect.succeed(undefined)
        : Effect.map(this.atMost(exit, Duration.max(bound, exitPatience)), Option.getOrUndefined))
  }

  private hide(text: string): string {
    let hidden = Command.redact(this.command, text)
    for (const secret of this.secrets) hidden = hidden.replaceAll(secret, "<redacted>")
    return hidden
  }

  readonly send: Conversation["send"] = (text) =>
    Effect.suspend(() => {
      if (this.isClosed) {
        return new StdinError({ command: String(this.command), reason: "AlreadyUsed", errno: undefined })
      }
      const plain = Redacted.isRedacted(text) ? Redacted.value(text) : text
      if (Redacted.isRedacted(text) && plain !== "") this.secrets.add(plain)
      this.type(plain)
      return Effect.void
    })

  readonly sendLine: Conversation["sendLine"] = (text = "") =>
    Effect.zipRight(this.send(text), this.send(this.screenOf === undefined ? "\n" : "\r"))

  readonly sendKeys: Conversation["sendKeys"] = (...keys) =>
    Effect.forEach(keys, (key) => Effect.flatMap(this.keySequence(key), this.send), { discard: true })

  private keySequence(key: Key): Effect.Effect<string | Redacted.Redacted<string>> {
    return Effect.suspend(() => {
      if (typeof key === "object") return Effect.succeed(key.text)
      if (this.screenOf === undefined && key === "Enter") return Effect.succeed("\n")
      const sequence = sequenceOf(key, this.screenOf?.applicationCursorKeys ?? false)
      return sequence === undefined
        ? Effect.dieMessage(
          `sendKeys: ${JSON.stringify(key)} is no key; write text as { text: ${JSON.stringify(key)} }`
        )
        : Effect.succeed(sequence)
    })
  }

  readonly closeInput: Effect.Effect<void> = Effect.suspend(() => {
    if (this.isClosed) return Effect.void
    this.isClosed = true
    return Effect.asVoid(Queue.offer(this.typed, null))
  })

  private get screenText(): string {
    return this.screenOf?.text ?? this.transcript.all
  }

  readonly screen: Effect.Effect<string> = Effect.suspend(() => {
    const { screenOf } = this
    if (screenOf === undefined) return Effect.succeed(this.screenText)
    return Effect.async<string>((resume) => screenOf.settled(() => resume(Effect.succeed(screenOf.text))))
  })

  readonly received: Effect.Effect<string> = Effect.sync(() => this.transcript.all)

  readonly resize: Conversation["resize"] = (columns, rows) =>
    Effect.zipRight(this.process.resize(columns, rows), Effect.sync(() => this.screenOf?.resize(columns, rows)))

  get exit(): Process.Process<E>["exit"] {
    return this.process.exit
  }

  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.isClosed = true
    if (this.screenOf === undefined) return Effect.void
    this.screenOf.close()
    // As the window of a terminal does: shells ignore the signal that ends others.
    return Effect.ignore(this.process.signal("SIGHUP"))
  })
}

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
