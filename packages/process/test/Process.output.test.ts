/** The outputs of a handle: bounds, pressure, misuse, and the warning about output that nobody reads. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import { Command, Engine, ExitStatus, SpawnServerLost } from "../src/index.ts"
import * as FakeEngine from "./support/fakeEngine.ts"
import * as Logs from "./support/logs.ts"

const text = <E>(stream: Stream.Stream<Uint8Array, E>) => Stream.mkString(Stream.decodeText(stream))

/** A job whose stdout somebody else holds open when it is over. */
const heldOpen = FakeEngine.make({
  program: (job) => {
    job.out.holder = "foreigner"
    return Effect.zipRight(job.out.write("all"), job.exit(0))
  }
})

describe("output of a handle", () => {
  it.scoped("ends at most the drain bound after the job is empty, whoever holds the pipe", () =>
    Effect.gen(function*() {
      const engine = yield* heldOpen
      const process = yield* engine.provide(Command.start(Command.make("daemon")))
      const fiber = yield* Effect.fork(text(process.stdout))
      yield* TestClock.adjust("99 millis")
      assert.strictEqual((yield* Fiber.poll(fiber))._tag, "None")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(fiber), "all")
      assert.deepStrictEqual(engine.log.slice(0, 2).concat(engine.log.filter((line) => line.endsWith("cut"))), [
        "0 exit exit code 0",
        "0 stdin close",
        "100 stdout cut"
      ])
    }))

  it.scoped("that was never read before the cut is delivered afterwards, whenever it is read", () =>
    Effect.gen(function*() {
      const engine = yield* heldOpen
      const process = yield* engine.provide(Command.start(Command.make("daemon")))
      yield* TestClock.adjust("1 minute")
      assert.isTrue(engine.job.out.wasCut)
      assert.strictEqual(yield* text(process.stdout), "all")
    }))

  it.scoped("waits for a slow reader, who loses nothing", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => {
          job.out.capacity = 2
          return Effect.forEach(["a", "b", "c", "d", "e", "f"], (part) => job.out.write(part)).pipe(
            Effect.zipRight(job.exit(0))
          )
        }
      })
      const process = yield* engine.provide(Command.start(Command.make("writer")))
      const read = process.stdout.pipe(Stream.tap(() => Effect.sleep("1 seconds")), text)
      const fiber = yield* Effect.fork(read)
      yield* TestClock.adjust("1500 millis")
      assert.deepStrictEqual(engine.actions, [])
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(fiber), "abcdef")
    }))

  it.scoped("is read once", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.exit(0) })
      const process = yield* engine.provide(Command.start(Command.make("a").pipe(Command.stderr("ignore"))))
      yield* Stream.runDrain(process.stdout)
      const error = yield* Effect.flip(Stream.runDrain(process.stdout))
      assert.deepStrictEqual([error._tag, error.stream, error.reason], ["OutputError", "stdout", "AlreadyUsed"])
      const other = yield* Effect.flip(Stream.runDrain(process.stderr))
      assert.deepStrictEqual([other.stream, other.reason], ["stderr", "NotPiped"])
    }))

  it.scoped("fails with Io when the system refuses", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.out.fail("EIO") })
      const process = yield* engine.provide(Command.start(Command.make("a")))
      const error = yield* Effect.flip(Stream.runDrain(process.stdout))
      assert.deepStrictEqual([error.reason, error.errno], ["Io", "EIO"])
      const runner = yield* Effect.flip(engine.provide(Command.string(Command.make("a"))))
      assert.strictEqual(runner._tag, "OutputError")
    }))

  it.scoped("whose reader stops early is closed, as head does", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => {
          job.out.capacity = 10
          return Effect.iterate(true, { while: (open) => open, body: () => job.out.write("y") })
        }
      })
      const process = yield* engine.provide(Command.start(Command.make("yes")))
      yield* process.stdout.pipe(Stream.take(2), Stream.runDrain)
      assert.isTrue(engine.job.out.closed)
      assert.deepStrictEqual(engine.actions, [])
    }))
})

