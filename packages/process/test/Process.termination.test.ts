/** What ends a job: the signal, the grace period, SIGKILL, and the end of the wait. */
import { assert, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as TestServices from "effect/TestServices"
import { describe } from "vitest"
import { Command, ExitStatus, ProcessSpawner } from "../src/index.ts"
import * as FakeEngine from "./support/fakeEngine.ts"
import { unkillable } from "./support/fates.ts"
import * as Logs from "./support/logs.ts"

const stubborn = (job: FakeEngine.FakeJob) =>
  Effect.sync(() => {
    job.onSignal = () => Effect.void
  })

const server = Command.make("server").pipe(Command.gracePeriod("2 seconds"))

describe("grace period", () => {
  it.scoped("sends SIGKILL when it ends and not a millisecond before", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: stubborn })
      const process = yield* engine.provide(Command.start(server))
      const fiber = yield* Effect.fork(process.terminate())
      yield* TestClock.adjust("1999 millis")
      assert.deepStrictEqual(engine.actions, ["0 terminate SIGTERM 2000"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(engine.actions, ["0 terminate SIGTERM 2000", "2000 kill", "2000 exit SIGKILL"])
      assert.deepStrictEqual(yield* Fiber.join(fiber), ExitStatus.killed("SIGKILL"))
    }))

  it.scoped("is not waited out when everything ends sooner", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) =>
          Effect.sync(() => {
            job.onSignal = () => Effect.zipRight(Effect.sleep("30 millis"), job.exit(3))
          })
      })
      const process = yield* engine.provide(Command.start(server))
      const fiber = yield* Effect.fork(process.terminate())
      yield* TestClock.adjust("30 millis")
      assert.deepStrictEqual(yield* Fiber.join(fiber), ExitStatus.exited(3))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(engine.actions, ["0 terminate SIGTERM 2000", "30 exit exit code 3"])
    }))

  it.scoped("holds for descendants that outlive the leader", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) =>
          Effect.zipRight(
            job.fork(FakeEngine.processInfo(2001)),
            Effect.sync(() => {
              job.onSignal = (signal) => job.exit(ExitStatus.killed(signal))
            })
          )
      })
      const process = yield* engine.provide(Command.start(server))
      const fiber = yield* Effect.fork(process.terminate())
      yield* TestClock.adjust("1999 millis")
      assert.deepStrictEqual(engine.actions, ["0 terminate SIGTERM 2000", "0 exit SIGTERM"])
      assert.isNull(yield* Effect.map(Fiber.poll(fiber), (exit) => exit._tag === "None" ? null : exit))
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(engine.actions.at(-1), "2000 kill")
      assert.deepStrictEqual(yield* Fiber.join(fiber), ExitStatus.killed("SIGTERM"))
    }))

  it.scoped("is 5 seconds and the signal SIGTERM when nothing is said; options win over the command", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const first = yield* engine.provide(Command.start(Command.make("a")))
      yield* first.terminate()
      const second = yield* engine.provide(Command.start(Command.make("b").pipe(Command.killSignal("SIGINT"))))
      yield* second.terminate({ gracePeriod: "1 seconds" })
      const third = yield* engine.provide(Command.start(Command.make("c").pipe(Command.killSignal("SIGINT"))))
      yield* third.terminate({ signal: "SIGHUP" })
      assert.deepStrictEqual(engine.actions.filter((line) => line.includes("terminate")), [
        "0 terminate SIGTERM 5000",
        "0 terminate SIGINT 1000",
        "0 terminate SIGHUP 5000"
      ])
    }))

  it.scoped("does not apply to SIGKILL, which needs no time", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const process = yield* engine.provide(Command.start(server))
      assert.deepStrictEqual(yield* process.terminate({ signal: "SIGKILL" }), ExitStatus.killed("SIGKILL"))
      assert.deepStrictEqual(engine.actions, ["0 kill", "0 exit SIGKILL"])
    }))

  it.scoped("of an infinite or senseless option is that of the command", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: stubborn })
      const process = yield* engine.provide(Command.start(server))
      const fiber = yield* Effect.fork(process.terminate({ gracePeriod: "Infinity" as never }))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), ExitStatus.killed("SIGKILL"))
    }))
})

