/** The engines by the names that programs which are owners themselves take as their first argument. */
import { NodeProcess } from "@effect-process/node"
import type * as Layer from "effect/Layer"
import type { EngineUnavailable, ProcessSpawner } from "effect-process"

const layers: Readonly<Record<string, Layer.Layer<ProcessSpawner, EngineUnavailable>>> = {
  "child-process": NodeProcess.layerChildProcess,
  "spawn-server": NodeProcess.layerSpawnServer
}

export const layerOf = (engine: string | undefined): Layer.Layer<ProcessSpawner, EngineUnavailable> => {
  const layer = layers[engine ?? ""]
  if (layer === undefined) throw new Error(`no engine ${engine ?? "given"}`)
  return layer
}
