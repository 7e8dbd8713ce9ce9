/** As noProcess, with the metrics switched off. */
import { Layer } from "effect"
import { open as openOn } from "./effectProcess.ts"
import { layer } from "./noProcess.ts"
import type { Session } from "./Peer.ts"
import { uncounted } from "./spawnServerUncounted.ts"

export const open = (): Promise<Session> => openOn(Layer.merge(layer, uncounted))