describe("one termination", () => {
  it.scoped("is joined by later calls and the closing scope", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: stubborn })
      const scope = yield* Scope.make()
      const process = yield* engine.provide(Command.start(server).pipe(Scope.extend(scope)))
      const first = yield* Effect.fork(process.terminate())
      yield* TestClock.adjust("1 seconds")
      const second = yield* Effect.fork(process.terminate())
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("1 seconds")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(yield* Fiber.join(first), ExitStatus.killed("SIGKILL"))
      assert.deepStrictEqual(yield* Fiber.join(second), ExitStatus.killed("SIGKILL"))
      assert.deepStrictEqual(engine.actions, ["0 terminate SIGTERM 2000", "2000 kill", "2000 exit SIGKILL"])
    }))

  it.scoped("ends with the shortest grace period of those who wait", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: stubborn })
      const process = yield* engine.provide(Command.start(server))
      yield* Effect.fork(process.terminate({ gracePeriod: "1 minute" }))
      yield* TestClock.adjust("10 seconds")
      yield* Effect.fork(process.terminate({ gracePeriod: "300 millis" }))
      yield* TestClock.adjust("299 millis")
      assert.deepStrictEqual(engine.actions, ["0 terminate SIGTERM 60000"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(engine.actions.slice(1), ["10300 kill", "10300 exit SIGKILL"])
    }))

  it.scoped("escalates at once when a later call asks for SIGKILL", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: stubborn })
      const process = yield* engine.provide(Command.start(server))
      yield* Effect.fork(process.terminate())
      yield* TestClock.adjust("10 millis")
      assert.deepStrictEqual(yield* process.terminate({ signal: "SIGKILL" }), ExitStatus.killed("SIGKILL"))
      assert.deepStrictEqual(engine.actions.slice(1), ["10 kill", "10 exit SIGKILL"])
    }))

  it.scoped("is not cancelled when a waiter is interrupted", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: stubborn })
      const process = yield* engine.provide(Command.start(server))
      const fiber = yield* Effect.fork(process.terminate())
      yield* TestClock.adjust("1 seconds")
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(engine.actions, ["0 terminate SIGTERM 2000", "2000 kill", "2000 exit SIGKILL"])
    }))

  it.scoped("after the end says how it ended, any number of times, and signals nobody", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.exit(0) })
      const process = yield* engine.provide(Command.start(server))
      yield* process.empty
      assert.deepStrictEqual(yield* process.terminate(), ExitStatus.exited(0))
      assert.deepStrictEqual(yield* process.terminate(), ExitStatus.exited(0))
      assert.deepStrictEqual(engine.actions, ["0 exit exit code 0"])
    }))
})

