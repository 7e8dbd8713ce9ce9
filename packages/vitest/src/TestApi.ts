/**
 * Tests that start processes, on top of `@effect/vitest`.
 *
 * @since 0.1.0
 */
import type { Vitest } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { ProcessSpawner } from "effect-process/ProcessSpawner"
import * as internal from "./internal/suite.ts"

/**
 * What `it` is: everything that `it` of `@effect/vitest` is, and `process`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Methods extends Vitest.Methods {
  /**
   * A scoped, live test with `ProcessSpawner` provided. When it ends, whatever way (it passes, fails, dies, is interrupted, runs into
   * vitest's time-out, or is aborted), its scope is closed and everything that it started is gone before the next test begins.
   *
   * If anything that was started meanwhile, by any means, is still alive or a zombie, the test fails with the tree of those processes, their
   * command lines, ages and who started them, and they are ended. A test marked `fails` passes then. Tests that run beside others
   * (`concurrent`) cannot tell whose a process is: what they leave fails the file, when its tests are over.
   *
   * The tests of a file share one engine (`NodeProcess.layer`).
   */
  readonly process: Vitest.Tester<ProcessSpawner | Scope.Scope>
}

/**
 * What the callback of `layer` is given: as in `@effect/vitest`, without test services, and with `process`.
 *
 * @since 0.1.0
 * @category models
 */
export interface LayerMethods<R> extends Vitest.MethodsNonLive<R, true> {
  /** As `it.process`, with what the layer provides. */
  readonly process: Vitest.Tester<R | ProcessSpawner | Scope.Scope>
  /** A layer on top of this one, for a part of the tests. */
  readonly layer: <R2, E>(
    layer: Layer.Layer<R2, E, R | ProcessSpawner>,
    options?: { readonly timeout?: Duration.DurationInput }
  ) => {
    (f: (it: LayerMethods<R | R2>) => void): void
    (name: string, f: (it: LayerMethods<R | R2>) => void): void
  }
}

/**
 * `it` of `@effect/vitest`, and `it.process` for tests that start processes.
 *
 * @example
 * import { expect, it } from "@effect-process/vitest"
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * it.process("greets", () =>
 *   Effect.gen(function*() {
 *     const server = yield* Command.start(Command.make("sleep", "60")) // ends with the test
 *     expect(yield* Command.string(Command.make("echo", "hi"))).toBe("hi\n")
 *     expect(yield* server.isRunning).toBe(true)
 *   }))
 *
 * @since 0.1.0
 * @category tests
 */
export const it: Methods = internal.makeIt()

/**
 * Shares a layer, such as a server, among tests: built before the first of them, released after the last. With a name the tests are
 * in a `describe` of that name.
 *
 * As `layer` of `@effect/vitest`, with these differences: `it.process` is there; the layer may ask for `ProcessSpawner`; there are no test
 * services, as servers are real; and each test is raced with the exits of the servers that the layer has started, so that it fails with
 * exit status and log when one of them dies, not by a time-out.
 *
 * - `timeout`: for building and for releasing the layer; 30 seconds each when nothing is said
 *
 * @example
 * import { expect, layer } from "@effect-process/vitest"
 * import { Context, Effect, Layer } from "effect"
 * import { Command } from "effect-process"
 * import type { Process } from "effect-process/Process"
 *
 * class Sleeper extends Context.Tag("Sleeper")<Sleeper, Process>() {
 *   static readonly layer = Layer.scoped(Sleeper, Command.start(Command.make("sleep", "60")))
 * }
 *
 * layer(Sleeper.layer)("with a process", (it) => {
 *   it.process("sees it", () =>
 *     Effect.gen(function*() {
 *       expect(yield* (yield* Sleeper).isRunning).toBe(true)
 *     }))
 * })
 *
 * @since 0.1.0
 * @category tests
 */
export const layer: <R, E>(
  layer: Layer.Layer<R, E, ProcessSpawner>,
  options?: { readonly timeout?: Duration.DurationInput; readonly memoMap?: Layer.MemoMap }
) => {
  (f: (it: LayerMethods<R>) => void): void
  (name: string, f: (it: LayerMethods<R>) => void): void
} = internal.layer
