/** An output that is read ahead of its reader: the end of what was written is kept until somebody comes for it. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { OutputError } from "../CommandError.ts"
import { fork } from "./fork.ts"
import { Once } from "./once.ts"

/** The last bytes of a stream, up to a limit, in one buffer that grows to that. */
class LastBytes {
  private readonly limit: number
  private buffer = new Uint8Array(0)
  private start = 0
  size = 0

  constructor(limit: number) {
    this.limit = limit
  }

  /** How many bytes it costs to take these in. */
  push(bytes: Uint8Array): number {
    const last = bytes.subarray(-this.limit)
    const over = Math.max(0, this.size + last.byteLength - this.limit)
    this.drop(over)
    this.reserve(this.size + last.byteLength)
    this.copy((this.start + this.size) % this.buffer.byteLength, last)
    this.size += last.byteLength
    return over + bytes.byteLength - last.byteLength
  }

  private copy(at: number, bytes: Uint8Array): void {
    const first = bytes.subarray(0, this.buffer.byteLength - at)
    this.buffer.set(first, at)
    this.buffer.set(bytes.subarray(first.byteLength), 0)
  }

  private drop(count: number): void {
    if (count === 0) return
    this.start = (this.start + count) % this.buffer.byteLength
    this.size -= count
  }

  private reserve(size: number): void {
    const capacity = this.buffer.byteLength
    if (size <= capacity) return
    const held = this.peek()
    this.buffer = new Uint8Array(Math.min(this.limit, Math.max(4096, 2 * capacity, size)))
    this.buffer.set(held)
    this.start = 0
  }

  /** A copy of all of them. */
  peek(): Uint8Array {
    const all = new Uint8Array(this.size)
    const first = this.buffer.subarray(this.start, Math.min(this.start + this.size, this.buffer.byteLength))
    all.set(first)
    all.set(this.buffer.subarray(0, this.size - first.byteLength), first.byteLength)
    return all
  }

  clear(): void {
    this.buffer = new Uint8Array(0)
    this.start = this.size = 0
  }
}

/**
 * - `limit`: how many bytes are kept at the most
 * - `seen`: is given all bytes in the order of their arrival
 * - `dropped`: runs when the first bytes are dropped
 *
 * @internal
 */
export interface BacklogOptions {
  readonly command: () => string
  readonly name: "stdout" | "stderr"
  readonly limit: number
  readonly seen: (bytes: Uint8Array) => void
  readonly dropped: Effect.Effect<void>
}

/**
 * Reads an output without a reader, so that its writer never waits, and keeps the last bytes. The first reader gets these and
 * then whatever comes, and from then on the writer waits for the reader.
 *
 * @internal
 */
export class Backlog {
  /** The output has ended, or the one who reads it has stopped. */
  readonly end = new Once<void, OutputError>()
  private readonly options: BacklogOptions
  private readonly kept: LastBytes
  /** What came after somebody began to read. At most one piece: the next one is read when this has been taken. */
  private handed: { readonly bytes: Uint8Array; readonly taken: () => void } | undefined
  private wake: (() => void) | undefined
  private used = false
  private hasDropped = false
  private pump: Fiber.RuntimeFiber<unknown, unknown> | undefined

  constructor(options: BacklogOptions) {
    this.options = options
    this.kept = new LastBytes(options.limit)
  }

  /** Not of a scope: what a process writes while it ends is read, too. */
  begin(source: Stream.Stream<Uint8Array, OutputError>): Effect.Effect<void> {
    const pump = Stream.runForEach(source, (bytes) => this.offer(bytes))
    return Effect.map(fork(Effect.onExit(pump, (exit) => this.ended(exit))), (fiber) => {
      this.pump = fiber
    })
  }

  private ended(exit: Exit.Exit<void, OutputError>): Effect.Effect<void> {
    return Effect.sync(() => {
      this.end.done(Exit.isFailure(exit) && Exit.isInterrupted(exit) ? Exit.void : exit)
      this.wake?.()
    })
  }

  private offer(bytes: Uint8Array): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.options.seen(bytes)
      if (this.used) return this.hand(bytes)
      if (this.kept.push(bytes) === 0 || this.hasDropped) return Effect.void
      this.hasDropped = true
      return this.options.dropped
    })
  }

  private hand(bytes: Uint8Array): Effect.Effect<void> {
    return Effect.async((resume) => {
      this.handed = { bytes, taken: () => resume(Effect.void) }
      this.wake?.()
    })
  }

  /** A copy of what is kept. */
  peek(): Uint8Array {
    return this.kept.peek()
  }

  private take(): Uint8Array | undefined {
    if (this.kept.size > 0) {
      const bytes = this.kept.peek()
      this.kept.clear()
      return bytes
    }
    const { handed } = this
    this.handed = undefined
    handed?.taken()
    return handed?.bytes
  }

  private readonly next: Effect.Effect<Uint8Array, Option.Option<OutputError>> = Effect.suspend(() => {
    const bytes = this.take()
    if (bytes !== undefined) return Effect.succeed(bytes)
    const end = this.end.exit
    if (end !== undefined) return Exit.mapError(Exit.zipRight(end, Exit.fail(undefined)), Option.fromNullable)
    return Effect.async((resume) => {
      this.wake = () => {
        this.wake = undefined
        resume(this.next)
      }
      return Effect.sync(() => {
        this.wake = undefined
      })
    })
  })

  /** As that of a handle: read once, and closed by a reader who stops early. */
  get stream(): Stream.Stream<Uint8Array, OutputError> {
    const claim = Effect.suspend(() => {
      const { command, name } = this.options
      const end = this.end.exit
      if (end !== undefined && Exit.isFailure(end)) return end
      if (!this.used) {
        this.used = true
        return Effect.void
      }
      return new OutputError({ command: command(), stream: name, reason: "AlreadyUsed", errno: undefined })
    })
    return Stream.unwrapScoped(
      Effect.as(
        Effect.acquireRelease(claim, () => this.close),
        Stream.repeatEffectOption(this.next)
      )
    )
  }

  /** Nothing more is read or kept. */
  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.kept.clear()
      this.handed = undefined
      return this.pump === undefined ? Effect.void : Effect.asVoid(Fiber.interrupt(this.pump))
    })
  }
}
