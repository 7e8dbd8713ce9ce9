/** effect-process on the spawn server, with the metrics switched off. */
import { NodeProcess } from "@effect-process/node"
import { Effect, Layer } from "effect"
import { ProcessMetrics } from "effect-process"
import { open as openOn } from "./effectProcess.ts"
import type { Session } from "./Peer.ts"

export const uncounted: Layer.Layer<never> = Layer.scopedDiscard(
  Effect.locallyScoped(ProcessMetrics.enabled, false)
)

export const open = (): Promise<Session> => openOn(Layer.merge(NodeProcess.layerSpawnServer, uncounted))
