/**
 * `CommandExecutor` of `@effect/platform` on this library: programs written against `@effect/platform/Command` get its
 * guarantees by one changed line.
 *
 * @since 0.1.0
 */
import type { CommandExecutor } from "@effect/platform/CommandExecutor"
import * as Layer from "effect/Layer"
import type { ProcessSpawner } from "effect-process"
import * as internal from "./internal/commandExecutor.ts"
import * as NodeProcess from "./NodeProcess.ts"

/**
 * The executor on whichever engine a layer of `ProcessSpawner` provides.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerSpawner: Layer.Layer<CommandExecutor, never, ProcessSpawner> = internal.layer

/**
 * The executor with an engine of its own, that of `NodeProcess.layer`. Where none runs (on Windows) the layer dies with
 * `EngineUnavailable`.
 *
 * Commands, errors and the `Process` are those of `@effect/platform-node`. What differs on purpose is listed in
 * `docs/from-effect-platform.md`: every process that a command started is ended and waited for, nothing waits without
 * bound, and what the original leaves out works.
 *
 * @example
 * import { Command } from "@effect/platform"
 * import { NodeCommandExecutor } from "@effect-process/node"
 * import { Effect } from "effect"
 *
 * const program = Command.string(Command.make("echo", "hi")).pipe(Effect.provide(NodeCommandExecutor.layer))
 *
 * Effect.runPromise(program) // => "hi\n"
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<CommandExecutor> = Layer.provide(layerSpawner, Layer.orDie(NodeProcess.layer))
