import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { StdinError } from "../CommandError.ts"
import type { InputPipe } from "../Engine.ts"
import { encode } from "./text.ts"

/**
 * The stdin of a job, or another descriptor that it reads: run once, closed by us only when the input ended successfully or the job has gone.
 *
 * @internal
 */
export class Input {
  private readonly command: () => string
  private readonly name: string
  private readonly pipe: InputPipe | undefined
  private readonly onFailure: Effect.Effect<void>
  private used = false

  constructor(command: () => string, name: string, pipe: InputPipe | undefined, onFailure: Effect.Effect<void>) {
    this.command = command
    this.name = name
    this.pipe = pipe
    this.onFailure = onFailure
  }

  private error(reason: StdinError["reason"], errno?: string): StdinError {
    return new StdinError({ command: this.command(), reason, errno })
  }

  private get claim(): Effect.Effect<InputPipe, StdinError> {
    return Effect.suspend(() => {
      if (this.pipe === undefined) return this.error("NotPiped")
      if (this.used) return this.error("AlreadyUsed")
      this.used = true
      return Effect.succeed(this.pipe)
    })
  }

  /** What the handle offers. An input that does not come to its end ends the job, with stdin still open. */
  get sink(): Sink.Sink<void, Uint8Array, never, StdinError> {
    return Sink.unwrapScoped(Effect.gen(this, function*() {
      const pipe = yield* this.claim
      let complete = false
      yield* Effect.addFinalizer(() => complete ? Effect.void : this.onFailure)
      const write = (bytes: Uint8Array) => Effect.mapError(pipe.write(bytes), ({ errno }) => this.error("Io", errno))
      return Sink.forEachWhile(write).pipe(
        Sink.ignoreLeftover,
        Sink.mapEffect(() =>
          Effect.sync(() => {
            complete = true
            pipe.close()
          })
        )
      )
    }))
  }

  /**
   * Writes the Stream that a command was given. When the pipe itself fails, which no child can cause, the job is ended
   * and a log says why: the failures of `exit` are the Stream's.
   */
  feed<E, R>(input: Stream.Stream<Uint8Array | string, E, R>): Effect.Effect<void, E, R> {
    return Effect.flatMap(Effect.either(this.claim), (claimed) => {
      if (Either.isLeft(claimed)) return Effect.void
      const pipe = claimed.right
      const write = (part: Uint8Array | string) =>
        Effect.catchAll(
          pipe.write(typeof part === "string" ? encode(part) : part),
          ({ errno }) =>
            Effect.logError(`${this.command()}: ${this.name}: input or output error (${errno})`).pipe(
              Effect.zipRight(this.onFailure),
              Effect.zipRight(Effect.never)
            )
        )
      return Effect.map(Stream.runForEachWhile(input, write), () => pipe.close())
    })
  }

  close(): void {
    this.pipe?.close()
  }
}
