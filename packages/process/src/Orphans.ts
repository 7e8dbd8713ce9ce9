/**
 * Ends what an earlier owner left behind. As a rule there is nothing: jobs end with their owner, when it is killed by `SIGKILL`
 * too. But who kills owner, spawn server and supervisors together, or owner and watchdog, leaves nobody that could act. What
 * they ran carries the name of its owner in its environment (`EFFECT_PROCESS_OWNER`), and so a later program can end it.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Unkillable } from "./CommandError.ts"
import { find, reap } from "./internal/orphans.ts"
import { printableRow } from "./internal/processTree.ts"
import { durationOf } from "./internal/spec.ts"
import type { ProcessInfo } from "./ProcessInfo.ts"
import { isSignal, type Signal } from "./Signal.ts"

/**
 * A process whose owner is gone.
 *
 * - `owner`: the pid that its owner had, and `mark`, which names it for good: by pid, start time, boot and user
 * - `isMarked`: whether it carries the mark itself, or is a descendant that has lost it of one that does
 *
 * @since 0.1.0
 * @category models
 */
export interface Orphan extends ProcessInfo {
  readonly owner: { readonly pid: number; readonly mark: string }
  readonly isMarked: boolean
}

/**
 * How orphans are ended, and which.
 *
 * - `signal`, `gracePeriod`: as `Command.killSignal` and `Command.gracePeriod` say it for a job. `SIGTERM` and 5 seconds when
 *   nothing is said, or nothing that can be meant (no signal, no finite duration); the settings that the jobs had are not known any
 *   more
 * - `only`: those for which this holds; all when nothing is said
 *
 * @since 0.1.0
 * @category models
 */
export interface ReapOptions {
  readonly signal?: Signal
  readonly gracePeriod?: Duration.DurationInput
  readonly only?: (orphan: Orphan) => boolean
}

/**
 * - `find`: the orphans of this user, in order of their pids
 * - `reap`: ends them, with all that they start meanwhile: the first signal, `SIGKILL` when the grace period is over, and
 *   returns, when they are gone, what they were. At most grace period and kill bound (1 second) after it began it fails with
 *   `Unkillable` if some are left. Several programs may reap at the same time
 *
 * A process is an orphan when the owner that its mark names is gone: no process has that pid, or one that started at another
 * time, or since another boot. Its descendants are too, unless they carry the mark of an owner that lives. Never an orphan are
 * this program itself, what it runs, what runs it, and what was left behind together with it; what a living
 * spawn server, supervisor or watchdog looks after; what another user's owner started; what is in another pid namespace
 * (a container's); what carries no mark, such as all that a person started by hand; and with `markOwner: false` nothing is
 * ever found.
 *
 * @example
 * import { NodeProcess } from "@effect-process/node"
 * import { Effect } from "effect"
 * import { Orphans } from "effect-process"
 *
 * // At the start of a program that may have been killed the last time, its whole control group with it.
 * const program = Effect.gen(function*() {
 *   const ended = yield* Orphans.reap({ gracePeriod: "2 seconds" })
 *   for (const { commandLine, pid } of ended) yield* Effect.logWarning(`ended process ${pid} of an earlier run: ${commandLine}`)
 * })
 *
 * Effect.runPromise(program.pipe(Effect.provide(NodeProcess.layer)))
 *
 * @since 0.1.0
 * @category services
 */
export class Orphans extends Context.Tag("effect-process/Orphans")<Orphans, {
  readonly find: Effect.Effect<ReadonlyArray<Orphan>>
  readonly reap: (options?: ReapOptions) => Effect.Effect<ReadonlyArray<Orphan>, Unkillable>
}>() {
  /**
   * The orphans of this user.
   *
   * @since 0.1.0
   */
  static readonly find: Effect.Effect<ReadonlyArray<Orphan>, never, Orphans> = Effect.flatMap(
    Orphans,
    (orphans) => orphans.find
  )

  /**
   * Ends the orphans of this user.
   *
   * @since 0.1.0
   */
  static readonly reap = (options?: ReapOptions): Effect.Effect<ReadonlyArray<Orphan>, Unkillable, Orphans> =>
    Effect.flatMap(Orphans, (orphans) => orphans.reap(options))
}

/**
 * What a platform sees of one process, as far as it takes to tell whether it is an orphan.
 *
 * - `startTime`: that of its `ProcessInfo`
 * - `owner`: what its mark says, undefined where it has none or may not be looked at. `uid` is the user of the owner
 * - `isKeeper`: it is a spawn server, a supervisor or a watchdog
 * - `keeps`: the mark whose processes it looks after without being above them, as a watchdog does
 *
 * @since 0.1.0
 * @category models
 */
export interface Seen {
  readonly pid: number
  readonly ppid: number
  readonly startTime: number
  readonly isDead: boolean
  readonly isStopped: boolean
  readonly isKeeper: boolean
  readonly keeps: string | undefined
  readonly owner:
    | { readonly pid: number; readonly mark: string; readonly uid: number; readonly isAlive: boolean }
    | undefined
}

/**
 * All processes at one time; `self` is the pid of this one, `uid` its user.
 *
 * @since 0.1.0
 * @category models
 */
export interface Look {
  readonly self: number
  readonly uid: number
  readonly processes: ReadonlyArray<Seen>
}

/**
 * What a platform provides for `Orphans`.
 *
 * - `describe`: the rows of some processes, those that are gone left out
 * - `living`: which of some processes, known by pid and start time, have not ended
 * - `signal`: sends a signal to those of them that are still the same, and returns those for which that was not permitted
 * - `clock`: on which grace periods and bounds run
 *
 * @since 0.1.0
 * @category models
 */
export interface OrphanSource {
  readonly look: Effect.Effect<Look>
  readonly describe: (pids: ReadonlyArray<number>) => Effect.Effect<ReadonlyArray<ProcessInfo>>
  readonly living: (processes: ReadonlyArray<ProcessInfo>) => Effect.Effect<ReadonlyArray<ProcessInfo>>
  readonly signal: (
    processes: ReadonlyArray<ProcessInfo>,
    signal: Signal
  ) => Effect.Effect<ReadonlyArray<ProcessInfo>>
  readonly clock: Clock.Clock
}

/**
 * Puts the policy on what a platform provides.
 *
 * @example
 * import { Clock, Effect, Layer } from "effect"
 * import { Orphans } from "effect-process"
 * import { fromSource } from "effect-process/Orphans"
 *
 * // A system without processes, for a test
 * const none = Layer.succeed(
 *   Orphans,
 *   fromSource({
 *     look: Effect.succeed({ self: 1, uid: 0, processes: [] }),
 *     describe: () => Effect.succeed([]),
 *     living: () => Effect.succeed([]),
 *     signal: () => Effect.succeed([]),
 *     clock: Clock.make()
 *   })
 * )
 *
 * const program = Orphans.find.pipe(Effect.provide(none)) // => []
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromSource = (given: OrphanSource): Context.Tag.Service<Orphans> => {
  const source: OrphanSource = {
    ...given,
    describe: (pids) => Effect.map(given.describe(pids), (rows) => rows.map(printableRow))
  }
  return {
    find: find(source),
    reap: (options) => {
      const signal = isSignal(options?.signal) ? options.signal : "SIGTERM"
      const grace = Option.filter(durationOf(options?.gracePeriod), Duration.isFinite)
      return reap(source, {
        signal,
        grace: Option.getOrElse(grace, () => Duration.seconds(5)),
        only: options?.only ?? (() => true)
      })
    }
  }
}
