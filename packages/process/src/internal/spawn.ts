/** From a command to a job: the plan, the engine, and who releases what it gives. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type { Command } from "../Command.ts"
import { SpawnError, type SpawnServerLost } from "../CommandError.ts"
import type { Engine, SpawnFailure } from "../Engine.ts"
import type { Process } from "../Process.ts"
import type { Spawner } from "./run.ts"
import { specOf, stageName } from "./command.ts"
import { dryRun, withoutStreams } from "./dryRun.ts"
import { Handle } from "./handle.ts"
import { Job } from "./job.ts"
import { type Judge, Observation } from "./observation.ts"
import { make as makePlan } from "./plan.ts"
import { traceVariables } from "./span.ts"
import { secretsOf, settingsOf, type Spec } from "./spec.ts"
import { printable, scrub } from "./text.ts"

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
export const engineOf = (spawner: Spawner): Engine | undefined => engines.get(spawner)

/** @internal */
export const spawn = <E, R>(
  engine: Engine,
  command: Command<E, R>
): Effect.Effect<Process<E>, SpawnError | SpawnServerLost, Scope.Scope | R> =>
  Effect.map(
    Effect.acquireRelease(acquire(engine, command, "handle"), (job) => job.release),
    (job) => new Handle(job)
  )

/**
 * As `spawn`, for a runner that tells the job what it makes of it, or else what its scope ends with.
 *
 * @internal
 */
export const spawnFor = <E, R>(
  spawner: Spawner,
  command: Command<E, R>
): Effect.Effect<Process<E>, SpawnError | SpawnServerLost, Scope.Scope | R> => {
  const engine = engines.get(spawner)
  if (engine === undefined) return spawner.spawn(command)
  return Effect.map(
    Effect.acquireRelease(acquire(engine, command, "runner"), releaseOf),
    (job) => new Handle(job)
  )
}

const releaseOf = <E>(job: Job<E>, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  Effect.map(job.release, () => job.observed.judged(exit))

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
  // It asks for a scope only for what is not ours.
  const useJob = use as (process: Process<E>) => Effect.Effect<A, E2, Exclude<R2, Scope.Scope>>
  // As `Effect.acquireUseRelease`, but for a job that has ended by itself nothing is run to release it.
  return Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      acquire(engine, command, "runner"),
      (job) =>
        Effect.matchCauseEffect(restore(usedOnce(job, useJob)), {
          onFailure: (cause) => released(job, Exit.failCause(cause)),
          onSuccess: (value) => released(job, Exit.succeed(value))
        })
    )
  )
}

/** Lets go of the job once it is used, as what `restore` is given stays. See "What V8 keeps" in ARCHITECTURE.md. */
const usedOnce = <E, A, E2, R2>(
  job: Job<E>,
  use: (process: Process<E>) => Effect.Effect<A, E2, R2>
): Effect.Effect<A, E2, R2> => {
  let held: Job<E> | undefined = job
  return Effect.suspend(() => {
    const handle = new Handle(held!)
    held = undefined
    return use(handle)
  })
}

const released = <E, A, E2>(job: Job<E>, exit: Exit.Exit<A, E2>): Effect.Effect<A, E2> => {
  if (job.releaseNow()) {
    job.observed.judged(exit)
    return exit
  }
  return Effect.matchCauseEffect(releaseOf(job, exit), {
    onFailure: (cause) => Exit.failCause(Exit.isFailure(exit) ? Cause.sequential(exit.cause, cause) : cause),
    onSuccess: () => exit
  })
}

const acquire = <E, R>(
  engine: Engine,
  command: Command<E, R>,
  judge: Judge
): Effect.Effect<Job<E>, SpawnError | SpawnServerLost, R> =>
  Effect.flatMap(
    engine.environment,
    (environment) =>
      Effect.withFiberRuntime<Job<E>, SpawnError | SpawnServerLost, R>((fiber, { runtimeFlags }) => {
        const runtime = Runtime.make({ context: fiber.currentContext, runtimeFlags, fiberRefs: fiber.getFiberRefs() })
        const spec = specOf(command)
        const isDry = engine === dryRun
        const observed = new Observation(spec, runtime, engine.clock, judge, isDry)
        const notStarted = (error: SpawnError | SpawnServerLost) => {
          observed.notStarted(error)
          return Effect.fail(error)
        }
        const planned = makePlan(spec, environment, traceVariables(observed.parent, environment))
        if (Either.isLeft(planned)) return notStarted(spawnError(planned.left, spec))
        const plan = isDry ? withoutStreams(planned.right) : planned.right
        const { gracePeriod, killSignal, timeout } = settingsOf(spec)
        const started = engine.clock.unsafeCurrentTimeMillis()
        const { pipes, stages, terminal } = plan
        return Effect.matchEffect(
          engine.spawn({
            stages,
            pipes,
            killSignal,
            gracePeriod,
            timeout,
            secrets: secretsOf(spec),
            ...(terminal === undefined ? {} : { terminal })
          }),
          {
            onFailure: (failure) =>
              notStarted(failure._tag === "SpawnServerLost" ? failure : spawnError(failure, spec)),
            onSuccess: (running) => {
              observed.started(running)
              const job = new Job<E>(engine, running, spec, plan, started, runtime, observed)
              const begin = job.begin<R>()
              return begin === undefined ? Effect.succeed(job) : Effect.as(begin, job)
            }
          }
        )
      })
  )

const spawnError = ({ detail, errno, index, path, reason, stage }: SpawnFailure, spec: Spec): SpawnError =>
  new SpawnError({
    command: stageName(spec.stages[index ?? 0] ?? spec.stages[0]),
    reason,
    stage,
    errno,
    // The program itself may be redacted, and is then the path that was not found.
    path: path === undefined ? undefined : scrub(path, secretsOf(spec)),
    // Names of files may be a child's doing.
    detail: printable(scrub(detail, secretsOf(spec)))
  })
