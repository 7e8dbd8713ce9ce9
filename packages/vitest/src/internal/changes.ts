import * as Effect from "effect/Effect"

/**
 * Something that fibers wait for until it has changed to their liking.
 *
 * @internal
 */
export class Changes {
  private readonly waiting = new Set<() => void>()

  notify(): void {
    for (const wake of [...this.waiting]) wake()
  }

  /** Completes with what `poll` gives once that is not undefined. */
  until<A>(poll: () => A | undefined): Effect.Effect<A> {
    return Effect.suspend(() => {
      const found = poll()
      if (found !== undefined) return Effect.succeed(found)
      return Effect.async<A>((resume) => {
        const wake = () => {
          // Not among the waiting meanwhile: what it polls may wake others.
          this.waiting.delete(wake)
          const found = poll()
          if (found === undefined) this.waiting.add(wake)
          else resume(Effect.succeed(found))
        }
        this.waiting.add(wake)
        return Effect.sync(() => this.waiting.delete(wake))
      })
    })
  }
}
