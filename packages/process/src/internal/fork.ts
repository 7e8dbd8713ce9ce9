/** Fibers beside the caller's. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

/**
 * Forks what must neither end with its caller nor inherit that the caller cannot be interrupted.
 *
 * @internal
 */
export const fork = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Fiber.RuntimeFiber<A, E>, never, R> =>
  Effect.forkDaemon(Effect.interruptible(effect))

/**
 * The first to complete; the other is interrupted, also where the caller cannot be: in a finalizer the loser would
 * otherwise be waited for, for ever.
 *
 * @internal
 */
export const raceFirst = <A, E, R, B, E2, R2>(
  self: Effect.Effect<A, E, R>,
  that: Effect.Effect<B, E2, R2>
): Effect.Effect<A | B, E | E2, R | R2> => Effect.raceFirst(Effect.interruptible(self), Effect.interruptible(that))
