/** How one test runs: in a fiber that vitest's time-out, its abort and the end of the test interrupt, and whose release is awaited. */
import type { Vitest } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as fc from "effect/FastCheck"
import type * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { setTimeout as sleep } from "node:timers/promises"
import * as V from "vitest"

/**
 * What surrounds the effect of a test.
 *
 * @internal
 */
export interface Around<R> {
  /** Asked when a test begins. */
  readonly begin: (context: V.TestContext) => Promise<Run<R>>
}

/** @internal */
export interface Run<R> {
  readonly provide: <A, E>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E>
  /** Once the fiber has ended. Its rejection fails the test. */
  readonly finish: (exit: Exit.Exit<unknown, unknown> | undefined) => Promise<void>
}

/** Milliseconds for the release of a test: that of a few stubborn jobs, one after the other. What is left then is ended by the leak check. */
export const releaseBound = 30_000

/** A time-out leaves the signal aborted, also for the next try of the same test. */
const onAbort = (signal: AbortSignal, interrupt: () => void): () => void => {
  if (signal.aborted) return () => undefined
  signal.addEventListener("abort", interrupt, { once: true })
  return () => signal.removeEventListener("abort", interrupt)
}

const errorOf = (cause: Cause.Cause<unknown>): { readonly first: unknown; readonly others: ReadonlyArray<Error> } => {
  if (Cause.isInterruptedOnly(cause)) return { first: new Error("All fibers interrupted without errors."), others: [] }
  const [first, ...others] = Cause.prettyErrors(cause)
  return { first, others }
}

const exitOf = <A, E>(fiber: Fiber.RuntimeFiber<A, E>): Promise<Exit.Exit<A, E>> =>
  new Promise((resolve) => fiber.addObserver(resolve))

/** One effect, from begin to finish. `defer` is told what is to happen when the test has ended. */
const start = async <A, E, R>(
  around: Around<R>,
  context: V.TestContext,
  self: () => Effect.Effect<A, E, R>,
  defer: (finish: () => Promise<void>) => void
): Promise<A> => {
  let hasEnded = false
  let begun: Promise<Run<R>> | undefined
  let fiber: Fiber.RuntimeFiber<A, E> | undefined
  const interrupt = () => {
    hasEnded = true
    fiber?.unsafeInterruptAsFork(fiber.id())
  }
  defer(async () => {
    interrupt()
    const run = await begun?.catch(() => undefined)
    if (run === undefined) return
    const exit = fiber === undefined
      ? undefined
      : fiber.unsafePoll() ?? await Promise.race([exitOf(fiber), sleep(releaseBound, undefined, { ref: false })])
    await run.finish(exit)
    if (fiber !== undefined && exit === undefined) {
      throw new Error(`its release did not end within ${releaseBound / 1000} s`)
    }
  })
  const off = onAbort(context.signal, interrupt)
  try {
    begun = around.begin(context)
    const run = await begun
    if (hasEnded) throw new Error("All fibers interrupted without errors.")
    fiber = Effect.runFork(run.provide(Effect.suspend(self)))
    const exit = await exitOf(fiber)
    if (Exit.isSuccess(exit)) return exit.value
    const { first, others } = errorOf(exit.cause)
    for (const error of others) await Effect.runPromise(Effect.logError(error))
    throw first
  } finally {
    off()
  }
}

const runTest = <A, E, R>(
  around: Around<R>,
  context: V.TestContext,
  self: () => Effect.Effect<A, E, R>
): Promise<A> => start(around, context, self, (finish) => context.onTestFinished(finish, 0))

/** The runs of one property, of which one is under way at a time. */
interface Samples {
  isOver: boolean
  finish: (() => Promise<void>) | undefined
}

/** Each with its own release and its own check, so that what leaks is made as small as what fails. */
const runSample = async <A, E, R>(
  samples: Samples,
  around: Around<R>,
  context: V.TestContext,
  self: () => Effect.Effect<A, E, R>
): Promise<void> => {
  // After a time-out there is nobody to tell fast-check that it should stop making the failure smaller.
  if (samples.isOver) throw new Error("The test is over.")
  try {
    await start(around, context, self, (finish) => {
      samples.finish = finish
    })
  } finally {
    await finishSample(samples)
  }
}

const finishSample = async (samples: Samples): Promise<void> => {
  const { finish } = samples
  samples.finish = undefined
  await finish?.()
}

const optionsOf = (timeout?: number | V.TestOptions): V.TestOptions =>
  typeof timeout === "number" ? { timeout } : timeout ?? {}

const arbitraryOf = (of: Schema.Schema.Any | fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  Schema.isSchema(of) ? Arbitrary.make(of as Schema.Schema<unknown>) : of

/** As @effect/vitest hands them to fast-check, so that its parameters, such as examples, mean the same: several, or one of a record. */
const propertyOf = (
  of: Vitest.Arbitraries,
  run: (values: unknown) => Promise<void>
): fc.IAsyncPropertyWithHooks<Array<unknown>> => {
  if (Array.isArray(of)) {
    const each = of.map(arbitraryOf) as [fc.Arbitrary<unknown>]
    return fc.asyncProperty(...each, (...values) => run(values))
  }
  const record = fc.record(Object.fromEntries(Object.entries(of).map(([key, value]) => [key, arbitraryOf(value)])))
  return fc.asyncProperty(record, run)
}

/**
 * A tester as those of @effect/vitest.
 *
 * @internal
 */
export const makeTester = <R>(around: Around<R>): Vitest.Tester<R> => {
  const by = (
    api: (name: string, options: V.TestOptions, test: (context: V.TestContext) => Promise<unknown>) => void
  ): Vitest.Test<R> =>
  (name, self, timeout) => api(name, optionsOf(timeout), (context) => runTest(around, context, () => self(context)))

  const each: Vitest.Tester<R>["each"] = (cases) => (name, self, timeout) =>
    V.it.for(cases)(
      name,
      optionsOf(timeout),
      (value, context) => runTest(around, context, () => self(value as never)) as never
    )

  const prop: Vitest.Tester<R>["prop"] = (name, arbitraries, self, timeout) =>
    V.it(name, optionsOf(timeout), (context) => {
      const samples: Samples = { isOver: false, finish: undefined }
      context.onTestFinished(() => {
        samples.isOver = true
        return finishSample(samples)
      }, 0)
      return fc.assert(
        propertyOf(arbitraries, (values) => runSample(samples, around, context, () => self(values as never, context))),
        (typeof timeout === "object" ? timeout.fastCheck ?? {} : {}) as unknown as fc.Parameters<Array<unknown>>
      )
    })

  return Object.assign(by(V.it), {
    skip: by(V.it.skip),
    skipIf: (condition: unknown) => by(V.it.skipIf(condition)),
    runIf: (condition: unknown) => by(V.it.runIf(condition)),
    only: by(V.it.only),
    fails: by(V.it.fails),
    each,
    prop
  })
}
