/** The two sides of a conversation: what is received is looked through, what is sent is typed. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { Command, type ExitStatus, type Process, StdinError } from "effect-process"
import type { Conversation, ExpectOptions, Key } from "../Conversation.ts"
import { ExpectationFailed } from "../ConversationError.ts"
import { hide } from "./bytes.ts"
import { sequenceOf } from "./keys.ts"
import { type AnyPattern, finderOf } from "./patterns.ts"
import { PlainText } from "./plainText.ts"
import { Screen } from "./screen.ts"
import { Transcript } from "./transcript.ts"

/** Characters of what was received that an error keeps. */
const receivedSize = 8 * 1024

/** For the exit status of a program whose output has ended, which mostly is there at once. */
const exitPatience = Duration.millis(250)

/**
 * A conversation with one process: it reads and writes as long as its fibers run, `listen` and `write`.
 *
 * @internal
 */
export class Talk<E> implements Conversation<E> {
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
    return hide(Command.redact(this.command, text), [...this.secrets])
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
