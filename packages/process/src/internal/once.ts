import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"

/**
 * As a `Deferred`, and can be asked without an Effect whether it has happened: what has is not waited for, so no fiber is
 * forked and no timer set for it.
 *
 * @internal
 */
export class Once<A, E = never> {
  private result: Exit.Exit<A, E> | undefined
  private readonly waiting = new Set<(exit: Exit.Exit<A, E>) => void>()

  get exit(): Exit.Exit<A, E> | undefined {
    return this.result
  }

  get isDone(): boolean {
    return this.result !== undefined
  }

  /** The first call counts. */
  done(exit: Exit.Exit<A, E>): void {
    if (this.result !== undefined) return
    this.result = exit
    for (const resume of this.waiting) resume(exit)
    this.waiting.clear()
  }

  /** Calls back once it has happened, at once where it has. Returns what takes that back. */
  onDone(listener: (exit: Exit.Exit<A, E>) => void): () => void {
    if (this.result === undefined) this.waiting.add(listener)
    else listener(this.result)
    return () => this.waiting.delete(listener)
  }

  readonly await: Effect.Effect<A, E> = Effect.suspend(() =>
    this.result ?? Effect.async<A, E>((resume) => {
      const forget = this.onDone(resume)
      return Effect.sync(forget)
    })
  )

  /** Whichever way it went. */
  readonly settled: Effect.Effect<void> = Effect.suspend(() =>
    this.result === undefined ? Effect.asVoid(Effect.exit(this.await)) : Effect.void
  )
}
