/** `Command` of @effect/platform with the executor of this library on the spawn server. */
import { NodeCommandExecutor, NodeProcess } from "@effect-process/node"
import { Layer } from "effect"
import type { Session } from "./Peer.ts"
import { open as openOn } from "./platformCommand.ts"

export const open = (): Promise<Session> =>
  openOn(Layer.provide(NodeCommandExecutor.layerSpawner, Layer.orDie(NodeProcess.layerSpawnServer)))
