/** effect-process on the spawn server, whose output is read with an Effect for each piece. */
import { NodeProcess } from "@effect-process/node"
import { countEach, open as openOn } from "./effectProcess.ts"
import type { Session } from "./Peer.ts"

export const open = (): Promise<Session> => openOn(NodeProcess.layerSpawnServer, countEach)
