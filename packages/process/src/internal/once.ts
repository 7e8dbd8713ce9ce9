import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/**
 * As a `Deferred`, and can be asked and listened to without an Effect: what has happened is not waited for, and no fiber waits
 * where a function can be called.
 *
 * @internal
 */
export class Once<A, E = never> {
  private result: Exit.Exit<A, E> | undefined
  private waiting: ReadonlyArray<(exit: Exit.Exit<A, E>) => void> = []

  get exit(): Exit.Exit<A, E> | undefined {
    return this.result
  }

  get isDone(): boolean {
    return this.result !== undefined
  }

  get succeeded(): boolean {
    return this.result !== undefined && Exit.isSuccess(this.result)
  }

  /** The first call counts. */
  done(exit: Exit.Exit<A, E>): void {
    if (this.result !== undefined) return
    this.result = exit
    const { waiting } = this
    this.waiting = []
    for (const listener of waiting) listener(exit)
  }

  /** Calls back once it has happened, at once where it has. Returns what takes that back. */
  onDone(listener: (exit: Exit.Exit<A, E>) => void): () => void {
    if (this.result === undefined) this.waiting = [...this.waiting, listener]
    else listener(this.result)
    return () => {
      this.waiting = this.waiting.filter((other) => other !== listener)
    }
  }

  get await(): Effect.Effect<A, E> {
    return Effect.suspend(() =>
      this.result ?? Effect.async<A, E>((resume) => {
        const forget = this.onDone(resume)
        return Effect.sync(forget)
      })
    )
  }

  /** As `await`, for who alone has it: one who is interrupted stays on the list, which goes with it. */
  get only(): Effect.Effect<A, E> {
    return Effect.async<A, E>((resume) => void this.onDone(resume))
  }

  /** Whichever way it went. */
  get settled(): Effect.Effect<void> {
    return Effect.suspend(() => this.result === undefined ? Effect.asVoid(Effect.exit(this.await)) : Effect.void)
  }
}
