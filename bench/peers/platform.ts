/** `Command` of @effect/platform with the executor of @effect/platform-node. */
import { NodeContext } from "@effect/platform-node"
import type { Session } from "./Peer.ts"
import { open as openOn } from "./platformCommand.ts"

export const open = (): Promise<Session> => openOn(NodeContext.layer)
