/** A pipe without a kernel, between a program that a test made up and whoever reads or writes the other end. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { InputPipe, OutputPipe } from "effect-process/Engine"
import { Changes } from "./changes.ts"

/** As much as a pipe of Linux holds: a writer then waits, so that output which nobody reads stops a program here as well. */
const capacity = 64 * 1024

/** @internal */
export class VirtualPipe {
  /** All that was written and that somebody could still read. */
  readonly written: Array<Uint8Array> = []
  /** Whether its writer comes to an end of its own accord; one in a user's hand may be held open for ever. */
  readonly endsByItself: boolean
  private readonly room: number
  private chunks: Array<Uint8Array> = []
  private held = 0
  private ended = false
  private abandoned = false
  private listener: (() => void) | undefined
  private readonly changes = new Changes()

  constructor(options: { readonly room?: number; readonly endsByItself?: boolean } = {}) {
    this.room = options.room ?? capacity
    this.endsByItself = options.endsByItself ?? true
  }

  get isEnded(): boolean {
    return this.ended
  }

  get isAbandoned(): boolean {
    return this.abandoned
  }

  private changed(): void {
    this.listener?.()
    this.changes.notify()
  }

  until<A>(poll: () => A | undefined): Effect.Effect<A> {
    return this.changes.until(poll)
  }

  /** False when nobody reads any more; waits while the pipe is full. */
  write(bytes: Uint8Array): Effect.Effect<boolean> {
    return this.until(() => {
      if (this.abandoned || this.ended) return false
      if (bytes.byteLength === 0) return true
      if (this.held >= this.room) return undefined
      this.chunks.push(bytes)
      this.written.push(bytes)
      this.held += bytes.byteLength
      this.changed()
      return true
    })
  }

  /** The writers have gone. */
  end(): void {
    if (this.ended) return
    this.ended = true
    this.changed()
  }

  /** The next bytes, `undefined` when there are none yet, `null` at the end. */
  take(): Uint8Array | null | undefined {
    const chunk = this.chunks.shift()
    if (chunk === undefined) return this.ended || this.abandoned ? null : undefined
    this.held -= chunk.byteLength
    this.changed()
    return chunk
  }

  /** The readers have gone. */
  abandon(): void {
    if (this.abandoned) return
    this.abandoned = true
    this.chunks = []
    this.held = 0
    this.changed()
  }

  /** What a program reads: everything to the end. */
  get stream(): Stream.Stream<Uint8Array> {
    return Stream.repeatEffectChunkOption(
      Effect.flatMap(
        this.until(() => this.take()),
        (bytes) => bytes === null ? Effect.fail(Option.none()) : Effect.succeed(Chunk.of(bytes))
      )
    )
  }

  /** The owner's end of a pipe that a program writes. */
  get output(): OutputPipe {
    return {
      poll: () => this.take(),
      listen: (listener) => {
        this.listener = listener
        if (this.chunks.length > 0 || this.ended || this.abandoned) listener?.()
      },
      holdsData: () => this.chunks.length > 0,
      cut: () => this.end(),
      close: () => this.abandon()
    }
  }

  /** The owner's end of a pipe that a program reads. */
  get input(): InputPipe {
    return { write: (bytes) => this.write(bytes), close: () => this.end() }
  }
}
