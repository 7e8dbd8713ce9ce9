/** `Command` of @effect/platform, on whichever executor a layer gives. */
import { Command, type CommandExecutor } from "@effect/platform"
import { Effect, type Layer, ManagedRuntime } from "effect"
import { isGreeting, repeat, type Session } from "./Peer.ts"

export const open = async (layer: Layer.Layer<CommandExecutor.CommandExecutor>): Promise<Session> => {
  const runtime = ManagedRuntime.make(layer)
  await runtime.runPromise(Effect.void)
  const echo = Effect.map(Command.string(Command.make("echo", "hi")), isGreeting)
  return {
    captures: (count, atOnce) => repeat(count, atOnce, () => runtime.runPromise(echo)),
    pipeline: (stages) => {
      const [first, ...rest] = stages.map(([file, ...args]) => Command.make(file, ...args))
      return runtime.runPromise(
        Command.string(rest.reduce<Command.Command>((left, right) => Command.pipeTo(left, right), first!))
      )
    },
    close: () => runtime.dispose()
  }
}
