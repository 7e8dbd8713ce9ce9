/** What the runners return, when they are done, and how they fail. */
import { assert, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { inspect } from "node:util"
import { describe } from "vitest"
import { Command, ExitStatus, SpawnServerLost } from "../src/index.ts"
import * as FakeEngine from "./support/fakeEngine.ts"
import { notFound } from "./support/fates.ts"

const a = Command.make("a")

const prints = (out: string, err: string, status: ExitStatus.ExitStatus | number = 0) => (job: FakeEngine.FakeJob) =>
  Effect.all([
    job.out.write(out),
    job.err.write(err),
    typeof status === "number" ? job.exit(status) : job.die(status)
  ])

describe("run", () => {
  it.effect("captures both outputs, nothing stripped", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: prints("\ufeffout\n", "err\n") })
      const result = yield* engine.provide(Command.run(a))
      assert.strictEqual(result.stdoutText, "\ufeffout\n")
      assert.strictEqual(result.stderrText, "err\n")
      assert.deepStrictEqual(result.exit, ExitStatus.exited(0))
      assert.deepStrictEqual(result.leaked, [])
      assert.strictEqual(result.stages[0]?.stderrTail, "err\n")
      assert.strictEqual(engine.job.request.stages[0].redirects[0]?.to, "null")
      assert.deepStrictEqual(engine.actions, ["0 exit exit code 0"])
    }))

  it.effect("fails with what it has when the status is not accepted", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: prints("out", "first\nfatal: no\n", 3) })
      const error = yield* Effect.flip(engine.provide(Command.run(a)))
      assert.strictEqual(error._tag, "NonZeroExit")
      assert.strictEqual(error.message, "a: exit code 3: fatal: no")
      if (error._tag !== "NonZeroExit") return
      assert.strictEqual(error.exitCode, 3)
      assert.strictEqual(new TextDecoder().decode(error.stdout), "out")
      assert.strictEqual(error.stderrTail, "first\nfatal: no\n")
    }))

  it.effect("waits 100 ms for the output after the exit, then ends what holds it and lists it", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => {
          job.out.holder = "descendant"
          return Effect.all([job.out.write("out"), job.fork(FakeEngine.processInfo(2001)), job.exit(0)])
        }
      })
      const fiber = yield* Effect.fork(engine.provide(Command.run(a)))
      yield* FakeEngine.adjust("99 millis")
      assert.deepStrictEqual(engine.actions, ["0 exit exit code 0"])
      yield* FakeEngine.adjust("1 millis")
      yield* engine.job.endDescendants
      const result = yield* Fiber.join(fiber)
      assert.deepStrictEqual(engine.actions.slice(1), ["100 terminate SIGTERM 5000"])
      assert.deepStrictEqual(result.leaked.map(({ pid }) => pid), [2001])
      assert.strictEqual(Duration.toMillis(result.duration), 0)
    }))

  it.effect("keeps the last lines of a helper that ends by itself", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => {
          job.out.holder = "descendant"
          return Effect.all([
            job.fork(FakeEngine.processInfo(2001)),
            job.exit(0),
            Effect.sleep("99 millis"),
            job.out.write("late"),
            job.endDescendants
          ])
        }
      })
      const fiber = yield* Effect.fork(engine.provide(Command.run(a)))
      yield* FakeEngine.adjust("99 millis")
      const result = yield* Fiber.join(fiber)
      assert.strictEqual(result.stdoutText, "late")
      assert.deepStrictEqual(result.leaked, [])
      assert.deepStrictEqual(engine.actions, ["0 exit exit code 0"])
    }))

  it.effect("shows the tails only when it is printed", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: prints("begin" + "x".repeat(20_000) + "end", "") })
      const result = yield* engine.provide(Command.run(a))
      assert.strictEqual(result.stdoutText.length, 20_008)
      for (const shown of [JSON.stringify(result), inspect(result)]) {
        assert.notInclude(shown, "begin")
        assert.include(shown, "end")
        assert.isBelow(shown.length, 10_000)
      }
    }))

  it.effect("and the others complete where nothing can be interrupted", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: prints("out\n", "err\n") })
      const all = Effect.all([
        Command.run(a),
        Command.exitCode(a),
        Stream.runDrain(Command.streamLines(a)),
        Stream.runDrain(Command.events(a)),
        Effect.scoped(Effect.flatMap(Command.start(a), ({ exit }) => exit))
      ])
      const fiber = yield* Effect.forkDaemon(Effect.uninterruptible(engine.provide(all)))
      yield* FakeEngine.adjust("1 minute")
      assert.strictEqual((yield* Fiber.poll(fiber))._tag, "Some")
    }))

  it.effect("is ended by an interrupt, which waits for the release", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const fiber = yield* Effect.fork(engine.provide(Command.run(a)))
      yield* FakeEngine.settle
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(engine.actions, ["0 terminate SIGTERM 5000", "0 exit SIGTERM"])
    }))

  it.effect("maps what a spawn fails with", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      engine.beforeAnswer = notFound("a")
      const error = yield* Effect.flip(engine.provide(Command.run(a)))
      assert.strictEqual(error.message, "a: NotFound: no such program (ENOENT)")
      const lost = new SpawnServerLost({ lost: "all" })
      engine.beforeAnswer = lost
      assert.strictEqual(yield* Effect.flip(engine.provide(Command.run(a))), lost)
      assert.strictEqual(yield* Effect.flip(engine.provide(Stream.runDrain(Command.stream(a)))), lost)
    }))
})

