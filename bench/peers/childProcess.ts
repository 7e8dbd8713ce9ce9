/** effect-process on its fallback engine. */
import { NodeProcess } from "@effect-process/node"
import { open as openOn } from "./effectProcess.ts"
import type { Session } from "./Peer.ts"

export const open = (): Promise<Session> => openOn(NodeProcess.layerChildProcess)
