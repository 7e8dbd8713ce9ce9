/** `Command.timeout`, from the spawn until the job is empty. */
import { assert, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import { Command, type CommandError, ExitStatus, type ProcessSpawner } from "../src/index.ts"
import * as FakeEngine from "./support/fakeEngine.ts"
import { unkillable } from "./support/fates.ts"

const slow = Command.make("slow").pipe(Command.timeout("10 seconds"), Command.gracePeriod("2 seconds"))

describe("deadline", () => {
  it.scoped("terminates when it passes and not a millisecond before, and fails exit with TimedOut", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const process = yield* engine.provide(Command.start(slow))
      yield* TestClock.adjust("9999 millis")
      assert.deepStrictEqual(engine.actions, [])
      assert.isTrue(yield* process.isRunning)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(engine.actions, ["10000 terminate SIGTERM 2000", "10000 exit SIGTERM"])
      const error = yield* Effect.flip(process.exit)
      assert.strictEqual(error._tag, "TimedOut")
      if (error._tag !== "TimedOut") return
      assert.strictEqual(Duration.toMillis(error.after), 10_000)
      assert.deepStrictEqual(error.exit, ExitStatus.killed("SIGTERM"))
      assert.strictEqual(error.message, "slow: timed out after 10s")
      assert.strictEqual((yield* Effect.flip(process.exitCode))._tag, "TimedOut")
      assert.strictEqual((yield* process.stages).length, 1)
    }))

  it.effect("of a runner gives the output so far", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => Effect.zipRight(job.out.write("partial"), job.err.write("why\n"))
      })
      const fiber = yield* Effect.fork(Effect.flip(engine.provide(Command.run(slow))))
      yield* TestClock.adjust("10 seconds")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error._tag, "TimedOut")
      if (error._tag !== "TimedOut") return
      assert.strictEqual(new TextDecoder().decode(error.stdout), "partial")
      assert.strictEqual(error.stdoutTail, "partial")
      assert.strictEqual(error.stderrTail, "why\n")
      assert.strictEqual(error.message, "slow: timed out after 10s: why")
      assert.strictEqual(Duration.toMillis(error.duration), 10_000)
      assert.strictEqual(error.stages.length, 1)
    }))

  it.scoped("is moved by extendDeadline, any number of times", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const process = yield* engine.provide(Command.start(slow))
      yield* process.extendDeadline("5 seconds")
      yield* TestClock.adjust("14 seconds")
      yield* process.extendDeadline(500)
      yield* TestClock.adjust("1499 millis")
      assert.deepStrictEqual(engine.actions, ["0 extend 5000", "14000 extend 500"])
      yield* TestClock.adjust("1 millis")
      const error = yield* Effect.flip(process.exit)
      assert.strictEqual(error._tag === "TimedOut" && Duration.toMillis(error.after), 15_500)
    }))

  it.scoped("is lifted by an infinite extension, of which the engine is told", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const process = yield* engine.provide(Command.start(slow))
      yield* process.extendDeadline(Duration.infinity)
      yield* TestClock.adjust("1 days")
      assert.deepStrictEqual(engine.actions, ["0 extend Infinity"])
    }))

  it.scoped("is none without timeout: extending does nothing", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const process = yield* engine.provide(Command.start(Command.make("slow")))
      yield* process.extendDeadline("1 seconds")
      yield* TestClock.adjust("1 days")
      assert.deepStrictEqual(engine.actions, [])
    }))

  it.scoped("of a job that has ended cannot be moved", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.exit(0) })
      const process = yield* engine.provide(Command.start(slow))
      yield* process.empty
      const error = yield* Effect.flip(process.extendDeadline("1 seconds"))
      assert.strictEqual(error._tag, "ProcessGone")
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(engine.actions, ["0 exit exit code 0"])
    }))

  it.scoped("ends what outlives the leader and leaves an exit that was there alone", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => Effect.zipRight(job.fork(FakeEngine.processInfo(2001)), job.exit(0))
      })
      const process = yield* engine.provide(Command.start(slow))
      yield* TestClock.adjust("12 seconds")
      assert.deepStrictEqual(engine.actions, ["0 exit exit code 0", "10000 terminate SIGTERM 2000"])
      assert.deepStrictEqual(yield* process.exit, ExitStatus.exited(0))
      yield* process.empty
    }))

  it.scoped("is the engine's where it keeps deadlines by itself", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ deadline: "external" })
      const process = yield* engine.provide(Command.start(slow))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(engine.actions, [])
      assert.strictEqual(Duration.toMillis(engine.job.request.timeout ?? 0), 10_000)
      yield* engine.job.expire
      assert.strictEqual((yield* Effect.flip(process.exit))._tag, "TimedOut")
    }))

  it.effect("of what cannot be killed fails every runner with TimedOut, exit undefined", () =>
    Effect.gen(function*() {
      const runners: ReadonlyArray<Effect.Effect<unknown, CommandError, ProcessSpawner>> = [
        Command.run(slow),
        Command.string(slow),
        Command.exitCode(slow),
        Command.success(slow),
        Stream.runDrain(Command.stream(slow)),
        Stream.runDrain(Command.events(slow))
      ]
      for (const runner of runners) {
        const engine = yield* FakeEngine.make({ program: unkillable })
        const fiber = yield* Effect.fork(Effect.flip(engine.provide(runner)))
        yield* TestClock.adjust("20 seconds")
        const exit = yield* Fiber.poll(fiber)
        assert.strictEqual(exit._tag, "Some")
        const error = yield* Fiber.join(fiber)
        assert.strictEqual(error._tag, "TimedOut")
        assert.propertyVal(error, "exit", undefined)
      }
    }))
})