describe("kill bound", () => {
  it.scoped("terminate fails with Unkillable one second after SIGKILL", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => Effect.zipRight(unkillable(job), job.fork(FakeEngine.processInfo(2001)))
      })
      const logs = Logs.collect()
      const process = yield* engine.provide(Command.start(server)).pipe(logs.provide)
      const fiber = yield* Effect.fork(Effect.either(process.terminate()))
      yield* TestClock.adjust("2999 millis")
      assert.strictEqual((yield* Fiber.poll(fiber))._tag, "None")
      yield* TestClock.adjust("1 millis")
      const error = yield* Effect.flatMap(Fiber.join(fiber), Either.flip)
      assert.strictEqual(error._tag, "Unkillable")
      assert.strictEqual(
        error.message,
        "server: could not be killed: pid 1000 is in state D, pid 2001 is in state S"
      )
      assert.deepStrictEqual(error._tag === "Unkillable" && error.pids, [1000, 2001])
      assert.deepStrictEqual(yield* Effect.flip(process.empty), error)
    }))

  it.effect("a closing scope returns and logs an error", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: unkillable })
      const logs = Logs.collect()
      const fiber = yield* engine.provide(Effect.scoped(Command.start(server))).pipe(logs.provide, Effect.fork)
      yield* TestClock.adjust("2999 millis")
      assert.strictEqual((yield* Fiber.poll(fiber))._tag, "None")
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(logs.from("ERROR"), ["ERROR server: could not be killed: pid 1000 is in state D"])
      assert.isTrue(engine.job.out.closed && engine.job.err.closed && engine.job.in.closed)
    }))

  it.effect("a scope that closes after a failed termination logs it, too, and does not wait again", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: unkillable })
      const logs = Logs.collect()
      const scope = yield* Scope.make()
      const process = yield* engine.provide(Command.start(server).pipe(Scope.extend(scope))).pipe(logs.provide)
      const fiber = yield* Effect.fork(Effect.either(process.terminate()))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(logs.from("ERROR"), ["ERROR server: could not be killed: pid 1000 is in state D"])
    }))

  it.scoped("streams of what cannot be killed end all the same", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => Effect.zipRight(unkillable(job), job.out.write("so far"))
      })
      const fiber = yield* Command.make("server").pipe(
        Command.timeout("1 seconds"),
        Command.streamLines,
        Stream.runDrain,
        Effect.either,
        engine.provide,
        Effect.fork
      )
      yield* TestClock.adjust("10 seconds")
      const result = yield* Fiber.join(fiber)
      assert.strictEqual(Either.isLeft(result) && result.left._tag, "TimedOut")
    }))
})

describe("scope", () => {
  it.effect("its close ends the job, waits, and closes the pipes, stdin last and after the end", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: stubborn })
      const fiber = yield* Effect.fork(engine.provide(Effect.scoped(Command.start(server))))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(engine.log.slice(0, 4), [
        "0 terminate SIGTERM 2000",
        "2000 kill",
        "2000 exit SIGKILL",
        "2000 stdin close"
      ])
      assert.isTrue(engine.job.out.closed && engine.job.err.closed)
    }))

  it.effect("the interrupt of its fiber waits for the release", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: stubborn })
      const fiber = yield* Effect.fork(
        engine.provide(Effect.scoped(Effect.zipRight(Command.start(server), Effect.never)))
      )
      yield* FakeEngine.settle
      const interrupt = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual((yield* Fiber.poll(interrupt))._tag, "None")
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(interrupt)
      assert.deepStrictEqual(engine.actions.at(-1), "2000 exit SIGKILL")
    }))

  it.effect("an interrupt during the spawn releases what was spawned", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const gate = yield* Deferred.make<void>()
      engine.beforeAnswer = Deferred.await(gate)
      const fiber = yield* Effect.fork(engine.provide(Effect.scoped(Command.start(server))))
      yield* FakeEngine.settle
      yield* Fiber.interruptFork(fiber)
      yield* FakeEngine.settle
      assert.deepStrictEqual(engine.jobs, [])
      yield* Deferred.succeed(gate, undefined)
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.isInterrupted(exit))
      assert.deepStrictEqual(engine.actions, ["0 terminate SIGTERM 2000", "0 exit SIGTERM"])
    }))

  it.effect("bounds run on the clock of the engine, not on that of the test", () =>
    Effect.gen(function*() {
      const clock = yield* TestServices.provideLive(Effect.clock)
      const engine = yield* FakeEngine.make({ program: stubborn, clock })
      assert.strictEqual((yield* engine.provide(ProcessSpawner)).clock, clock)
      // Returns although nobody moves the TestClock.
      yield* engine.provide(Effect.scoped(Command.start(Command.gracePeriod(server, "5 millis"))))
      assert.strictEqual(engine.actions[0]?.replace(/^\d+ /, ""), "terminate SIGTERM 5")
      assert.strictEqual(engine.actions[1]?.replace(/^\d+ /, ""), "kill")
    }))
})
