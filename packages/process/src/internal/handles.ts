/** What runners know of a process of ours beyond its handle. */
import type * as Effect from "effect/Effect"
import type { SpawnServerLost, TimedOut } from "../CommandError.ts"
import type { StageResult } from "../CommandResult.ts"
import type { ExitStatus } from "../ExitStatus.ts"
import type { Process } from "../Process.ts"
import type { Once } from "./once.ts"

/** @internal */
export interface Internals<E> {
  /** Says nothing of unread output, and can be listened to without a fiber that waits. */
  readonly exit: Once<ExitStatus, E | TimedOut | SpawnServerLost>
  /** Completes with the last output Sink. Who takes it is told of their failures. */
  readonly sinks: Effect.Effect<void, E>
  /** Of `stages`, the one that makes the job a failure. */
  readonly failed: () => StageResult | undefined
}

const internals = new WeakMap<Process<unknown>, unknown>()

/** @internal */
export const know = <E>(process: Process<E>, own: Internals<E>): void => void internals.set(process, own)

/** @internal */
export const internalsOf = <E>(process: Process<E>): Internals<E> | undefined =>
  // Set by the handle, with the type of its own errors.
  internals.get(process) as Internals<E> | undefined
