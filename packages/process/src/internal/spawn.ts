/** From a command to a job: the plan, the engine, and who releases what it gives. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import type { Command } from "../Command.ts"
import { SpawnError, type SpawnServerLost } from "../CommandError.ts"
import type { Engine, SpawnFailure } from "../Engine.ts"
import type { Process } from "../Process.ts"
import type { Spawner } from "./run.ts"
import { specOf, stageName } from "./command.ts"
import { Handle } from "./handle.ts"
import { Job } from "./job.ts"
import { make as makePlan } from "./plan.ts"
import { secretsOf, settingsOf, type Spec } from "./spec.ts"
import { scrub } from "./text.ts"

const engines = new WeakMap<Spawner, Engine>()

/**
 * Remembers the engine of a spawner, so that runners need no scope.
 *
 * @internal
 */
export const register = (spawner: Spawner, engine: Engine): Spawner => {
  engines.set(spawner, engine)
  return spawner
}

/** @internal */
export const spawn = <E, R>(
  engine: Engine,
  command: Command<E, R>
): Effect.Effect<Process<E>, SpawnError | SpawnServerLost, Scope.Scope | R> =>
  Effect.map(
    Effect.acquireRelease(acquire(engine, command), (job) => job.release),
    (job) => new Handle(job)
  )

/**
 * As `spawn` within `Effect.scoped`. A spawner that somebody else made is asked to do just that.
 *
 * @internal
 */
export const withProcess = <E, R, A, E2, R2>(
  spawner: Spawner,
  command: Command<E, R>,
  use: (process: Process<E>) => Effect.Effect<A, E2, R2>
): Effect.Effect<A, E2 | SpawnError | SpawnServerLost, R | Exclude<R2, Scope.Scope>> => {
  const engine = engines.get(spawner)
  if (engine === undefined) return Effect.scoped(Effect.flatMap(spawner.spawn(command), use))
  return Effect.acquireUseRelease(
    acquire(engine, command),
    // It asks for a scope only for what is not ours.
    (job) => use(new Handle(job)) as Effect.Effect<A, E2, Exclude<R2, Scope.Scope>>,
    (job) => job.release
  )
}

const acquire = <E, R>(
  engine: Engine,
  command: Command<E, R>
): Effect.Effect<Job<E>, SpawnError | SpawnServerLost, R> =>
  Effect.flatMap(Effect.zip(engine.environment, Effect.runtime<never>()), ([environment, runtime]) => {
    const spec = specOf(command)
    const planned = makePlan(spec, environment)
    if (Either.isLeft(planned)) return Effect.fail(spawnError(planned.left, spec))
    const plan = planned.right
    const { gracePeriod, killSignal, timeout } = settingsOf(spec)
    const started = engine.clock.unsafeCurrentTimeMillis()
    const { pipes, stages, terminal } = plan
    const request = { stages, pipes, killSignal, gracePeriod, timeout, ...(terminal === undefined ? {} : { terminal }) }
    return Effect.matchEffect(engine.spawn(request), {
      onFailure: (failure) => Effect.fail(failure._tag === "SpawnServerLost" ? failure : spawnError(failure, spec)),
      onSuccess: (running) => {
        const job = new Job<E>(engine, running, spec, plan, started, runtime)
        return Effect.as(job.begin<R>(), job)
      }
    })
  })

const spawnError = ({ detail, errno, index, path, reason, stage }: SpawnFailure, spec: Spec): SpawnError =>
  new SpawnError({
    command: stageName(spec.stages[index ?? 0] ?? spec.stages[0]),
    reason,
    stage,
    errno,
    // The program itself may be redacted, and is then the path that was not found.
    path: path === undefined ? undefined : scrub(path, secretsOf(spec)),
    detail
  })
