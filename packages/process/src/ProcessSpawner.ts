/**
 * The service that runs commands. `@effect-process/node` has layers of it.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Command } from "./Command.ts"
import type { SpawnError, SpawnServerLost } from "./CommandError.ts"
import type { Engine, Guarantees } from "./Engine.ts"
import { dryRun } from "./internal/dryRun.ts"
import * as internal from "./internal/spawn.ts"
import type { Process } from "./Process.ts"

/**
 * Starts commands on an engine, in scopes.
 *
 * - `spawn`: starts a command; the closing scope ends it. What the command leaves open is a pipe
 * - `connect`: whether a TCP connection to the port succeeds; not where there can be none, as to port 0
 * - `clock`: that of the engine, on which grace periods, bounds, deadlines and warnings run: live for real engines whatever
 *   test services are installed
 * - `guarantees`: what the engine keeps
 *
 * @example
 * import { Effect } from "effect"
 * import { ProcessSpawner } from "effect-process"
 *
 * const program = Effect.map(ProcessSpawner, ({ guarantees }) => guarantees.ownerDeath) // => "supervisor"
 *
 * @since 0.1.0
 * @category services
 */
export class ProcessSpawner extends Context.Tag("effect-process/ProcessSpawner")<ProcessSpawner, {
  readonly spawn: <E, R>(
    command: Command<E, R>
  ) => Effect.Effect<Process<E>, SpawnError | SpawnServerLost, Scope.Scope | R>
  readonly connect: (port: number, host: string) => Effect.Effect<boolean>
  readonly clock: Clock.Clock
  readonly guarantees: Guarantees
}>() {
  /**
   * Starts nothing. Each command is logged (level info) as a line for a shell, with its directory, variables and files and with
   * redacted values hidden, and has then exited with code 0, without output; `guarantees.engine` is `dry-run`. What would fail
   * before anything was forked fails here too (`InvalidArgument`).
   *
   * No Stream that a command reads is run, no Sink is fed, no file of `Stdio.file` is opened, and there are no spans and no
   * metrics. A handle has exited at once; its pid is 2147483647, which no process has. `connect` says yes. A runner that
   * decodes the output, as `Command.json`, gets the empty one. `Command.startReady` logs the server and fails with `NotReady`.
   *
   * @example
   * import { Effect } from "effect"
   * import { Command, ProcessSpawner } from "effect-process"
   *
   * const clean = Command.make("rm", "-r", "build dir").pipe(Command.workingDirectory("/srv/app"), Command.exitCode)
   *
   * // Logs: would run: (cd /srv/app && rm -r 'build dir')
   * Effect.runPromise(clean.pipe(Effect.provide(ProcessSpawner.dryRun))) // => 0
   *
   * @since 0.1.0
   */
  static readonly dryRun: Layer.Layer<ProcessSpawner> = Layer.sync(ProcessSpawner, () => fromEngine(dryRun))
}

/**
 * Puts the policy (deadlines, escalation, bounds, errors) on an engine.
 *
 * @example
 * import { Layer } from "effect"
 * import { type Engine, ProcessSpawner } from "effect-process"
 * import { fromEngine } from "effect-process/ProcessSpawner"
 *
 * const layerOf = (engine: Engine.Engine) => Layer.succeed(ProcessSpawner, fromEngine(engine))
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromEngine = (engine: Engine): Context.Tag.Service<ProcessSpawner> =>
  internal.register({
    spawn: (command) => internal.spawn(engine, command),
    connect: engine.connect,
    clock: engine.clock,
    guarantees: engine.guarantees
  }, engine)

/**
 * The engine below a spawner that `fromEngine` made. What stands between the two, such as a recorder, wraps the engine and
 * puts the policy on it again. None for a spawner that was made in another way.
 *
 * @example
 * import { Effect, Layer } from "effect"
 * import { Engine, ProcessSpawner } from "effect-process"
 * import { engineOf, fromEngine } from "effect-process/ProcessSpawner"
 *
 * // Prints the programs that are spawned.
 * const tracing = (engine: Engine.Engine): Engine.Engine => ({
 *   ...engine,
 *   spawn: (request) => Effect.zipRight(Effect.log(request.stages.map(({ file }) => file)), engine.spawn(request))
 * })
 *
 * const layer = Layer.effect(
 *   ProcessSpawner,
 *   Effect.flatMap(ProcessSpawner, (spawner) => Effect.map(engineOf(spawner), (engine) => fromEngine(tracing(engine))))
 * )
 *
 * @since 0.1.0
 * @category getters
 */
export const engineOf = (spawner: Context.Tag.Service<ProcessSpawner>): Option.Option<Engine> =>
  Option.fromNullable(internal.engineOf(spawner))