describe("unread output", () => {
  const warning = (stream: string) =>
    `WARN writer: ${stream} holds data that nobody reads, which may keep the process from exiting; ` +
    `read it, or send it elsewhere with Command.${stream}`

  it.scoped("is told once, a second after exit was first awaited", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.err.write("x") })
      const logs = Logs.collect()
      const process = yield* engine.provide(Command.start(Command.make("writer")))
      yield* Effect.fork(process.exit.pipe(logs.provide))
      yield* Effect.fork(process.exit.pipe(logs.provide))
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(logs.from("WARN"), [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(logs.from("WARN"), [warning("stderr")])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(logs.from("WARN"), [warning("stderr")])
    }))

  it.scoped("is told of data that comes later, too", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => Effect.delay(job.out.write("x"), "10 seconds")
      })
      const logs = Logs.collect()
      const process = yield* engine.provide(Command.start(Command.make("writer")))
      yield* Effect.fork(process.exit.pipe(logs.provide))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(logs.from("WARN"), [warning("stdout")])
    }))

  it.scoped("is not told of streams that are read, that are empty, or when nobody waits", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.out.write("x") })
      const logs = Logs.collect()
      const process = yield* engine.provide(Command.start(Command.make("writer"))).pipe(logs.provide)
      yield* TestClock.adjust("1 minute")
      yield* Effect.fork(Stream.runDrain(process.stdout))
      yield* Effect.fork(process.exit.pipe(logs.provide))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(logs.from("WARN"), [])
    }))
})

describe("a handle", () => {
  it.scoped("tells exit, isRunning, stages, exitCode, descendants, usage", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.fork(FakeEngine.processInfo(2001)) })
      const process = yield* engine.provide(Command.start(Command.make("a", "b c")))
      yield* FakeEngine.settle
      assert.isTrue(yield* process.isRunning)
      assert.deepStrictEqual((yield* process.descendants).map(({ pid }) => pid), [2001])
      assert.strictEqual((yield* process.usage).maxRss, 42)
      yield* engine.job.exit(7)
      assert.deepStrictEqual(yield* process.exit, ExitStatus.exited(7))
      assert.deepStrictEqual(yield* process.exit, ExitStatus.exited(7))
      assert.isFalse(yield* process.isRunning)
      assert.strictEqual(yield* process.exitCode, 7)
      const [stage] = yield* process.stages
      assert.deepStrictEqual([stage?.command, stage?.pid], ["a 'b c'", 1000])
      assert.strictEqual(String(process), "Process(1000, a 'b c')")
    }))

  it.scoped("exitCode fails with Signaled, which tells the end of what was read", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) =>
          Effect.zipRight(
            job.err.write("panic\n"),
            Effect.delay(job.die(ExitStatus.killed("SIGSEGV", { coreDumped: true })), "1 seconds")
          )
      })
      const process = yield* engine.provide(Command.start(Command.make("a")))
      yield* Effect.fork(Stream.runDrain(process.stderr))
      yield* TestClock.adjust("1 seconds")
      const error = yield* Effect.flip(process.exitCode)
      assert.strictEqual(error._tag, "Signaled")
      assert.strictEqual(error.message, "a: killed by SIGSEGV (core dumped): panic")
      assert.strictEqual((yield* process.stages)[0]?.stderrTail, "panic\n")
    }))

  it.scoped("maps what signal fails with", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) =>
          Effect.sync(() => {
            job.onSignal = () => Effect.void
          })
      })
      const process = yield* engine.provide(Command.start(Command.make("a")))
      yield* FakeEngine.settle
      yield* process.signal("SIGHUP", { to: "leader" })
      yield* process.signal("SIGINT")
      assert.deepStrictEqual(engine.actions, ["0 signal SIGHUP leader", "0 signal SIGINT group"])
      const bad = yield* Effect.flip(process.signal("TERM" as never))
      assert.match(bad.message, /"TERM" is no signal; write a name such as "SIGTERM"/)
      engine.job.signalFailure = new Engine.SignalFailure({ reason: "PermissionDenied" })
      assert.strictEqual((yield* Effect.flip(process.signal("SIGHUP")))._tag, "Unkillable")
      engine.job.signalFailure = undefined
      yield* engine.job.exit(0)
      const gone = yield* Effect.flip(process.signal("SIGHUP"))
      assert.deepStrictEqual([gone._tag, gone.message], ["ProcessGone", "a: the job has ended (pid 1000)"])
    }))

  it.scoped("fails with SpawnServerLost when the server goes, and its scope closes", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const lost = new SpawnServerLost({ lost: "a (pid 1000)" })
      const logs = Logs.collect()
      yield* Effect.scoped(Effect.gen(function*() {
        const process = yield* engine.provide(Command.start(Command.make("a")))
        yield* engine.job.lose(lost)
        assert.strictEqual(yield* Effect.flip(process.exit), lost)
        assert.strictEqual(yield* Effect.flip(process.stages), lost)
        assert.strictEqual(yield* Effect.flip(process.empty), lost)
        assert.strictEqual(yield* Effect.flip(process.terminate()), lost)
        assert.strictEqual(yield* text(process.stdout), "")
      })).pipe(logs.provide)
      assert.deepStrictEqual(logs.from("ERROR"), [])
      const fiber = yield* Effect.fork(Effect.flip(engine.provide(Command.run(Command.make("b")))))
      yield* FakeEngine.settle
      yield* engine.jobs[1]?.lose(lost) ?? Effect.void
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), lost)
    }))
})
