/**
 * The layers that run commands on Node.js.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type EngineUnavailable, ProcessSpawner } from "effect-process"
import { fromEngine } from "effect-process/ProcessSpawner"
import * as childProcess from "./internal/childProcessEngine.ts"

/**
 * What the layers can be told.
 *
 * - `markOwner`: whether children carry `EFFECT_PROCESS_OWNER` in their environment (pid, start time and boot id of the
 *   owner), by which the watchdog finds what the owner could not register before it died. True when nothing is said.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly markOwner?: boolean
}

/**
 * As `layerChildProcess`, with options.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerChildProcessWith = (options: Options): Layer.Layer<ProcessSpawner, EngineUnavailable> =>
  Layer.scoped(ProcessSpawner, Effect.map(childProcess.make(options), fromEngine))

/**
 * The engine on `node:child_process`. Each job has a session and process group of its own; a watchdog, one small shell for
 * the layer, ends the jobs when the owner dies, however it dies. Fails on Windows.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerChildProcess: Layer.Layer<ProcessSpawner, EngineUnavailable> = layerChildProcessWith({})

/**
 * The best engine that runs here, which is today `layerChildProcess`.
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
export const layer: Layer.Layer<ProcessSpawner, EngineUnavailable> = layerChildProcess
