/** Waiting until a server is ready: what ends the wait, what is told then, and that nothing is left. */
import { assert, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { describe } from "vitest"
import {
  Command,
  type CommandError,
  ExitStatus,
  NotReady,
  type ProcessSpawner,
  Readiness,
  SpawnServerLost
} from "../src/index.ts"
import * as FakeEngine from "./support/fakeEngine.ts"
import { unkillable } from "./support/fates.ts"
import * as Logs from "./support/logs.ts"
import { failure, Refused, server, starting, state } from "./support/starting.ts"

describe("startReady", () => {
  it.scoped("fails as soon as the process ends, with its status and what it said last", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) =>
          Effect.gen(function*() {
            yield* Effect.sleep("3 seconds")
            yield* job.out.write("starting\n")
            yield* job.err.write("no configuration\n")
            yield* job.exit(78)
          })
      })
      const fiber = yield* starting(engine, Readiness.port(80))
      yield* FakeEngine.adjust("3 seconds")
      const error = yield* failure(fiber)
      assert.strictEqual(
        error.message,
        "serve --port 80: not ready: it ended with exit code 78; waited for port 80 of localhost: nobody listens: no configuration"
      )
      assert.deepStrictEqual(error.exit, ExitStatus.exited(78))
      assert.deepStrictEqual([error.stdoutTail, error.stderrTail], ["starting\n", "no configuration\n"])
      assert.strictEqual(Duration.toMillis(error.after), 3_000)
    }))

  it.scoped("ends at once what a program that goes into the background has left, and says what to do", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => Effect.zipRight(job.fork(FakeEngine.processInfo(7)), job.exit(0))
      })
      const fiber = yield* starting(engine, Readiness.line(/ready/))
      yield* FakeEngine.adjust("10 seconds")
      const error = yield* failure(fiber)
      assert.include(error.message, "must be told to stay in the foreground")
      assert.deepStrictEqual(yield* engine.job.descendants, [])
    }))

  it.scoped("gives up after 30 seconds, and the process has been ended then", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const fiber = yield* starting(engine, Readiness.line(/ready/))
      yield* FakeEngine.adjust("29999 millis")
      assert.strictEqual(yield* state(fiber), "waits")
      yield* FakeEngine.adjust("1 millis")
      const error = yield* failure(fiber)
      assert.deepStrictEqual([error.exit, Duration.toMillis(error.after)], [undefined, 30_000])
      assert.include(error.message, "not within 30s; waited for a line that matches /ready/")
      assert.deepStrictEqual(engine.actions, ["30000 terminate SIGTERM 5000", "30000 exit SIGTERM"])
    }))

  it.effect("waits on the engine's clock, not on that of a test", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ clock: Clock.make() })
      const late = Effect.scoped(
        engine.provide(Command.startReady(server, Readiness.port(80), { timeout: "50 millis" }))
      )
      assert.strictEqual((yield* Effect.flip(late))._tag, "NotReady")
    }))

  it.scoped("can be told never to give up", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const fiber = yield* starting(engine, Readiness.line(/ready/), { timeout: Infinity })
      yield* FakeEngine.adjust("10 minutes")
      assert.strictEqual(yield* state(fiber), "waits")
    }))

  it.scoped("refuses what makes no sense before anything runs", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const wiped = Redacted.make("http://localhost/")
      Redacted.unsafeWipe(wiped)
      const problems: ReadonlyArray<Effect.Effect<unknown, CommandError | NotReady, ProcessSpawner | Scope.Scope>> = [
        Command.startReady(server, Readiness.port(99_999)),
        Command.startReady(server, Readiness.http("localhost:80")),
        Command.startReady(server, Readiness.http("http://localhost:0/")),
        Command.startReady(server, Readiness.http(wiped)),
        Command.startReady(server, Readiness.all(Readiness.line(/x/), Readiness.port(NaN))),
        Command.startReady(server, Readiness.line(/x/), { timeout: "soon" as Duration.DurationInput }),
        Command.startReady(server, Readiness.line(/x/), { timeout: NaN })
      ]
      for (const problem of problems) {
        const error = yield* Effect.flip(engine.provide(problem))
        assert.deepStrictEqual([error._tag, "reason" in error && error.reason], ["SpawnError", "InvalidArgument"])
      }
      assert.lengthOf(engine.jobs, 0)
    }))

  it.scoped("ends the process when it is interrupted", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const fiber = yield* starting(engine, Readiness.all(Readiness.port(80), Readiness.line(/ready/)))
      const exit = yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.isInterrupted(exit))
      assert.deepStrictEqual(engine.actions, ["0 terminate SIGTERM 5000", "0 exit SIGTERM"])
    }))

  it.effect("ends the process when its scope closes meanwhile, or later", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      yield* Effect.scoped(Effect.gen(function*() {
        yield* Effect.forkScoped(engine.provide(Command.startReady(server, Readiness.port(80))))
        yield* FakeEngine.settle
      }))
      yield* Effect.scoped(engine.provide(Command.startReady(server, Readiness.all())))
      const ended = ["0 terminate SIGTERM 5000", "0 exit SIGTERM"]
      assert.deepStrictEqual(engine.actions, [...ended, ...ended])
    }))

  it.effect("reports what cannot be killed once, and returns within the bounds", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: unkillable
      })
      const logs = Logs.collect()
      const start = Effect.scoped(engine.provide(Command.startReady(server, Readiness.line(/ready/), { timeout: 0 })))
      const fiber = yield* Effect.fork(logs.provide(start))
      yield* FakeEngine.adjust("6500 millis")
      assert.include((yield* failure(fiber)).message, "not within 0")
      assert.lengthOf(logs.from("ERROR"), 1)
    }))

  it.scoped("waits also where it cannot be interrupted", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const acquire = Command.startReady(server, Readiness.line(/ready/))
      const fiber = yield* Effect.fork(engine.provide(Effect.acquireRelease(acquire, () => Effect.void)))
      yield* FakeEngine.settle
      yield* engine.job.out.write("ready\n")
      yield* FakeEngine.settle
      assert.strictEqual(yield* state(fiber), "Success")
    }))

  it.scoped("tells a lost spawn server, a deadline, and an input that failed", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const lost = yield* starting(engine, Readiness.line(/ready/))
      yield* engine.job.lose(new SpawnServerLost({ lost: "the job" }))
      yield* FakeEngine.adjust("100 millis")
      assert.strictEqual((yield* Effect.flip(Fiber.join(lost)))._tag, "SpawnServerLost")

      const impatient = Command.startReady(server.pipe(Command.timeout("1 seconds")), Readiness.line(/ready/))
      const timedOut = yield* Effect.fork(engine.provide(impatient))
      yield* FakeEngine.adjust("2 seconds")
      const late = yield* failure(timedOut)
      assert.include(late.detail, "it was ended by its own deadline after 1s")
      assert.strictEqual(String(late.exit), "SIGTERM")

      const fed = server.pipe(Command.stdin(Stream.fail("boom")))
      const broken = yield* Effect.fork(engine.provide(Command.startReady(fed, Readiness.line(/ready/))))
      yield* FakeEngine.adjust("100 millis")
      assert.include((yield* failure(broken)).detail, "its input or a Sink failed: Error: boom")
    }))

  it.scoped("hides what is redacted", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => job.request.stages[0].file === "login" ? job.err.write("token canary!\n") : job.exit(1)
      })
      const secret = Redacted.make("canary")
      const readiness = Readiness.all(
        Readiness.http(Redacted.make("http://localhost/canary")),
        Readiness.http("http://me:canary@localhost/canary"),
        Readiness.line(/no canary/),
        Readiness.command(Command.make("probe", secret)),
        Readiness.check("the canary", Effect.fail(new Refused({ message: "canary" })))
      )
      for (const shown of [String(readiness), JSON.stringify(Readiness.http(Redacted.make("http://canary/")))]) {
        assert.notInclude(
          shown.replace("http://localhost/canary", "").replace("the canary", "").replace("no canary", ""),
          "canary"
        )
      }
      const command = Command.startReady(Command.make("login", secret), readiness, { timeout: "1 seconds" })
      const fiber = yield* Effect.fork(engine.provide(command))
      yield* FakeEngine.adjust("2 seconds")
      const error = yield* failure(fiber)
      assert.include(error.stderrTail, "token <redacted>!")
      for (const shown of [String(error), JSON.stringify(error), Cause.pretty(Cause.fail(error))]) {
        assert.notInclude(shown, "canary")
      }
    }))
})
