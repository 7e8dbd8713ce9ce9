/** effect-process, on whichever engine a layer gives. */
import { Effect, Exit, ExecutionStrategy, type Layer, ManagedRuntime, Scope, Stream } from "effect"
import { Command, type ProcessSpawner } from "effect-process"
import { interrupt } from "../support/interrupt.ts"
import { busySince, grace, isGreeting, type Limits, type Session } from "./Peer.ts"

const echo = Command.make("echo", "hi")

/** As a program would: one fiber, or so many of them, in a loop. */
const times = <E, R>(count: number, atOnce: number, one: Effect.Effect<void, E, R>): Effect.Effect<void, E, R> => {
  if (atOnce === 1) return Effect.repeatN(one, count - 1)
  return Effect.forEach(Array.from({ length: count }), () => one, { concurrency: atOnce, discard: true })
}

const capture = Effect.map(Command.string(echo), isGreeting)

const handle = Effect.scoped(Effect.gen(function*() {
  const busy = busySince()
  const process = yield* Command.start(Command.stdin(echo, "ignore"))
  const time = busy()
  yield* Effect.all([Stream.runDrain(process.stdout), Stream.runDrain(process.stderr), process.exit], {
    concurrency: "unbounded"
  })
  return time
}))

type Count = <E, R>(output: Stream.Stream<Uint8Array, E, R>) => Effect.Effect<number, E, R>

const count: Count = (output) => Stream.runFold(output, 0, (length, chunk) => length + chunk.length)

/** With an Effect for each piece. */
export const countEach: Count = (output) =>
  Effect.suspend(() => {
    let length = 0
    const add = (chunk: Uint8Array) =>
      Effect.sync(() => {
        length += chunk.length
      })
    return Effect.map(Stream.runForEach(output, add), () => length)
  })

const survive = (script: string, { env, timeout, variant }: Limits) => {
  const job = Command.make("sh", "-c", script).pipe(Command.env(env), Command.timeout(timeout))
  return Command.string(variant === "best" ? Command.gracePeriod(job, grace) : job)
}

export const open = async <E>(layer: Layer.Layer<ProcessSpawner, E>, counted = count): Promise<Session> => {
  const runtime = ManagedRuntime.make(layer)
  await runtime.runPromise(Effect.void)
  const lives = await Effect.runPromise(Scope.make(ExecutionStrategy.parallel))
  return {
    captures: (count, atOnce) => runtime.runPromise(times(count, atOnce, capture)),
    handles: (count) => runtime.runPromise(Effect.forEach(Array.from({ length: count }), () => handle)),
    read: (file, args) => runtime.runPromise(counted(Command.stream(Command.make(file, ...args)))),
    pipeline: (stages) => {
      const [first, ...rest] = stages.map(([file, ...args]) => Command.make(file, ...args))
      return runtime.runPromise(
        Command.string(rest.reduce<Command.Command>((left, right) => Command.pipeTo(left, right), first!))
      )
    },
    through: (file, size, count) => {
      let length = 0
      const output = Stream.repeatValue(new Uint8Array(size)).pipe(
        Stream.take(count),
        Command.through(Command.make(file)),
        Stream.runForEach((chunk) =>
          Effect.sync(() => {
            length += chunk.length
          })
        )
      )
      return runtime.runPromise(Effect.map(output, () => length))
    },
    write: (file, args, size, count) => {
      const input = Stream.take(Stream.repeatValue(new Uint8Array(size)), count)
      return runtime.runPromise(Command.string(Command.stdin(Command.make(file, ...args), input)))
    },
    survive: (script, limits) => runtime.runPromiseExit(survive(script, limits)),
    interrupt: (script, settled) =>
      runtime.runPromise(interrupt(Command.start(Command.stdin(Command.make("sh", "-c", script), "ignore")), settled)),
    live: (count, file, args) => {
      const start = Command.start(Command.stdin(Command.make(file, ...args), "ignore"))
      return runtime.runPromise(times(count, 16, Effect.asVoid(Scope.extend(start, lives))))
    },
    close: async () => {
      await Effect.runPromise(Scope.close(lives, Exit.void))
      await runtime.dispose()
    }
  }
}
