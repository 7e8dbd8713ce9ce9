/** Servers that are being started, in tests of readiness. */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Command, NotReady, Readiness } from "../../src/index.ts"
import * as FakeEngine from "./fakeEngine.ts"

export const server = Command.make("serve", "--port", "80")

export class Refused extends Data.TaggedError("Refused")<{ readonly message: string }> {}

/** What has come of it so far. */
export const state = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) =>
  Effect.map(Fiber.poll(fiber), (exit) => exit._tag === "None" ? "waits" : exit.value._tag)

export const failure = <A, E>(fiber: Fiber.Fiber<A, E>) =>
  Effect.map(Effect.flip(Fiber.join(fiber)), (error) => {
    if (!(error instanceof NotReady)) throw new Error(`not the expected failure: ${String(error)}`)
    return error
  })

/** Starts the server, and lets it come as far as it can without time going by. */
export const starting = <A, E, R>(
  engine: FakeEngine.FakeEngine,
  readiness: Readiness.Readiness<A, E, R>,
  options?: { readonly timeout?: Duration.DurationInput }
) =>
  Effect.tap(
    Effect.fork(engine.provide(Command.startReady<never, never, A, E, R>(server, readiness, options))),
    () => FakeEngine.settle
  )
