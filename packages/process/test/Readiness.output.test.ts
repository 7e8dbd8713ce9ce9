/** What a server wrote while nobody read it, and how a reader takes over: nothing is lost, doubled, or out of order. */
import { assert, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { describe } from "vitest"
import { Command, ExitStatus, Readiness } from "../src/index.ts"
import * as FakeEngine from "./support/fakeEngine.ts"
import * as Logs from "./support/logs.ts"

const mebibyte = 1024 * 1024

const server = Command.make("serve")

const text = <E>(stream: Stream.Stream<Uint8Array, E>) => Stream.mkString(Stream.decodeText(stream))

const started = (engine: FakeEngine.FakeEngine, command = server) =>
  Effect.gen(function*() {
    const [process] = yield* engine.provide(Command.startReady(command, Readiness.all()))
    yield* FakeEngine.settle
    return process
  })

/** Bytes that say where in the stream they are. */
const numbered = (from: number, size: number) => Uint8Array.from({ length: size }, (_, i) => ((from + i) * 7919) >> 3)

describe("the outputs of a server that is ready", () => {
  it.scoped("begin with what readiness saw", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) =>
          Effect.gen(function*() {
            for (const part of ["one\n", "ready\n", "two\n"]) yield* job.out.write(part)
            yield* job.err.write("warning\n")
            yield* Effect.sleep("1 seconds")
            yield* job.out.write("three\n")
            yield* job.exit(0)
          })
      })
      const [process] = yield* engine.provide(Command.startReady(server, Readiness.line(/ready/)))
      yield* Effect.sleep("10 seconds").pipe(Effect.fork, Effect.zipLeft(FakeEngine.adjust("10 seconds")))
      assert.strictEqual(yield* text(process.stdout), "one\nready\ntwo\nthree\n")
      assert.strictEqual(yield* text(process.stderr), "warning\n")
    }))

  it.scoped("never make a server wait that nobody reads, keep the last 1 MiB of each, and say so once", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const logs = Logs.collect()
      const process = yield* started(engine).pipe(logs.provide)
      const { err, out } = engine.job
      out.capacity = 1000
      const size = 3 * mebibyte + 17
      for (let at = 0; at < size; at += 4099) {
        assert.isTrue(yield* out.write(numbered(at, Math.min(4099, size - at))))
        yield* Effect.yieldNow()
      }
      yield* err.write(numbered(0, mebibyte))
      yield* FakeEngine.settle
      assert.deepStrictEqual(logs.from("WARN"), [
        "WARN serve: nobody reads stdout; its last 1048576 bytes are kept and the oldest are dropped; read it, or send it " +
        "elsewhere with Command.stdout"
      ])
      yield* engine.job.exit(0)
      const bytes = (stream: Stream.Stream<Uint8Array, unknown>) =>
        Effect.map(Stream.runCollect(stream), (all) => Buffer.concat(Chunk.toReadonlyArray(all)))
      assert.isTrue((yield* bytes(process.stdout)).equals(numbered(size - mebibyte, mebibyte)))
      assert.isTrue((yield* bytes(process.stderr)).equals(numbered(0, mebibyte)))
    }))

  it.scoped("of one piece that is larger than what is kept, its end", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const process = yield* started(engine)
      yield* engine.job.out.write("before")
      yield* engine.job.out.write(numbered(0, 2 * mebibyte + 3))
      yield* FakeEngine.settle
      yield* engine.job.exit(0)
      const all = Buffer.concat(Chunk.toReadonlyArray(yield* Stream.runCollect(process.stdout)))
      assert.isTrue(all.equals(numbered(mebibyte + 3, mebibyte)))
    }))

  it.scoped("press back once somebody reads", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const process = yield* started(engine)
      const { out } = engine.job
      out.capacity = 1
      for (let i = 0; i < 100; i++) yield* Effect.zipRight(out.write("x"), FakeEngine.settle)
      let taken = 0
      const slow = Stream.runForEach(process.stdout, (bytes) =>
        Effect.zipRight(Effect.sync(() => taken += bytes.byteLength), Effect.sleep("1 seconds")))
      const reader = yield* Effect.fork(slow)
      yield* FakeEngine.settle
      // What was kept comes at once, and without waiting for anything.
      assert.strictEqual(taken, 100)
      let written = 0
      yield* Effect.forever(Effect.map(out.write("y"), () =>
        written++)).pipe(Effect.fork)
      yield* FakeEngine.adjust("500 millis")
      const before = written
      assert.isAtMost(before, 4)
      yield* FakeEngine.adjust("3 seconds")
      assert.isAtLeast(written, before + 2)
      assert.isAtMost(written, before + 4)
      // Or the release waits for it, on a clock that stands still.
      yield* Fiber.interrupt(reader)
    }))

  it.scoped("come whole and in order, wherever in the course of things a reader takes over", () =>
    Effect.gen(function*() {
      for (let seed = 0; seed < 50; seed++) {
        const random = Random.make(seed)
        const upTo = (n: number) => Random.nextIntBetween(0, n).pipe(Effect.withRandom(random))
        const total = 40_000
        const engine = yield* FakeEngine.make({
          program: (job) =>
            Effect.gen(function*() {
              job.out.capacity = 1 + (yield* upTo(3_000))
              for (let at = 0; at < total;) {
                const size = Math.min(1 + (yield* upTo(2_000)), total - at)
                yield* job.out.write(numbered(at, size))
                at += size
                if ((yield* upTo(3)) === 0) yield* Effect.yieldNow()
              }
              yield* job.exit(0)
            })
        })
        const [process] = yield* engine.provide(Command.startReady(server, Readiness.all()))
        for (let turns = yield* upTo(40); turns > 0; turns--) yield* Effect.yieldNow()
        const read = Stream.mapEffect(
          process.stdout,
          (bytes) =>
            Effect.flatMap(upTo(3), (n) => n === 0 ? Effect.as(Effect.yieldNow(), bytes) : Effect.succeed(bytes))
        )
        const all = Buffer.concat(Chunk.toReadonlyArray(yield* Stream.runCollect(read)))
        assert.isTrue(all.equals(numbered(0, total)), `seed ${seed}: ${all.byteLength} bytes`)
      }
    }))

  it.scoped("are read once, and closed by a reader who stops early", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => Effect.zipRight(job.out.write("a"), Effect.never) })
      const process = yield* started(engine, server.pipe(Command.stderr("ignore")))
      yield* Stream.runDrain(Stream.take(process.stdout, 1))
      assert.isTrue(engine.job.out.closed)
      const again = yield* Effect.flip(Stream.runDrain(process.stdout))
      assert.deepStrictEqual([again.stream, again.reason], ["stdout", "AlreadyUsed"])
      const other = yield* Effect.flip(Stream.runDrain(process.stderr))
      assert.deepStrictEqual([other.stream, other.reason], ["stderr", "NotPiped"])
    }))

  it.scoped("end with the failure of the pipe, after what was kept", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const process = yield* started(engine)
      yield* engine.job.out.write("kept")
      yield* FakeEngine.settle
      yield* engine.job.out.fail("EIO")
      const seen: Array<string> = []
      const read = Stream.runForEach(process.stdout, (bytes) =>
        Effect.sync(() => seen.push(Buffer.from(bytes).toString())))
      const error = yield* Effect.flip(read)
      assert.deepStrictEqual([seen, error.reason, error.errno], [["kept"], "Io", "EIO"])
    }))

  it.scoped("are read while the server ends, and closed with its scope", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      let last = ""
      yield* Effect.scoped(Effect.gen(function*() {
        const process = yield* started(engine)
        engine.job.onSignal = (signal, job) =>
          Effect.zipRight(job.out.write("closing\n"), job.exit(ExitStatus.killed(signal)))
        yield* Effect.forkDaemon(Effect.map(text(process.stdout), (all) => {
          last = all
        }))
        yield* FakeEngine.settle
      }))
      yield* FakeEngine.settle
      assert.strictEqual(last, "closing\n")
      assert.isTrue(engine.job.out.closed && engine.job.err.closed)
    }))
})
