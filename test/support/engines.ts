/** The engines by the names that programs which are owners themselves take as their first argument. */
import { NodeProcess } from "@effect-process/node"
import type * as Layer from "effect/Layer"
import type { EngineUnavailable } from "effect-process"

/** The program that `SPAWN_SERVER_BINARY` names, as one built with sanitizers, or the one that was built with the package. */
const binary = process.env["SPAWN_SERVER_BINARY"]

export const spawnServer = binary === undefined
  ? NodeProcess.layerSpawnServer
  : NodeProcess.layerSpawnServerWith({ binary })

const layers: Readonly<Record<string, Layer.Layer<NodeProcess.Services, EngineUnavailable>>> = {
  "child-process": NodeProcess.layerChildProcess,
  "spawn-server": spawnServer
}

export const layerOf = (engine: string | undefined): Layer.Layer<NodeProcess.Services, EngineUnavailable> => {
  const layer = layers[engine ?? ""]
  if (layer === undefined) throw new Error(`no engine ${engine ?? "given"}`)
  return layer
}
