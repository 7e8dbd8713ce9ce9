/** A child sees end of file on its stdin only when the input ended successfully. */
import { assert, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { describe } from "vitest"
import { Command, ExitStatus } from "../src/index.ts"
import * as FakeEngine from "./support/fakeEngine.ts"
import { unkillable } from "./support/fates.ts"
import * as Logs from "./support/logs.ts"

/** A program such as `cat > file`: exits with 0 at the end of its input. */
const reader = (job: FakeEngine.FakeJob) => Effect.zipRight(job.in.endOfFile, job.exit(0))

const bytes = (text: string) => new TextEncoder().encode(text)

const inputs = {
  fails: Stream.concat(Stream.make("half"), Stream.fail("broken" as const)),
  dies: Stream.concat(Stream.make("half"), Stream.die(new Error("broken"))),
  "is interrupted": Stream.concat(Stream.make("half"), Stream.fromEffect(Effect.interrupt))
}

describe("stdin of a command", () => {
  it.effect("ends with the Stream", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: reader })
      const command = Command.make("cat").pipe(Command.stdin(Stream.make("a", bytes("b"), "é")))
      assert.strictEqual(yield* engine.provide(Command.exitCode(command)), 0)
      assert.strictEqual(engine.job.in.received, "abé")
      assert.deepStrictEqual(engine.log.slice(0, 2), ["0 stdin close", "0 exit exit code 0"])
    }))

  it.effect("is all of feed", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: reader })
      yield* engine.provide(Command.run(Command.make("cat").pipe(Command.feed("whole"))))
      assert.strictEqual(engine.job.in.received, "whole")
    }))

  for (const [how, input] of Object.entries(inputs)) {
    it.effect(`that ${how} is closed only after the job has gone, and every runner fails with it`, () =>
      Effect.gen(function*() {
        const command = Command.make("cat").pipe(Command.stdin<"broken", never>(input))
        const runners: ReadonlyArray<(self: typeof command) => ReturnType<typeof Command.run<"broken", never>>> = [
          Command.run,
          Command.string as never,
          Command.lines as never,
          Command.exitCode as never,
          Command.success as never,
          ((self: typeof command) => Stream.runDrain(Command.stream(self))) as never,
          ((self: typeof command) => Stream.runDrain(Command.streamLines(self))) as never,
          ((self: typeof command) => Stream.runDrain(Command.events(self))) as never
        ]
        for (const [n, runner] of runners.entries()) {
          const engine = yield* FakeEngine.make({ program: reader })
          const exit = yield* Effect.exit(engine.provide(runner(command)))
          if (Exit.isSuccess(exit)) return assert.fail(`runner ${n} succeeds`)
          if (how === "fails") {
            assert.deepStrictEqual(Cause.failureOption(exit.cause), Cause.failureOption(Cause.fail("broken")))
          }
          if (how === "dies") assert.match(String(Cause.squash(exit.cause)), /broken/)
          if (how === "is interrupted") assert.isTrue(Cause.isInterrupted(exit.cause))
          assert.deepStrictEqual(engine.log.slice(0, 2), ["0 terminate SIGTERM 5000", "0 exit SIGTERM"], `runner ${n}`)
        }
      }))
  }

  it.scoped("that fails fails exit, and the job is signalled with its stdin open", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: reader })
      const process = yield* engine.provide(Command.start(Command.make("cat").pipe(Command.stdin(inputs.fails))))
      assert.strictEqual(yield* Effect.flip(process.exit), "broken")
      assert.deepStrictEqual((yield* process.stages).map(({ exit }) => exit), [ExitStatus.killed("SIGTERM")])
      yield* FakeEngine.settle
      assert.deepStrictEqual(engine.log.slice(0, 3), [
        "0 terminate SIGTERM 5000",
        "0 exit SIGTERM",
        "0 stdin close"
      ])
    }))

  it.effect("that fails on a job that cannot be killed fails the runner all the same", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: unkillable
      })
      const command = Command.make("cat").pipe(Command.stdin(inputs.fails))
      const fiber = yield* Effect.fork(Effect.flip(engine.provide(Command.string(command))))
      yield* FakeEngine.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.poll(fiber))._tag, "Some")
      assert.strictEqual(yield* Fiber.join(fiber), "broken")
    }))

  it.effect("of a child that stops reading is no error, and the Stream is ended", () =>
    Effect.gen(function*() {
      const ended = yield* Deferred.make<void>()
      const engine = yield* FakeEngine.make({
        program: (job) =>
          job.in.awaitReceived("y").pipe(
            Effect.zipRight(job.in.set("gone")),
            Effect.zipRight(Deferred.await(ended)),
            Effect.zipRight(job.exit(0))
          )
      })
      const endless = Stream.forever(Stream.make("y")).pipe(Stream.ensuring(Deferred.succeed(ended, undefined)))
      assert.strictEqual(yield* engine.provide(Command.exitCode(Command.stdin(Command.make("head"), endless))), 0)
    }))

  it.effect("that never ends does not keep a job alive that has ended", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.exit(0) })
      const command = Command.make("true").pipe(Command.stdin(Stream.never))
      assert.strictEqual(yield* engine.provide(Command.exitCode(command)), 0)
    }))

  it.effect("whose pipe fails ends the job and logs why", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.in.set("fails") })
      const logs = Logs.collect()
      const command = Command.make("cat").pipe(
        Command.stdin(Stream.fromEffect(Effect.as(Effect.sleep("1 millis"), "x")))
      )
      const fiber = yield* Effect.fork(Effect.flip(engine.provide(Command.run(command)).pipe(logs.provide)))
      yield* FakeEngine.adjust("1 seconds")
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "Signaled")
      assert.deepStrictEqual(logs.from("ERROR"), ["ERROR cat: stdin: input or output error (EIO)"])
    }))
})

