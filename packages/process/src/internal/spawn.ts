/** From a command to its job: planned, handed to the engine, and bound to a scope. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import type { Command } from "../Command.ts"
import { SpawnError, type SpawnServerLost } from "../CommandError.ts"
import type { Engine, SpawnFailure } from "../Engine.ts"
import type { Process } from "../Process.ts"
import { name as nameOf, specOf, stageName } from "./command.ts"
import { Job } from "./job.ts"
import { make as makePlan } from "./plan.ts"
import { secretsOf, settingsOf, type Spec } from "./spec.ts"
import { scrub } from "./text.ts"

/** @internal */
export const spawn = <E, R>(
  engine: Engine,
  command: Command<E, R>
): Effect.Effect<Process<E>, SpawnError | SpawnServerLost, Scope.Scope | R> =>
  Effect.map(Effect.acquireRelease(acquire(engine, command), (job) => job.release), (job) => job.handle)

const acquire = <E, R>(
  engine: Engine,
  command: Command<E, R>
): Effect.Effect<Job<E>, SpawnError | SpawnServerLost, R> =>
  Effect.gen(function*() {
    const spec = specOf(command)
    const planned = makePlan(spec, yield* engine.environment)
    const started = engine.clock.unsafeCurrentTimeMillis()
    const failed = (failure: SpawnFailure | SpawnServerLost) =>
      failure._tag === "SpawnServerLost" ? failure : spawnError(failure, spec)
    if (Either.isLeft(planned)) return yield* failed(planned.left)
    const plan = planned.right
    const { gracePeriod, killSignal, timeout } = settingsOf(spec)
    const request = { stages: plan.stages, pipes: plan.pipes, killSignal, gracePeriod, timeout }
    const running = yield* Effect.mapError(engine.spawn(request), failed)
    const job = new Job<E>(engine, running, spec, plan, nameOf(command), started)
    yield* job.begin<R>()
    return job
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
