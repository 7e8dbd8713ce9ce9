/** How long an interruption takes, with whatever starts a process as an Effect. */
import { Deferred, Effect, Fiber, type Scope, Stream } from "effect"

/** Milliseconds from the interruption, once the process has printed something and `settled` has seen its tree. */
export const interrupt = <E, E2, R>(
  start: Effect.Effect<{ readonly pid: number; readonly stdout: Stream.Stream<Uint8Array, E2> }, E, R>,
  settled: (pid: number) => Promise<void>
): Effect.Effect<number, never, Exclude<R, Scope.Scope>> =>
  Effect.gen(function*() {
    const running = yield* Deferred.make<number>()
    const fiber = yield* Effect.fork(Effect.scoped(Effect.gen(function*() {
      const process = yield* start
      yield* Stream.runForEach(process.stdout, () => Deferred.succeed(running, process.pid))
    })))
    const pid = yield* Deferred.await(running)
    yield* Effect.promise(() => settled(pid))
    const began = performance.now()
    yield* Fiber.interrupt(fiber)
    return performance.now() - began
  })
