/** node:child_process in a program that uses Effect: what V8 collects while it reads is the whole program's. */
import { Effect } from "effect"
import type { Session } from "./Peer.ts"
import { open as openRaw } from "./raw.ts"

export const open = (): Promise<Session> => Effect.runPromise(Effect.promise(openRaw))
