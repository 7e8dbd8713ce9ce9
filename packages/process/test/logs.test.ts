/** What is logged of a job, and what is not. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as LogLevel from "effect/LogLevel"
import * as Scope from "effect/Scope"
import * as Supervisor from "effect/Supervisor"
import { describe } from "vitest"
import { Command, SpawnServerLost } from "../src/index.ts"
import * as FakeEngine from "./support/fakeEngine.ts"
import { notFound, unkillable } from "./support/fates.ts"
import * as Logs from "./support/logs.ts"

/** Counts fibers. */
class Started extends Supervisor.AbstractSupervisor<number> {
  count = 0
  override readonly value = Effect.sync(() => this.count)

  override onStart(): void {
    this.count++
  }
}

const sleeping = (millis: number, code = 0) =>
  FakeEngine.make({ program: (job) => Effect.delay(job.exit(code), `${millis} millis`) })

/** Runs it to its end, whatever that is. */
const logged = <A, E>(effect: Effect.Effect<A, E>, minimum = LogLevel.All) =>
  Effect.gen(function*() {
    const logs = Logs.collect(minimum)
    const fiber = yield* Effect.fork(Effect.exit(effect).pipe(logs.provide))
    yield* FakeEngine.adjust("10 seconds")
    yield* Fiber.join(fiber)
    return logs
  })

describe("at debug level", () => {
  it.effect("a line at the start and one at the end, which name the job and its pid", () =>
    Effect.gen(function*() {
      const engine = yield* sleeping(1500, 3)
      const run = engine.provide(Command.run(Command.make("/bin/sleep", "1.5")))
      const logs = yield* logged(run)
      assert.deepStrictEqual(logs.lines, [
        "DEBUG /bin/sleep 1.5: started",
        "DEBUG /bin/sleep 1.5: exit code 3 after 1s 500ms"
      ])
      assert.deepStrictEqual(logs.annotations, [{ job: "sleep", pid: 1000 }, { job: "sleep", pid: 1000 }])
    }))

  it.effect("the label is the name of the job", () =>
    Effect.gen(function*() {
      const engine = yield* sleeping(0)
      const run = engine.provide(Command.run(Command.make("sleep").pipe(Command.label("nap"))))
      const logs = yield* logged(Effect.annotateLogs(run, "request", 7))
      assert.deepStrictEqual(logs.annotations[0], { job: "nap", pid: 1000, request: 7 })
    }))

  it.effect("a command that is not started", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      engine.beforeAnswer = notFound("nosuch")
      const logs = yield* logged(engine.provide(Command.run(Command.make("nosuch"))))
      assert.deepStrictEqual(logs.lines, ["DEBUG nosuch: NotFound: no such program (ENOENT)"])
      assert.deepStrictEqual(logs.annotations, [{ job: "nosuch" }])
    }))

  it.effect("a lost server is told once, with what went with it", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.lose(new SpawnServerLost({ lost: "one job" })) })
      const logs = yield* logged(engine.provide(Command.run(Command.make("x"))))
      assert.deepStrictEqual(logs.lines, [
        "DEBUG x: started",
        "DEBUG x: the spawn server is gone, and with it one job after 0"
      ])
    }))
})

describe("at other levels", () => {
  it.effect("nothing of a job that goes well, and no fiber to log it", () =>
    Effect.gen(function*() {
      const fibers = yield* Effect.forEach([LogLevel.Info, LogLevel.Debug], (minimum) =>
        Effect.gen(function*() {
          const engine = yield* sleeping(0, 1)
          const started = new Started()
          const run = engine.provide(Command.exitCode(Command.make("x"))).pipe(Effect.supervised(started))
          const logs = yield* logged(run, minimum)
          return { fibers: started.count, lines: logs.lines.length }
        }))
      const [quiet, loud] = fibers
      assert.strictEqual(quiet?.lines, 0)
      assert.strictEqual(loud?.lines, 2)
      assert.strictEqual(loud?.fibers, (quiet?.fibers ?? 0) + 2)
    }))

  it.effect("a warning of what was left behind, and of SIGKILL after the grace period", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => {
          job.onSignal = () => Effect.void
          const [first, ...more] = Array.from({ length: 12 }, (_, i) =>
            FakeEngine.processInfo(2001 + i, `\u001b[31m${i}`))
          return Effect.zipRight(job.fork(first!, ...more), job.exit(0))
        }
      })
      const daemon = Command.make("daemon").pipe(Command.gracePeriod("2 seconds"))
      const logs = yield* logged(engine.provide(Command.run(daemon)), LogLevel.Info)
      const listed = Array.from({ length: 10 }, (_, i) =>
        `${2001 + i} (\\u{1b}[31m${i})`).join(", ")
      assert.deepStrictEqual(logs.lines, [
        `WARN daemon: it has exited and left behind what is ended now: ${listed}, and 2 more`,
        "WARN daemon: not gone 2s after SIGTERM; SIGKILL to what is left of it"
      ])
      assert.deepStrictEqual(logs.annotations[0], { job: "daemon", pid: 1000 })
    }))

  it.effect("the same of a handle, whose scope ends what its program left behind", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => Effect.zipRight(job.fork(FakeEngine.processInfo(2001)), job.exit(0))
      })
      const job = Effect.scoped(Effect.flatMap(Command.start(Command.make("daemon")), (process) => process.exit))
      const logs = yield* logged(engine.provide(job), LogLevel.Info)
      assert.deepStrictEqual(logs.lines, [
        "WARN daemon: it has exited and left behind what is ended now: 2001 (descendant 2001)"
      ])
    }))

  it.effect("no warning where the job was to be ended, and ends in time", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.fork(FakeEngine.processInfo(2001)) })
      const scope = yield* Scope.make()
      const logs = Logs.collect(LogLevel.Info)
      const start = engine.provide(Scope.extend(Command.start(Command.make("server")), scope))
      const process = yield* start.pipe(logs.provide)
      yield* process.terminate().pipe(logs.provide)
      yield* Scope.close(scope, Exit.void).pipe(logs.provide)
      yield* start.pipe(logs.provide)
      yield* process.terminate({ signal: "SIGKILL" }).pipe(logs.provide)
      assert.deepStrictEqual(logs.lines, [])
    }))

  it.effect("a warning also where the engine itself goes on to SIGKILL when the time is up", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => Effect.sync(() => job.onSignal = () => Effect.delay(job.kill, "5 seconds"))
      })
      const logs = yield* logged(engine.provide(Effect.scoped(Command.start(Command.make("x")))), LogLevel.Info)
      assert.deepStrictEqual(logs.lines, ["WARN x: not gone 5s after SIGTERM; SIGKILL to what is left of it"])
    }))

  it.effect("an error of what could not be killed", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: unkillable
      })
      const logs = yield* logged(engine.provide(Effect.scoped(Command.start(Command.make("nfs")))))
      assert.deepStrictEqual(logs.from("ERROR"), ["ERROR nfs: could not be killed: pid 1000 is in state D"])
      assert.deepStrictEqual(logs.annotations.at(-1), { job: "nfs", pid: 1000 })
      assert.strictEqual(logs.from("DEBUG").at(-1), "DEBUG nfs: could not be killed: pid 1000 is in state D after 6s")
    }))
})
