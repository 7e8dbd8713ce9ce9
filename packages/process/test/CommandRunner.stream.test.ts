/** The runners that return a Stream. */
import { assert, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import { describe } from "vitest"
import { Command, ExitStatus, type ProcessSpawner } from "../src/index.ts"
import * as FakeEngine from "./support/fakeEngine.ts"
import * as Logs from "./support/logs.ts"

const a = Command.make("a")

const array = <A, E, R>(stream: Stream.Stream<A, E, R>) => Effect.map(Stream.runCollect(stream), Chunk.toReadonlyArray)

describe("stream", () => {
  it.effect("delivers all, then fails with the status", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => Effect.all([job.out.write("a\nb"), job.err.write("why\n"), job.exit(2)])
      })
      const seen = yield* Ref.make<ReadonlyArray<string>>([])
      const run = Stream.runForEach(Command.streamLines(a), (line) => Ref.update(seen, (all) => [...all, line]))
      const error = yield* Effect.flip(engine.provide(run))
      assert.deepStrictEqual(yield* Ref.get(seen), ["a", "b"])
      assert.strictEqual(error.message, "a: exit code 2: why")
    }))

  it.effect("loses nothing to a slow reader, who is neither hurried nor cut, and times the exit", () =>
    Effect.gen(function*() {
      const parts = Array.from({ length: 10 }, (_, n) => String(n))
      const engine = yield* FakeEngine.make({
        program: (job) => {
          job.out.capacity = 3
          return Effect.zipRight(Effect.forEach(parts, (part) => job.out.write(part)), job.exit(1))
        }
      })
      const read = Command.stream(a).pipe(
        Stream.tap(() => Effect.sleep("1 seconds")),
        Stream.decodeText(),
        Stream.runFold("", (all, part) => all + part)
      )
      const seen = yield* Ref.make("")
      const slow = Command.stream(a).pipe(
        Stream.decodeText(),
        Stream.runForEach((part) => Effect.zipRight(Effect.sleep("1 seconds"), Ref.update(seen, (all) => all + part)))
      )
      const fiber = yield* Effect.fork(Effect.flip(engine.provide(slow)))
      yield* FakeEngine.adjust("3 seconds")
      assert.deepStrictEqual(engine.actions, [])
      yield* FakeEngine.adjust("1 minute")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(yield* Ref.get(seen), "0123456789")
      assert.strictEqual(error._tag, "NonZeroExit")
      if (error._tag === "NonZeroExit") assert.isBelow(Duration.toMillis(error.duration), 10_000)
      const accepted = yield* Effect.fork(engine.provide(read.pipe(Effect.either)))
      yield* FakeEngine.adjust("1 minute")
      assert.strictEqual((yield* Fiber.poll(accepted))._tag, "Some")
    }))

  it.effect("delivers what was written before the exit, when the exit comes first", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => {
          job.out.holder = "foreigner"
          return Effect.all([job.out.write("1"), job.out.write("2"), job.out.write("3"), job.exit(0)])
        }
      })
      const read = Command.stream(a).pipe(
        Stream.tap(() => Effect.sleep("10 seconds")),
        Stream.decodeText(),
        Stream.mkString
      )
      const fiber = yield* Effect.fork(engine.provide(read))
      yield* FakeEngine.adjust("5 minutes")
      assert.strictEqual(yield* Fiber.join(fiber), "123")
      assert.isTrue(engine.job.out.wasCut)
    }))

  it.effect("of a consumer who stops early ends the job without failure, and reads its last words", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => {
          job.onSignal = () =>
            Effect.flatMap(job.err.write("bye\n"), (read) => job.exit(read ? 0 : ExitStatus.killed("SIGPIPE")))
          return job.out.write("1\n2\n3\n")
        }
      })
      assert.deepStrictEqual(yield* engine.provide(array(Stream.take(Command.streamLines(a), 2))), ["1", "2"])
      assert.deepStrictEqual(engine.actions, ["0 terminate SIGTERM 5000", "0 exit exit code 0"])
    }))

  it.effect("hands on lines in chunks that a fold of Effect can take", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => Effect.zipRight(job.out.write("\n".repeat(100_000)), job.exit(0))
      })
      assert.strictEqual(
        yield* engine.provide(Stream.runFold(Command.streamLines(a), 0, (count) => count + 1)),
        100_000
      )
    }))

  it.effect("times out with the output's tail", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.out.write("so far") })
      const fiber = yield* Effect.fork(
        Effect.flip(engine.provide(Stream.runDrain(Command.stream(Command.timeout(a, "1 seconds")))))
      )
      yield* FakeEngine.adjust("1 seconds")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error._tag, "TimedOut")
      if (error._tag === "TimedOut") assert.strictEqual(error.stdoutTail, "so far")
    }))

  for (const read of [Command.streamLines, Command.events]) {
    it.effect(`${read.name}: a line that does not end is not kept for ever, and what came before it is delivered`, () =>
      Effect.gen(function*() {
        const engine = yield* FakeEngine.make({
          program: (job) => {
            job.onSignal = () => job.exit(7)
            return job.out.write(`short\n${"x".repeat(11)}`)
          }
        })
        const seen: Array<unknown> = []
        const run = Stream.runForEach<unknown, unknown, ProcessSpawner, void, never, never>(
          read(Command.maxOutput(a, 10)),
          (one) => Effect.sync(() => seen.push(typeof one === "string" ? one : (one as { line?: string }).line))
        )
        const error = yield* Effect.flip(engine.provide(run))
        assert.deepStrictEqual(seen.filter((line) => line !== undefined), ["short"])
        assert.deepInclude(error, {
          _tag: "OutputLimitExceeded",
          limit: 10,
          stream: "stdout",
          exit: ExitStatus.exited(7),
          stdoutTail: `short\n${"x".repeat(11)}`
        })
        assert.deepStrictEqual(engine.actions, ["0 terminate SIGTERM 5000", "0 exit exit code 7"])
      }))
  }

  it.effect("runs the command anew each time", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => Effect.all([job.out.write("x\n"), job.exit(0)]) })
      const lines = Command.streamLines(a)
      assert.deepStrictEqual(yield* engine.provide(array(lines)), ["x"])
      assert.deepStrictEqual(yield* engine.provide(array(lines)), ["x"])
      assert.strictEqual(engine.jobs.length, 2)
    }))
})

