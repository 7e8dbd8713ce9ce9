import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { OutputError } from "../CommandError.ts"
import type { OutputPipe } from "../Engine.ts"
import { Once } from "./once.ts"
import type { Tail } from "./text.ts"

const outputs = new WeakMap<Stream.Stream<Uint8Array, OutputError>, Output>()

/**
 * The output behind a stream of ours: read without the machinery of a Stream, which would be a third of the whole time of a
 * short command.
 *
 * @internal
 */
export const outputOf = (stream: Stream.Stream<Uint8Array, OutputError>): Output | undefined => outputs.get(stream)

/**
 * An output of a job: read once, its end kept for error messages, cut when nobody can write it any more.
 *
 * @internal
 */
export class Output {
  readonly tail: Tail
  readonly name: "stdout" | "stderr"
  private readonly command: string
  private readonly pipe: Option.Option<OutputPipe>
  /** The reader has come to the end, or nothing is left to read from. */
  readonly end = new Once<void>()
  private used = false

  constructor(command: string, name: "stdout" | "stderr", pipe: Option.Option<OutputPipe>, tail: Tail) {
    this.command = command
    this.name = name
    this.pipe = pipe
    this.tail = tail
    if (Option.isNone(pipe)) this.end.done(Exit.void)
    outputs.set(this.stream, this)
  }

  private error(reason: OutputError["reason"], errno?: string): OutputError {
    return new OutputError({ command: this.command, stream: this.name, reason, errno })
  }

  private get claim(): Effect.Effect<OutputPipe, OutputError> {
    return Effect.suspend(() => {
      if (Option.isNone(this.pipe)) return this.error("NotPiped")
      if (this.used) return this.error("AlreadyUsed")
      this.used = true
      return Effect.succeed(this.pipe.value)
    })
  }

  /** The next bytes, or none at the end. */
  private next(pipe: OutputPipe): Effect.Effect<Uint8Array | undefined, OutputError> {
    return Effect.matchEffect(pipe.read, {
      onFailure: ({ errno }) => this.error("Io", errno),
      onSuccess: (bytes) => {
        if (Option.isSome(bytes)) this.tail.push(bytes.value)
        else this.end.done(Exit.void)
        return Effect.succeed(Option.getOrUndefined(bytes))
      }
    })
  }

  // A reader who stops early closes the pipe, as `head` does: the writer gets SIGPIPE and need not wait for ever.

  private make(): Stream.Stream<Uint8Array, OutputError> {
    return Stream.unwrapScoped(
      Effect.map(Effect.acquireRelease(this.claim, () => this.close), (pipe) =>
        Stream.repeatEffectOption(
          Effect.matchEffect(this.next(pipe), {
            onFailure: (error) => Effect.fail(Option.some(error)),
            onSuccess: (bytes) => bytes === undefined ? Effect.fail(Option.none()) : Effect.succeed(bytes)
          })
        ))
    )
  }

  readonly stream: Stream.Stream<Uint8Array, OutputError> = Stream.suspend(() => this.make())

  /** As `Stream.runForEach` on `stream`, without a fiber that waits. */
  drain(push: (bytes: Uint8Array) => void, done: (failure: OutputError | undefined) => void): void {
    if (Option.isNone(this.pipe)) return done(this.error("NotPiped"))
    if (this.used) return done(this.error("AlreadyUsed"))
    this.used = true
    this.pipe.value.drain(
      (bytes) => {
        this.tail.push(bytes)
        push(bytes)
      },
      (failure) => {
        this.end.done(Exit.void)
        done(failure && this.error("Io", failure.errno))
      }
    )
  }

  get isUnread(): boolean {
    return !this.used && Option.isSome(this.pipe)
  }

  /** Whether bytes wait in a pipe that nobody reads. */
  get holdsUnreadData(): Effect.Effect<boolean> {
    return Effect.suspend(() =>
      this.used || Option.isNone(this.pipe) ? Effect.succeed(false) : this.pipe.value.holdsData
    )
  }

  get cut(): Effect.Effect<void> {
    return this.with((pipe) => pipe.cut)
  }

  get close(): Effect.Effect<void> {
    return this.with((pipe) => Effect.tap(pipe.close, () => this.end.done(Exit.void)))
  }

  private with(f: (pipe: OutputPipe) => Effect.Effect<unknown>): Effect.Effect<void> {
    return Option.match(this.pipe, { onNone: () => Effect.void, onSome: (pipe) => Effect.asVoid(f(pipe)) })
  }
}
