import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import { OutputError } from "../CommandError.ts"
import { type OutputPipe, PipeFailure } from "../Engine.ts"
import { Once } from "./once.ts"
import { pace } from "./pacing.ts"
import type { Tail } from "./text.ts"

type Pieces = Channel.Channel<Chunk.Chunk<Uint8Array>, unknown, OutputError>

const ended: Effect.Effect<Pieces> = Effect.succeed(Channel.void)

/** A pipe that an output is read from, with the end of what came out of it. */
interface Source {
  readonly pipe: OutputPipe
  readonly tail: Tail
}

/**
 * An output of a job: what comes out of one pipe, or of several in order of arrival. Read once, its end kept for error
 * messages, cut when nobody can write it any more.
 *
 * @internal
 */
export class Output {
  readonly tail: Tail
  readonly name: OutputError["stream"]
  /** The reader has come to the end, or nothing is left to read from. */
  readonly end = new Once<void>()
  /** The reader stopped before the end, as `head` does: a writer may die of that. */
  abandoned = false
  private readonly command: () => string
  private readonly sources: ReadonlyArray<Source>
  private open: ReadonlyArray<Source>
  private listener: (() => void) | undefined
  private used = false
  /** Made for who asks: few are read as a Stream, and this outlives the job. See "What V8 keeps" in ARCHITECTURE.md. */
  private pieces: Pieces | undefined

  constructor(command: () => string, name: OutputError["stream"], sources: ReadonlyArray<Source>, tail: Tail) {
    this.command = command
    this.name = name
    this.sources = sources
    this.open = sources
    this.tail = tail
    if (sources.length === 0) this.end.done(Exit.void)
  }

  private error(reason: OutputError["reason"], errno?: string): OutputError {
    return new OutputError({ command: this.command(), stream: this.name, reason, errno })
  }

  private claim(): OutputError | undefined {
    if (this.sources.length === 0) return this.error("NotPiped")
    if (this.used) return this.error("AlreadyUsed")
    this.used = true
    return undefined
  }

  /** As that of a pipe: the next bytes of any of them. */
  private poll(): Uint8Array | PipeFailure | null | undefined {
    for (const source of this.open) {
      const bytes = source.pipe.poll()
      if (bytes === undefined) continue
      if (bytes instanceof PipeFailure) return bytes
      const others = this.open.filter((other) => other !== source)
      if (bytes === null) {
        // Told once more of its end, one that waits for the others would not find anything, again and again.
        source.pipe.listen(undefined)
        this.open = others
        continue
      }
      // The last one to have been read is the next one's turn after all others.
      if (others.length > 0) this.open = [...others, source]
      source.tail.push(bytes)
      if (source.tail !== this.tail) this.tail.push(bytes)
      pace(bytes.length)
      return bytes
    }
    if (this.open.length > 0) return undefined
    this.end.done(Exit.void)
    return null
  }

  private listen(listener: (() => void) | undefined): void {
    this.listener = listener
    for (const source of this.open) {
      // A pipe that has something calls back at once, and the listener may have had enough by that.
      if (this.listener !== listener) return
      if (this.open.includes(source)) source.pipe.listen(listener)
    }
  }

  /**
   * What there is now, or comes next, and so on to the end. Interruption loses nothing: what is taken is returned. A channel of
   * our own, as `Stream.repeatEffectChunkOption` leaves so much behind that full collections have to clear it away.
   */
  private readonly more = (): Pieces => this.pieces ??= Channel.unwrap(Effect.suspend(() => this.take()))

  private take(): Effect.Effect<Pieces, OutputError> {
    const bytes = this.poll()
    // One by one: who splits a chunk into lines has them all in one, and Effect's folds call themselves for each of these.
    if (bytes instanceof Uint8Array) return Effect.succeed(Channel.flatMap(Channel.write(Chunk.of(bytes)), this.more))
    if (bytes === null) return ended
    if (bytes !== undefined) return this.error("Io", bytes.errno)
    return Effect.async<Pieces, OutputError>((resume) => {
      this.listen(() => {
        this.listen(undefined)
        resume(Effect.suspend(() => this.take()))
      })
      return Effect.sync(() => this.listen(undefined))
    })
  }

  private make(): Stream.Stream<Uint8Array, OutputError> {
    const claim = Effect.suspend(() => this.claim() ?? Effect.void)
    return Stream.unwrapScoped(
      Effect.as(
        Effect.acquireRelease(claim, () => Effect.sync(() => this.abandon())),
        Stream.fromChannel(this.more())
      )
    )
  }

  get stream(): Stream.Stream<Uint8Array, OutputError> {
    return Stream.suspend(() => this.make())
  }

  /** As `Stream.runForEach` on `stream`, without a fiber that waits. */
  drain(push: (bytes: Uint8Array) => void, done: (failure: OutputError | undefined) => void): void {
    const refused = this.claim()
    if (refused !== undefined) return done(refused)
    let isDone = false
    const pump = () => {
      while (!isDone) {
        const bytes = this.poll()
        if (bytes === undefined) return
        if (bytes !== null && !(bytes instanceof PipeFailure)) {
          push(bytes)
          continue
        }
        isDone = true
        this.listen(undefined)
        done(bytes === null ? undefined : this.error("Io", bytes.errno))
      }
    }
    this.listen(pump)
    pump()
  }

  get isPiped(): boolean {
    return this.sources.length > 0
  }

  get isUnread(): boolean {
    return !this.used && this.sources.length > 0
  }

  /** Whether bytes wait in a pipe that nobody reads. */
  get holdsUnreadData(): boolean {
    return this.isUnread && this.sources.some(({ pipe }) => pipe.holdsData())
  }

  cut(): void {
    for (const { pipe } of this.sources) pipe.cut()
  }

  close(): void {
    for (const { pipe } of this.sources) pipe.close()
    this.end.done(Exit.void)
  }

  /** A reader who stops early closes the pipe, as `head` does: the writer gets SIGPIPE and need not wait for ever. */
  private abandon(): void {
    if (!this.end.isDone) this.abandoned = true
    this.close()
  }
}
