/** What every engine on Node answers alike. */
import { ownEnvironment } from "@effect-process/spawn-server"
import * as Effect from "effect/Effect"
import type { Engine } from "effect-process/Engine"
import * as net from "node:net"

export const connect = (port: number, host: string): Effect.Effect<boolean> =>
  Effect.async((resume) => {
    // What Node throws for.
    if (!(Number.isInteger(port) && port > 0 && port < 65_536)) return resume(Effect.succeed(false))
    const socket = net.connect({ port, host })
    const answer = (connected: boolean) => {
      socket.destroy()
      resume(Effect.succeed(connected))
    }
    socket.once("connect", () => answer(true))
    socket.once("error", () => answer(false))
    return Effect.sync(() => socket.destroy())
  })

/** Read at each spawn; the same object while nothing has changed, by which the engine knows it again. */
export const environment: Engine["environment"] = Effect.sync(ownEnvironment)
