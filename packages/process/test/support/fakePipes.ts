/** Both ends of a job's pipes: what the library reads and writes, and what the "program" of a test does at the other end. */
import * as Effect from "effect/Effect"
import type * as Engine from "../../src/Engine.ts"
import { PipeFailure } from "../../src/Engine.ts"

const bytesOf = (data: string | Uint8Array) => typeof data === "string" ? new TextEncoder().encode(data) : data

/** Something that fibers wait for until it has changed. */
class Changes {
  private readonly waiters = new Set<() => void>()
  listener: (() => void) | undefined

  notify(): void {
    this.listener?.()
    for (const wake of [...this.waiters]) wake()
  }

  /** Completes with what `poll` returns once that is not undefined. */
  until<A>(poll: () => A | undefined): Effect.Effect<A> {
    return Effect.suspend(() => {
      // Not as an async that resumes at once: a fiber that does so again and again never lets another one run.
      const found = poll()
      return found === undefined ? this.wait(poll) : Effect.succeed(found)
    })
  }

  private wait<A>(poll: () => A | undefined): Effect.Effect<A> {
    return Effect.async((resume) => {
      const wake = () => {
        // Not among the waiters meanwhile: what it polls may notify.
        this.waiters.delete(wake)
        const found = poll()
        if (found === undefined) this.waiters.add(wake)
        else resume(Effect.succeed(found))
      }
      this.waiters.add(wake)
      return Effect.sync(() => this.waiters.delete(wake))
    })
  }
}

/** Until when the pipe is held open: the exit of the leader, the end of the last descendant, or for ever. */
export type Holder = "leader" | "descendant" | "foreigner"

export class FakeOutput implements Engine.OutputPipe {
  holder: Holder = "leader"
  /** How many bytes the pipe takes before a writer waits. */
  capacity = Infinity
  closed = false
  wasCut = false
  private chunks: Array<Uint8Array> = []
  private ended = false
  private failure: PipeFailure | undefined
  private readonly changes = new Changes()
  private readonly record: (what: string) => void

  constructor(record: (what: string) => void) {
    this.record = record
  }

  get held(): number {
    return this.chunks.reduce((n, chunk) => n + chunk.byteLength, 0)
  }

  /** What the child does: waits while the pipe is full, and tells whether somebody could still read it. */
  write(data: string | Uint8Array): Effect.Effect<boolean> {
    return this.changes.until(() => {
      if (this.closed || this.ended) return false
      if (this.held >= this.capacity) return undefined
      this.chunks.push(bytesOf(data))
      return true
    }).pipe(Effect.tap(() => Effect.sync(() => this.changes.notify())))
  }

  readonly end: Effect.Effect<void> = Effect.sync(() => this.finish())

  private finish(): void {
    this.ended = true
    this.changes.notify()
  }

  fail(errno: string): Effect.Effect<void> {
    return Effect.sync(() => {
      this.failure = new PipeFailure({ errno })
      this.changes.notify()
    })
  }

  readonly poll: Engine.OutputPipe["poll"] = () => {
    const chunk = this.chunks.shift()
    if (chunk !== undefined) {
      this.changes.notify()
      return chunk
    }
    return this.failure ?? (this.ended || this.closed ? null : undefined)
  }

  readonly listen: Engine.OutputPipe["listen"] = (listener) => {
    this.changes.listener = listener
    if (this.chunks.length > 0 || this.ended || this.closed || this.failure !== undefined) listener?.()
  }

  readonly holdsData = () => this.chunks.length > 0

  readonly cut = () => {
    if (!this.ended && !this.closed) {
      this.wasCut = true
      this.record("cut")
    }
    this.finish()
  }

  readonly close = () => {
    if (!this.closed) this.record("close")
    this.closed = true
    this.chunks = []
    this.finish()
  }
}

export class FakeInput implements Engine.InputPipe {
  received = ""
  closed = false
  /** What becomes of a write: the child reads, does not read, has closed its end, or the system refuses. */
  mode: "reads" | "blocks" | "gone" | "fails" = "reads"
  private readonly changes = new Changes()
  private readonly record: (what: string) => void

  constructor(record: (what: string) => void) {
    this.record = record
  }

  set(mode: FakeInput["mode"]): Effect.Effect<void> {
    return Effect.sync(() => {
      this.mode = mode
      this.changes.notify()
    })
  }

  readonly write: Engine.InputPipe["write"] = (bytes) =>
    Effect.flatten(this.changes.until((): Effect.Effect<boolean, PipeFailure> | undefined => {
      if (this.mode === "gone" || this.closed) return Effect.succeed(false)
      if (this.mode === "fails") return Effect.fail(new PipeFailure({ errno: "EIO" }))
      if (this.mode === "blocks") return undefined
      this.received += new TextDecoder().decode(bytes)
      this.changes.notify()
      return Effect.succeed(true)
    }))

  readonly close = () => {
    if (!this.closed) this.record("close")
    this.closed = true
    this.changes.notify()
  }

  /** What a child that reads its stdin waits for. */
  readonly endOfFile: Effect.Effect<void> = this.changes.until(() => this.closed ? true : undefined).pipe(Effect.asVoid)

  awaitReceived(text: string): Effect.Effect<void> {
    return Effect.asVoid(this.changes.until(() => this.received.includes(text) ? true : undefined))
  }
}