describe("events", () => {
  it.effect("are the start, the lines in order of arrival, and the end, whatever the status", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) =>
          Effect.all([
            job.out.write("o1\n"),
            Effect.sleep("1 seconds"),
            job.err.write("e1\n"),
            Effect.sleep("1 seconds"),
            job.out.write("o2"),
            job.exit(3)
          ])
      })
      const fiber = yield* Effect.fork(engine.provide(array(Command.events(a))))
      yield* FakeEngine.adjust("2 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), [
        { _tag: "Started", pid: 1000 },
        { _tag: "Stdout", line: "o1" },
        { _tag: "Stderr", line: "e1" },
        { _tag: "Stdout", line: "o2" },
        { _tag: "Ended", exit: ExitStatus.exited(3) }
      ])
    }))

  it.effect("of a death by a signal end, too", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.die(ExitStatus.killed("SIGSEGV")) })
      const all = yield* engine.provide(array(Command.events(a)))
      assert.deepStrictEqual(all.at(-1), { _tag: "Ended", exit: ExitStatus.killed("SIGSEGV") })
    }))

  it.effect("that a slow consumer has yet to take raise no warning", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => Effect.zipRight(job.out.write("x\n"), Effect.delay(job.exit(0), "1 minute"))
      })
      const logs = Logs.collect()
      const slow = Stream.runForEach(Command.events(a), () => Effect.sleep("5 seconds"))
      const fiber = yield* Effect.fork(engine.provide(slow).pipe(logs.provide))
      yield* FakeEngine.adjust("2 minutes")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(logs.from("WARN"), [])
    }))
})
