/** What every engine on Node answers alike. */
import * as Effect from "effect/Effect"
import type { Engine } from "effect-process/Engine"
import * as net from "node:net"

export const connect = (port: number, host: string): Effect.Effect<boolean> =>
  Effect.async((resume) => {
    const socket = net.connect({ port, host })
    const answer = (connected: boolean) => {
      socket.destroy()
      resume(Effect.succeed(connected))
    }
    socket.once("connect", () => answer(true))
    socket.once("error", () => answer(false))
    return Effect.sync(() => socket.destroy())
  })

export const environment: Engine["environment"] = Effect.sync(() => {
  const env: Record<string, string> = {}
  for (const [name, value] of Object.entries(process.env)) if (value !== undefined) env[name] = value
  return env
})
