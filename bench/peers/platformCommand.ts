/** `Command` of @effect/platform, on whichever executor a layer gives. */
import { Command, type CommandExecutor } from "@effect/platform"
import { Effect, ExecutionStrategy, Exit, type Layer, ManagedRuntime, Scope, Stream } from "effect"
import { interrupt } from "../support/interrupt.ts"
import { isGreeting, type Limits, repeat, type Session } from "./Peer.ts"

/** It has no option for ending what it runs; what can be added is not to wait for the end. */
const survive = (script: string, { env, timeout, variant }: Limits) => {
  const run = Command.string(Command.make("sh", "-c", script).pipe(Command.env(env)))
  return Effect.timeout(variant === "best" ? Effect.disconnect(run) : run, timeout)
}

export const open = async (layer: Layer.Layer<CommandExecutor.CommandExecutor>): Promise<Session> => {
  const runtime = ManagedRuntime.make(layer)
  await runtime.runPromise(Effect.void)
  const lives = await Effect.runPromise(Scope.make(ExecutionStrategy.parallel))
  const echo = Effect.map(Command.string(Command.make("echo", "hi")), isGreeting)
  return {
    captures: (count, atOnce) => repeat(count, atOnce, () => runtime.runPromise(echo)),
    pipeline: (stages) => {
      const [first, ...rest] = stages.map(([file, ...args]) => Command.make(file, ...args))
      return runtime.runPromise(
        Command.string(rest.reduce<Command.Command>((left, right) => Command.pipeTo(left, right), first!))
      )
    },
    read: (file, args) =>
      runtime.runPromise(
        Stream.runFold(Command.stream(Command.make(file, ...args)), 0, (length, chunk) => length + chunk.length)
      ),
    write: (file, args, size, count) => {
      const input = Stream.take(Stream.repeatValue(new Uint8Array(size)), count)
      return runtime.runPromise(Command.string(Command.stdin(Command.make(file, ...args), input)))
    },
    interrupt: (script, settled) =>
      runtime.runPromise(interrupt(Command.start(Command.make("sh", "-c", script)), settled)),
    survive: (script, limits) => runtime.runPromiseExit(survive(script, limits)),
    live: (count, file, args) => {
      const start = Scope.extend(Command.start(Command.make(file, ...args)), lives)
      return repeat(count, 16, async () => void await runtime.runPromise(start))
    },
    close: async () => {
      await Effect.runPromise(Scope.close(lives, Exit.void))
      await runtime.dispose()
    }
  }
}