describe("stdin of a handle", () => {
  it.scoped("writes, closes at the end, and is used once", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: reader })
      const process = yield* engine.provide(Command.start(Command.make("cat")))
      yield* Stream.run(Stream.make(bytes("a"), bytes("b")), process.stdin)
      assert.strictEqual(engine.job.in.received, "ab")
      assert.isTrue(engine.job.in.closed)
      const error = yield* Effect.flip(Stream.run(Stream.make(bytes("c")), process.stdin))
      assert.strictEqual(error.reason, "AlreadyUsed")
      assert.deepStrictEqual(yield* process.exit, ExitStatus.exited(0))
    }))

  it.scoped("holds a conversation over a Queue", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => Effect.zipRight(job.in.awaitReceived("ping"), job.out.write("pong"))
      })
      const process = yield* engine.provide(Command.start(Command.make("server")))
      const queue = yield* Queue.unbounded<Uint8Array>()
      yield* Effect.fork(Stream.run(Stream.fromQueue(queue), process.stdin))
      yield* Queue.offer(queue, bytes("ping"))
      const answer = yield* process.stdout.pipe(Stream.decodeText(), Stream.take(1), Stream.mkString)
      assert.strictEqual(answer, "pong")
      assert.isFalse(engine.job.in.closed)
    }))

  it.scoped("signals the job first when the input fails or is interrupted, and closes after the end", () =>
    Effect.gen(function*() {
      for (const input of [Stream.fail("broken"), Stream.die("broken"), Stream.never]) {
        const engine = yield* FakeEngine.make({ program: reader })
        const process = yield* engine.provide(Command.start(Command.make("cat")))
        const fiber = yield* Effect.fork(Stream.run(input, process.stdin))
        yield* FakeEngine.settle
        yield* Fiber.interrupt(fiber)
        yield* FakeEngine.settle
        assert.deepStrictEqual(engine.log.slice(0, 3), [
          "0 terminate SIGTERM 5000",
          "0 exit SIGTERM",
          "0 stdin close"
        ])
      }
    }))

  it.scoped("fails with Io when the system refuses, and with NotPiped where it is none", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.in.set("fails") })
      const process = yield* engine.provide(Command.start(Command.make("cat")))
      yield* FakeEngine.settle
      const error = yield* Effect.flip(Stream.run(Stream.make(bytes("a")), process.stdin))
      assert.deepStrictEqual([error.reason, error.errno], ["Io", "EIO"])
      const other = yield* engine.provide(Command.start(Command.make("cat").pipe(Command.stdin("ignore"))))
      assert.strictEqual((yield* Effect.flip(Stream.run(Stream.empty, other.stdin))).reason, "NotPiped")
    }))

  it.scoped("ends early and without an error when the child stops reading", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.in.set("gone") })
      const process = yield* engine.provide(Command.start(Command.make("head")))
      yield* FakeEngine.settle
      yield* Stream.run(Stream.forever(Stream.make(bytes("y"))), process.stdin)
      assert.deepStrictEqual(engine.actions, [])
    }))

  it.scoped("is AlreadyUsed where the command has a Stream", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const process = yield* engine.provide(Command.start(Command.make("cat").pipe(Command.stdin(Stream.never))))
      yield* FakeEngine.settle
      assert.strictEqual((yield* Effect.flip(Stream.run(Stream.empty, process.stdin))).reason, "AlreadyUsed")
    }))
})
