/**
 * The layers that run commands on Node.js.
 *
 * @since 0.1.0
 */
import type { CommandExecutor } from "@effect/platform/CommandExecutor"
import type { FileSystem } from "@effect/platform/FileSystem"
import type { Path } from "@effect/platform/Path"
import type { Terminal } from "@effect/platform/Terminal"
import type { WorkerManager } from "@effect/platform/Worker"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { type EngineUnavailable, Orphans, ProcessSpawner, ProcessTable } from "effect-process"
import type { Engine } from "effect-process/Engine"
import { fromSource as orphansFrom } from "effect-process/Orphans"
import { fromEngine } from "effect-process/ProcessSpawner"
import { fromSource as tableFrom } from "effect-process/ProcessTable"
import * as childProcess from "./internal/childProcessEngine.ts"
import * as commandExecutor from "./internal/commandExecutor.ts"
import * as orphans from "./internal/orphans.ts"
import * as processTable from "./internal/processTable.ts"
import * as spawnServer from "./internal/spawnServerEngine.ts"

/**
 * What the layers can be told.
 *
 * - `markOwner`: whether children carry `EFFECT_PROCESS_OWNER` in their environment (pid, start time and boot id of the
 *   owner, its user), by which the watchdog finds what the owner could not register before it died, and `Orphans` what is left
 *   when nobody was there to end it. True when nothing is said.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly markOwner?: boolean
}

/**
 * What the layers provide: commands, a view of what runs on this system, and a look at what an earlier owner left behind.
 *
 * @since 0.1.0
 * @category models
 */
export type Services = ProcessSpawner | ProcessTable | Orphans

const services = (
  engine: Effect.Effect<Engine, EngineUnavailable, Scope.Scope>,
  binary?: string
): Layer.Layer<Services, EngineUnavailable> =>
  Layer.scopedContext(
    Effect.map(engine, (engine) =>
      Context.make(ProcessSpawner, fromEngine(engine)).pipe(
        Context.add(ProcessTable, tableFrom(processTable.sourceOf(engine, binary))),
        Context.add(Orphans, orphansFrom(orphans.source))
      ))
  )

/**
 * As `layerChildProcess`, with options.
 *
 * @example
 * import { NodeProcess } from "@effect-process/node"
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * const layer = NodeProcess.layerChildProcessWith({ markOwner: false })
 *
 * const program = Command.string(Command.make("echo", "hi")).pipe(Effect.provide(layer)) // => "hi\n"
 *
 * @since 0.1.0
 * @category layers
 */
export const layerChildProcessWith = (options: Options): Layer.Layer<Services, EngineUnavailable> =>
  services(childProcess.make(options))

/**
 * The engine on `node:child_process`. Each job has a session and process group of its own; a watchdog, one small shell for
 * the layer, ends the jobs when the owner dies, however it dies. Fails on Windows.
 *
 * @example
 * import { NodeProcess } from "@effect-process/node"
 * import { Effect } from "effect"
 * import { ProcessSpawner } from "effect-process"
 *
 * const program = Effect.map(ProcessSpawner, ({ guarantees }) => guarantees.reach).pipe(
 *   Effect.provide(NodeProcess.layerChildProcess)
 * ) // => "group"
 *
 * @since 0.1.0
 * @category layers
 */
export const layerChildProcess: Layer.Layer<Services, EngineUnavailable> = layerChildProcessWith({})

/**
 * What the layers on the spawn server can be told.
 *
 * - `binary`: path of the program; when nothing is said, the one that was built with `@effect-process/spawn-server`
 *
 * @since 0.1.0
 * @category models
 */
export interface SpawnServerOptions extends Options {
  readonly binary?: string
}