describe("maxOutput", () => {
  const limited = Command.maxOutput(a, 4)

  it.effect("lets exactly the limit pass, of each stream by itself", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: prints("1234", "abcd") })
      const result = yield* engine.provide(Command.run(limited))
      assert.deepStrictEqual([result.stdoutText, result.stderrText], ["1234", "abcd"])
    }))

  for (const [stream, out, err] of [["stdout", "12345", ""], ["stderr", "12", "abcde"]] as const) {
    it.effect(`fails at one byte more of ${stream}`, () =>
      Effect.gen(function*() {
        const engine = yield* FakeEngine.make({ program: prints(out, err) })
        const error = yield* Effect.flip(engine.provide(Command.run(limited)))
        assert.strictEqual(error._tag, "OutputLimitExceeded")
        if (error._tag !== "OutputLimitExceeded") return
        assert.deepStrictEqual([error.stream, error.limit], [stream, 4])
        assert.strictEqual(new TextDecoder().decode(error.stdout), out.slice(0, 4))
      }))
  }

  it.effect("ends a job that goes on, and does not bound what is not captured", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.out.write("12345") })
      const error = yield* Effect.flip(engine.provide(Command.run(limited)))
      assert.strictEqual(error._tag, "OutputLimitExceeded")
      assert.deepStrictEqual(engine.actions, ["0 terminate SIGTERM 5000", "0 exit SIGTERM"])
      const other = yield* FakeEngine.make({ program: prints("12345", "abcdef") })
      assert.strictEqual(yield* other.provide(Command.exitCode(limited)), 0)
      const third = yield* FakeEngine.make({ program: prints("1234", "abcdef") })
      assert.strictEqual(yield* third.provide(Command.string(limited)), "1234")
    }))
})

describe("statuses", () => {
  const of = (status: ExitStatus.ExitStatus | number) => FakeEngine.make({ program: prints("x", "y", status) })
  const segv = ExitStatus.killed("SIGSEGV")

  it.effect("exitCode is any code, and fails of a signal", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* (yield* of(3)).provide(Command.exitCode(a)), 3)
      const error = yield* Effect.flip((yield* of(segv)).provide(Command.exitCode(a)))
      assert.strictEqual(error._tag, "Signaled")
    }))

  it.effect("success is whether it is accepted, and does not fail of a status", () =>
    Effect.gen(function*() {
      assert.isTrue(yield* (yield* of(0)).provide(Command.success(a)))
      assert.isFalse(yield* (yield* of(3)).provide(Command.success(a)))
      assert.isFalse(yield* (yield* of(segv)).provide(Command.success(a)))
      assert.isTrue(yield* (yield* of(3)).provide(Command.success(Command.acceptExitCodes(a, 3))))
      assert.isFalse(yield* (yield* of(0)).provide(Command.success(Command.acceptExitCodes(a, 3))))
      assert.isTrue(yield* (yield* of(segv)).provide(Command.success(Command.acceptExitCodes(a, "any"))))
    }))

  it.effect("acceptExitCodes is for the other runners, too", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* (yield* of(3)).provide(Command.string(Command.acceptExitCodes(a, 0, 3))), "x")
      assert.strictEqual(yield* (yield* of(segv)).provide(Command.string(Command.acceptExitCodes(a, "any"))), "x")
      assert.strictEqual((yield* Effect.flip((yield* of(segv)).provide(Command.string(a))))._tag, "Signaled")
    }))
})

describe("string, lines, json", () => {
  const of = (out: string) => FakeEngine.make({ program: prints(out, "") })
  const Point = Schema.Struct({ x: Schema.Number })

  it.effect("string decodes, lines splits", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* (yield* of("é\n")).provide(Command.string(a)), "é\n")
      assert.strictEqual(yield* (yield* of("é")).provide(Command.string(a, "latin1")), "Ã©")
      assert.deepStrictEqual(yield* (yield* of("a\r\n\nb")).provide(Command.lines(a)), ["a", "", "b"])
      // As `commands.map(Command.string)` of JavaScript calls it.
      assert.strictEqual(yield* (yield* of("a")).provide(Command.string(a, 0 as never)), "a")
    }))

  it.effect("json decodes with a schema, and says where the output departs from it", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* (yield* of("{\"x\":1}\n")).provide(Command.json(a, Point)), { x: 1 })
      const error = yield* Effect.flip((yield* of("{\"x\":\"1\"}")).provide(a.pipe(Command.json(Point))))
      assert.strictEqual(error._tag, "InvalidOutput")
      assert.match(error.message, /^a: its output departs from the schema: at \["x"\]: Expected number, actual "1"$/)
      const broken = yield* Effect.flip((yield* of("{")).provide(Command.json(a, Point)))
      assert.strictEqual(broken._tag, "InvalidOutput")
      assert.notInclude(broken.message, "\n")
    }))

  it.effect("json of a command that failed fails with its status", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: prints("", "", 1) })
      assert.strictEqual((yield* Effect.flip(engine.provide(Command.json(a, Point))))._tag, "NonZeroExit")
    }))
})
