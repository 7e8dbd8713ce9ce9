/** Sinks as outputs, and Streams and Sinks of further descriptors: how they end, and what their failures do. */
import { assert, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Ref from "effect/Ref"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { describe } from "vitest"
import { Command, ExitStatus } from "../src/index.ts"
import * as FakeEngine from "./support/fakeEngine.ts"
import * as logs from "./support/logs.ts"

const a = Command.make("a")

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

const failing = Sink.forEach(() => Effect.fail("boom" as const))

const into = (ref: Ref.Ref<string>) =>
  Sink.forEach((bytes: Uint8Array) => Ref.update(ref, (before) => before + text(bytes)))

describe("a Sink", () => {
  it.effect("takes an output, which is then not captured, and its tail is kept for errors", () =>
    Effect.gen(function*() {
      const seen = yield* Ref.make("")
      const program = (job: FakeEngine.FakeJob) =>
        Effect.all([job.err.write("fatal\n"), job.out.write("x"), job.exit(3)])
      const engine = yield* FakeEngine.make({ program })
      const error = yield* Effect.flip(engine.provide(Command.run(Command.stderr(a, into(seen)))))
      assert.strictEqual(yield* Ref.get(seen), "fatal\n")
      assert.strictEqual(error === null ? "" : (error as Error).message, "a: exit code 3: fatal")
    }))

  it.effect("is waited for by a runner, at its own pace, when the job has gone", () =>
    Effect.gen(function*() {
      const seen = yield* Ref.make("")
      const program = (job: FakeEngine.FakeJob) => Effect.all([job.out.write("a"), job.out.write("b"), job.exit(0)])
      const engine = yield* FakeEngine.make({ program })
      const slow = Sink.forEach((bytes: Uint8Array) =>
        Effect.delay(Ref.update(seen, (before) => before + text(bytes)), "1 minute")
      )
      const fiber = yield* Effect.fork(engine.provide(Command.run(Command.stdout(a, slow))))
      yield* FakeEngine.adjust("119 seconds")
      assert.isNull(fiber.unsafePoll())
      yield* FakeEngine.adjust("1 second")
      yield* Fiber.join(fiber)
      assert.strictEqual(yield* Ref.get(seen), "ab")
    }))

  it.effect("that is done closes its pipe, and the command goes on", () =>
    Effect.gen(function*() {
      const program = (job: FakeEngine.FakeJob) =>
        Effect.all([job.out.write("1"), Effect.sleep("1 second"), job.out.write("2"), job.exit(0)])
      const engine = yield* FakeEngine.make({ program })
      const fiber = yield* Effect.fork(engine.provide(Command.run(Command.stdout(a, Sink.take(1)))))
      yield* FakeEngine.adjust("1 second")
      assert.strictEqual(String((yield* Fiber.join(fiber)).exit), "exit code 0")
      assert.deepStrictEqual(engine.log.slice(0, 2), ["0 stdout close", "1000 exit exit code 0"])
    }))

  it.effect("that is done excuses the death by SIGPIPE of its stage, and of no other", () =>
    Effect.gen(function*() {
      const sigpipe = ExitStatus.killed("SIGPIPE")
      const program = (job: FakeEngine.FakeJob) =>
        Effect.all([job.out.write("1"), Effect.sleep("1 second"), job.die(sigpipe)])
      const run = (command: Command.Command) =>
        Effect.gen(function*() {
          const engine = yield* FakeEngine.make({ program })
          const fiber = yield* Effect.fork(Effect.either(engine.provide(Command.run(command))))
          yield* FakeEngine.adjust("1 second")
          return (yield* Fiber.join(fiber))._tag
        })
      assert.strictEqual(yield* run(Command.stdout(a, Sink.take(1))), "Right")
      assert.strictEqual(yield* run(Command.stdout(a, Sink.drain)), "Left")
      assert.strictEqual(yield* run(a), "Left")
    }))

  it.effect("that fails ends the job, and every runner fails with its error", () =>
    Effect.gen(function*() {
      const program = (job: FakeEngine.FakeJob) => Effect.all([job.out.write("x"), job.err.write("y")])
      const command = Command.stderr(a, failing)
      const runners = [
        Command.run(command),
        Command.exitCode(command),
        Command.success(command),
        Command.string(command),
        Stream.runDrain(Command.stream(command)),
        Stream.runDrain(Command.events(command)),
        Stream.runDrain(Stream.never.pipe(Command.through(command))),
        Stream.run(Stream.never, Command.sink(command))
      ]
      for (const runner of runners) {
        const engine = yield* FakeEngine.make({ program })
        const error = yield* Effect.flip(engine.provide(runner as Effect.Effect<unknown, unknown>))
        assert.strictEqual(error, "boom")
        assert.deepStrictEqual(engine.actions, ["0 terminate SIGTERM 5000", "0 exit SIGTERM"])
      }
    }))

  it.effect("that dies ends the job, and the defect is that of the runner", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.out.write("x") })
      const dying = Sink.forEach(() => Effect.dieMessage("defect"))
      const cause = yield* Effect.sandbox(engine.provide(Command.run(Command.stdout(a, dying)))).pipe(Effect.flip)
      assert.include(String(cause), "defect")
    }))

  it.effect("that fails after the exit of a handle was told is logged when the scope closes, and only then", () =>
    Effect.gen(function*() {
      const log = logs.collect()
      const late = Sink.forEach(() => Effect.delay(Effect.fail("boom" as const), "1 second"))
      const program = (job: FakeEngine.FakeJob) => Effect.all([job.out.write("x"), job.exit(0)])
      const engine = yield* FakeEngine.make({ program })
      yield* Effect.scoped(Effect.gen(function*() {
        const process = yield* Command.start(Command.stdout(a, late))
        assert.strictEqual(String(yield* process.exit), "exit code 0")
        yield* FakeEngine.adjust("2 seconds")
        assert.deepStrictEqual(log.from("ERROR"), [])
      })).pipe(engine.provide, log.provide)
      assert.lengthOf(log.from("ERROR"), 1)
      assert.match(log.from("ERROR")[0] ?? "", /a: an output Sink failed: .*boom/)
    }))

  it.effect("is interrupted with its scope, after a moment for what is left", () =>
    Effect.gen(function*() {
      const ended = yield* Ref.make(false)
      const engine = yield* FakeEngine.make()
      const begun = yield* Deferred.make<void>()
      const stuck = Sink.fromEffect(
        Effect.zipRight(
          Deferred.succeed(begun, undefined),
          Effect.onInterrupt(Effect.never, () => Ref.set(ended, true))
        )
      )
      const fiber = yield* Effect.fork(engine.provide(Command.run(Command.stdout(a, stuck))))
      yield* Deferred.await(begun)
      const interrupting = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* FakeEngine.adjust("300 millis")
      yield* Fiber.join(interrupting)
      assert.isTrue(yield* Ref.get(ended))
    }))
})

