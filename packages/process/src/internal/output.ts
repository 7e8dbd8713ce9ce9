import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { OutputError } from "../CommandError.ts"
import type { OutputPipe } from "../Engine.ts"
import type { Tail } from "./text.ts"

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
  private readonly end = Deferred.unsafeMake<void>(FiberId.none)
  private used = false

  constructor(command: string, name: "stdout" | "stderr", pipe: Option.Option<OutputPipe>, tail: Tail) {
    this.command = command
    this.name = name
    this.pipe = pipe
    this.tail = tail
    if (Option.isNone(pipe)) Deferred.unsafeDone(this.end, Effect.void)
  }

  private error(reason: OutputError["reason"], errno?: string): OutputError {
    return new OutputError({ command: this.command, stream: this.name, reason, errno })
  }

  get stream(): Stream.Stream<Uint8Array, OutputError> {
    return Stream.unwrapScoped(Effect.suspend(() => {
      if (Option.isNone(this.pipe)) return this.error("NotPiped")
      if (this.used) return this.error("AlreadyUsed")
      this.used = true
      const pipe = this.pipe.value
      const read = pipe.read.pipe(
        Effect.mapError(({ errno }) => Option.some(this.error("Io", errno))),
        Effect.flatMap((bytes) => {
          if (Option.isSome(bytes)) {
            this.tail.push(bytes.value)
            return Effect.succeed(bytes.value)
          }
          Deferred.unsafeDone(this.end, Effect.void)
          return Effect.fail(Option.none())
        })
      )
      // A reader who stops early closes the pipe, as `head` does: the writer gets SIGPIPE and need not wait for ever.
      return Effect.as(Effect.addFinalizer(() => this.close), Stream.repeatEffectOption(read))
    }))
  }

  /** Completes when the reader has come to the end, or nothing is left to read from. */
  get ended(): Effect.Effect<void> {
    return Deferred.await(this.end)
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
    return this.with((pipe) => Effect.zipRight(pipe.close, Deferred.succeed(this.end, undefined)))
  }

  private with(f: (pipe: OutputPipe) => Effect.Effect<unknown>): Effect.Effect<void> {
    return Option.match(this.pipe, { onNone: () => Effect.void, onSome: (pipe) => Effect.asVoid(f(pipe)) })
  }
}
