/** The executors under test: the original, and ours on each engine. */
import { NodeCommandExecutor, NodeProcess } from "@effect-process/node"
import type { CommandExecutor } from "@effect/platform/CommandExecutor"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Layer from "effect/Layer"

export const original: Layer.Layer<CommandExecutor> = NodeContext.layer

export const ours: Readonly<Record<string, Layer.Layer<CommandExecutor>>> = {
  "spawn server": Layer.provide(NodeCommandExecutor.layerSpawner, Layer.orDie(NodeProcess.layerSpawnServer)),
  "node:child_process": Layer.provide(NodeCommandExecutor.layerSpawner, Layer.orDie(NodeProcess.layerChildProcess))
}