describe("further descriptors", () => {
  it.effect("Streams are written, their end closes the pipe; Sinks are run", () =>
    Effect.gen(function*() {
      const seen = yield* Ref.make("")
      const program = (job: FakeEngine.FakeJob) =>
        Effect.gen(function*() {
          yield* job.inputOf(0, 3)?.endOfFile ?? Effect.void
          yield* job.outputOf(0, 4)?.write("four") ?? Effect.void
          yield* job.exit(0)
        })
      const engine = yield* FakeEngine.make({ program })
      const command = a.pipe(Command.fd(3, Stream.make("th", "ree")), Command.fd(4, into(seen)))
      yield* engine.provide(Command.run(command))
      assert.strictEqual(engine.job.inputOf(0, 3)?.received, "three")
      assert.strictEqual(yield* Ref.get(seen), "four")
    }))

  it.effect("a Stream that fails ends the job with its own error, its pipe still open", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const command = Command.fd(a, 3, Stream.concat(Stream.make("half"), Stream.fail("boom" as const)))
      assert.strictEqual(yield* Effect.flip(engine.provide(Command.run(command))), "boom")
      const closed = engine.log.findIndex((line) => line.endsWith("descriptor 3 close"))
      const exited = engine.log.findIndex((line) => line.endsWith("exit SIGTERM"))
      assert.isAbove(closed, exited)
    }))

  it.effect("a Sink that fails ends the job with its own error", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.outputOf(0, 9)?.write("x") ?? Effect.void })
      assert.strictEqual(yield* Effect.flip(engine.provide(Command.run(Command.fd(a, 9, failing)))), "boom")
    }))
})