/**
 * As `layerSpawnServer`, with options.
 *
 * @example
 * import { NodeProcess } from "@effect-process/node"
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * const layer = NodeProcess.layerSpawnServerWith({ binary: "/nowhere/effect-process-spawn-server" })
 *
 * const program = Command.string(Command.make("echo", "hi")).pipe(
 *   Effect.provide(layer),
 *   Effect.catchTag("EngineUnavailable", () => Effect.succeed("it is not there"))
 * ) // => "it is not there"
 *
 * @since 0.1.0
 * @category layers
 */
export const layerSpawnServerWith = (options: SpawnServerOptions): Layer.Layer<Services, EngineUnavailable> =>
  services(spawnServer.make(options), options.binary)

/**
 * The engine on the spawn server, a small C program that forks on behalf of this one, with a supervisor for each job: every
 * descendant is found and ended, deadlines fire while the event loop is blocked, and nothing outlives its owner. Fails
 * where the program is missing or does not run, and elsewhere than on Linux.
 *
 * @example
 * import { NodeProcess } from "@effect-process/node"
 * import { Effect } from "effect"
 * import { ProcessSpawner } from "effect-process"
 *
 * const program = Effect.map(ProcessSpawner, ({ guarantees }) => guarantees.reach).pipe(
 *   Effect.provide(NodeProcess.layerSpawnServer)
 * ) // => "descendants"
 *
 * @since 0.1.0
 * @category layers
 */
export const layerSpawnServer: Layer.Layer<Services, EngineUnavailable> = layerSpawnServerWith({})

/**
 * As `layer`, with options.
 *
 * @example
 * import { NodeProcess } from "@effect-process/node"
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * // Children do not see whose they are.
 * const layer = NodeProcess.layerWith({ markOwner: false })
 *
 * const program = Command.exitCode(Command.make("printenv", "EFFECT_PROCESS_OWNER")).pipe(Effect.provide(layer)) // => 1
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWith = (options: SpawnServerOptions): Layer.Layer<Services, EngineUnavailable> =>
  services(
    spawnServer.make(options).pipe(
      Effect.catchTag("EngineUnavailable", ({ message }) =>
        Effect.tap(childProcess.make(options), () =>
          Effect.logWarning(
            `${message}; the engine on node:child_process serves. What is weaker: descendants that leave the process group ` +
              "are not ended, a deadline waits while the event loop is blocked, limits, nice and umask are refused, and " +
              "core dumps, real-time signals and exact resource usage are not told"
          )))
    ),
    options.binary
  )

/**
 * The spawn server where it starts, else `layerChildProcess` and one warning that names what is weaker.
 *
 * @example
 * import { NodeProcess } from "@effect-process/node"
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * const program = Command.string(Command.make("echo", "hi")).pipe(Effect.provide(NodeProcess.layer))
 *
 * Effect.runPromise(program) // => "hi\n"
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Services, EngineUnavailable> = layerWith({})

/**
 * As `NodeContext.layer` of `@effect/platform-node`, with the executor and the spawner of this library: the one line that a
 * program written against `@effect/platform` changes. Dies with `EngineUnavailable` where no engine runs.
 *
 * Takes `@effect/platform-node`, which is loaded when the layer is built, and which nothing else here needs.
 *
 * @example
 * import { Command, FileSystem } from "@effect/platform"
 * import { NodeProcess } from "@effect-process/node"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const fs = yield* FileSystem.FileSystem
 *   yield* fs.writeFileString("kernel.txt", yield* Command.string(Command.make("uname", "-r")))
 * })
 *
 * Effect.runPromise(program.pipe(Effect.provide(NodeProcess.context))) // was: NodeContext.layer
 *
 * @since 0.1.0
 * @category layers
 */
export const context: Layer.Layer<
  CommandExecutor | FileSystem | Path | Terminal | WorkerManager | Services
> = Layer.merge(
  Layer.unwrapEffect(
    Effect.map(Effect.promise(() => import("@effect/platform-node/NodeContext")), ({ layer }) => layer)
  ),
  Layer.provideMerge(commandExecutor.layer, Layer.orDie(layer))
)
