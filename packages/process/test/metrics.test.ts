/** What the metrics count, with an engine without processes. Each test counts by a tag of its own. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { describe } from "vitest"
import { Command, ExitStatus, ProcessMetrics } from "../src/index.ts"
import { noUsage } from "../src/ProcessInfo.ts"
import * as FakeEngine from "./support/fakeEngine.ts"
import { notFound } from "./support/fates.ts"

let tests = 0

/** As `it.effect`, with metrics that nobody else has counted. */
const counted = (name: string, test: () => Effect.Effect<void, unknown>) =>
  it.effect(name, () => Effect.tagMetrics(test(), "test", String(++tests)))

const count = (counter: Metric.Metric.Counter<number>) => Effect.map(Metric.value(counter), (state) => state.count)

const by = (counter: Metric.Metric.Counter<number>, key: string, value: string) =>
  count(Metric.tagged(counter, key, value))

const total = (histogram: Metric.Metric.Histogram<number>) =>
  Effect.map(Metric.value(histogram), (state) => [state.count, state.sum] as const)

const active = Effect.map(Metric.value(ProcessMetrics.active), (state) => state.value)

const dies = (code: number) => FakeEngine.make({ program: (job) => job.exit(code) })

describe("counts", () => {
  counted("jobs that run, and that were started", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const scope = yield* Scope.make()
      const start = engine.provide(Scope.extend(Command.start(Command.make("server")), scope))
      yield* Effect.all([start, start])
      assert.strictEqual(yield* active, 2)
      yield* engine.job.exit(0)
      yield* FakeEngine.settle
      assert.strictEqual(yield* active, 1)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* active, 0)
      assert.strictEqual(yield* count(ProcessMetrics.spawned), 2)
    }))

  counted("exits by status, of each stage", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => {
          job.statuses = [[ExitStatus.killed("SIGPIPE"), 1], [ExitStatus.exited(0), 0], [ExitStatus.exited(3), 2]]
          return job.exit(0)
        }
      })
      const stage = Command.make("x")
      const pipeline = stage.pipe(Command.pipeTo(stage), Command.pipeTo(stage))
      yield* Effect.all([engine.provide(Command.success(pipeline)), engine.provide(Command.success(pipeline))])
      assert.strictEqual(yield* by(ProcessMetrics.exits, "status", "SIGPIPE"), 2)
      assert.strictEqual(yield* by(ProcessMetrics.exits, "status", "0"), 2)
      assert.strictEqual(yield* by(ProcessMetrics.exits, "status", "3"), 2)
    }))

  counted("failures by reason, as the runner judges", () =>
    Effect.gen(function*() {
      const engine = yield* dies(3)
      const fails = (command: Command.Command<string>) => Effect.ignore(engine.provide(Command.run(command)))
      const command = Command.make("x")
      yield* fails(command)
      yield* fails(Command.acceptExitCodes(command, 3))
      yield* engine.provide(Command.exitCode(command))
      yield* fails(Command.make(""))
      engine.beforeAnswer = notFound("x")
      yield* fails(command)
      yield* fails(command)
      const reasons = ["NonZeroExit", "InvalidArgument", "NotFound"]
      const counts = yield* Effect.forEach(reasons, (reason) => by(ProcessMetrics.failed, "reason", reason))
      assert.deepStrictEqual(counts, [1, 1, 2])
      assert.strictEqual(yield* count(ProcessMetrics.spawned), 3)
    }))

  counted("no failure of a job that was interrupted", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const fiber = yield* Effect.fork(engine.provide(Command.run(Command.make("sleep"))))
      yield* FakeEngine.settle
      yield* Fiber.interrupt(fiber)
      const failures = Metric.unsafeSnapshot().filter(({ metricKey }) =>
        metricKey.name === "effect_process_jobs_failed_total" &&
        metricKey.tags.some(({ key, value }) => key === "test" && value === String(tests))
      )
      assert.deepStrictEqual(failures, [])
      assert.strictEqual(yield* by(ProcessMetrics.exits, "status", "SIGTERM"), 1)
    }))

  counted("escalations and what was left behind", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => {
          job.onSignal = () => Effect.void
          return Effect.zipRight(job.fork(FakeEngine.processInfo(2001), FakeEngine.processInfo(2002)), job.exit(0))
        }
      })
      const fiber = yield* Effect.fork(engine.provide(Command.run(Command.make("daemon"))))
      yield* FakeEngine.adjust("5 seconds")
      yield* Fiber.join(fiber)
      assert.strictEqual(yield* count(ProcessMetrics.escalations), 1)
      assert.strictEqual(yield* count(ProcessMetrics.leaked), 2)
      assert.deepStrictEqual(yield* total(ProcessMetrics.releaseDuration), [1, 5])
    }))

  counted("bytes in and out, those of Sinks too", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) =>
          Effect.gen(function*() {
            yield* job.in.endOfFile
            yield* job.out.write("12345")
            yield* job.err.write("678")
            yield* job.exit(0)
          })
      })
      const command = Command.make("cat").pipe(Command.feed("größe"), Command.stderr(Sink.drain))
      yield* engine.provide(Command.run(command))
      assert.strictEqual(yield* count(ProcessMetrics.bytesIn), 7)
      assert.strictEqual(yield* count(ProcessMetrics.bytesOut), 8)
    }))

  counted("seconds of spawns and jobs; no release of what ends by itself", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => Effect.delay(job.exit(0), "1500 millis") })
      engine.beforeAnswer = Effect.sleep("250 millis")
      const fiber = yield* Effect.fork(engine.provide(Stream.runDrain(Command.stream(Command.make("sleep")))))
      yield* FakeEngine.adjust("2 seconds")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(yield* total(ProcessMetrics.spawnLatency), [1, 0.25])
      assert.deepStrictEqual(yield* total(ProcessMetrics.jobDuration), [1, 1.75])
      assert.deepStrictEqual(yield* total(ProcessMetrics.releaseDuration), [0, 0])
    }))

  counted("the peak of memory, where the engine is told", () =>
    Effect.gen(function*() {
      const engine = yield* dies(0)
      const run = engine.provide(Command.run(Command.make("x")))
      yield* run
      assert.deepStrictEqual(yield* total(ProcessMetrics.peakRss), [0, 0])
      engine.usage = { ...noUsage, maxRss: 3 * 2 ** 20 }
      yield* run
      assert.deepStrictEqual(yield* total(ProcessMetrics.peakRss), [1, 3 * 2 ** 20])
    }))
})

describe("of what they are told nothing they count nothing", () => {
  counted("where they are switched off", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => Effect.zipRight(job.out.write("x"), job.exit(1)) })
      yield* engine.provide(Effect.ignore(Command.run(Command.make("x")))).pipe(
        Effect.locally(ProcessMetrics.enabled, false)
      )
      assert.strictEqual(yield* count(ProcessMetrics.spawned), 0)
      assert.strictEqual(yield* count(ProcessMetrics.bytesOut), 0)
      assert.strictEqual(yield* by(ProcessMetrics.failed, "reason", "NonZeroExit"), 0)
    }))
})
