/** `through` and `sink`: a command between, or at the end of, Streams of ours, in every way of failing. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import { Command } from "effect-process"
import { createHash, randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import * as fixtures from "../support/fixtures.ts"
import { type Suite, timed, within } from "../support/scenario.ts"

const bytes = (...parts: ReadonlyArray<string>) => Stream.encodeText(Stream.fromIterable(parts))
const text = <E, R>(stream: Stream.Stream<Uint8Array, E, R>) => Stream.mkString(Stream.decodeText(stream))

/** 64 KiB of it again and again, for ever. */
const endless = Stream.repeatValue(new Uint8Array(65_536))

const pieces = (count: number) => Stream.take(Stream.repeatValue(new Uint8Array(100_000)), count)

/** Ends after a piece, with an error of its own. */
const broken = Stream.concat(bytes("half"), Stream.fail("boom" as const))

export const operators = ({ bounds: { e, g }, scenario }: Suite): void => {
  scenario("through: what a command makes of a Stream, and pipelines of two of them", (t) =>
    Effect.gen(function*() {
      const sort = t.mark(Command.make("sort"))
      assert.strictEqual(yield* text(bytes("b\n", "a\n").pipe(Command.through(sort))), "a\nb\n")
      const input = randomBytes(5_000_000)
      const seen = createHash("sha256")
      yield* Stream.make(input).pipe(
        Command.through(t.mark(Command.make("gzip", "-1"))),
        Command.through(t.mark(Command.make("cat")).pipe(Command.pipeTo(t.mark(Command.make("gunzip"))))),
        Stream.runForEach((chunk) => Effect.sync(() => seen.update(chunk)))
      )
      assert.strictEqual(seen.digest("hex"), createHash("sha256").update(input).digest("hex"))
    }))

  scenario(
    "through: a command that writes before it has read, and one that writes much more than it reads",
    (t) =>
      Effect.gen(function*() {
        const eager = t.sh("head -c 1000000 /dev/zero; cat")
        const size = Stream.runFold(0, (sum: number, chunk: Uint8Array) => sum + chunk.length)
        const input = pieces(20)
        assert.strictEqual(yield* size(input.pipe(Command.through(eager))), 3_000_000)
        assert.strictEqual(yield* size(bytes("x").pipe(Command.through(eager))), 1_000_001)
      })
  )

  scenario(
    "through: an input that fails ends the command, which never sees the end of it",
    (t) =>
      Effect.gen(function*() {
        const directory = yield* fixtures.temporaryDirectory
        const file = path.join(directory, "committed")
        const command = t.sh("cat >\"$1.tmp\" && mv \"$1.tmp\" \"$1\"", file)
        assert.strictEqual(yield* Effect.flip(Stream.runDrain(broken.pipe(Command.through(command)))), "boom")
        assert.strictEqual(yield* Effect.flip(Stream.run(broken, Command.sink(command))), "boom")
        assert.isFalse(fs.existsSync(file))
        yield* t.isEmpty
      })
  )

  scenario(
    "through: a command that fails ends its input, and what it wrote comes first",
    (t) =>
      Effect.gen(function*() {
        const ended = yield* Ref.make(false)
        const input = Stream.ensuring(endless, Ref.set(ended, true))
        const command = t.sh("head -c 3; echo bad >&2; exit 4")
        const seen = yield* Ref.make(0)
        const run = input.pipe(
          Command.through(command),
          Stream.runForEach((chunk) => Ref.update(seen, (sum) => sum + chunk.length))
        )
        const [elapsed, error] = yield* timed(Effect.flip(run))
        assert.deepInclude(error, { _tag: "NonZeroExit", exitCode: 4, stderrTail: "bad\n" })
        assert.strictEqual(yield* Ref.get(seen), 3)
        assert.isTrue(yield* Ref.get(ended))
        within(elapsed, 2 * e)
      })
  )

  scenario(
    "through: a command that stops reading and goes on is no failure and no deadlock",
    (t) =>
      Effect.gen(function*() {
        const command = t.sh("head -c 3 >/dev/null; exec 0<&-; sleep 0.2; head -c 500000 /dev/zero | tr '\\0' x")
        const output = yield* text(endless.pipe(Command.through(command)))
        assert.strictEqual(output.length, 500_000)
      })
  )

  scenario(
    "through: a consumer that stops early ends the command and its input, without failure",
    (t) =>
      Effect.gen(function*() {
        const ended = yield* Ref.make(false)
        const input = Stream.ensuring(endless, Ref.set(ended, true))
        const [elapsed, count] = yield* timed(
          input.pipe(Command.through(t.mark(Command.make("cat"))), Stream.take(1), Stream.runCount)
        )
        assert.strictEqual(count, 1)
        assert.isTrue(yield* Ref.get(ended))
        within(elapsed, 2 * e)
        yield* t.isEmpty
      })
  )

  scenario("through: back-pressure both ways", (t) =>
    Effect.gen(function*() {
      const given = yield* Ref.make(0)
      const input = Stream.tap(endless, (chunk) => Ref.update(given, (sum) => sum + chunk.length))
      const output = input.pipe(Command.through(t.mark(Command.make("cat"))))
      yield* output.pipe(Stream.rechunk(1), Stream.take(3), Stream.runForEach(() => Effect.sleep(100)))
      // What pipes and buffers between hold is a mebibyte or two, and the gigabytes of 300 ms are not among it.
      assert.isBelow(yield* Ref.get(given), 16 * 1024 * 1024)
    }))

  scenario("through: a command that cannot be started never asks for its input", (t) =>
    Effect.gen(function*() {
      const asked = yield* Ref.make(false)
      const input = Stream.tap(bytes("x"), () => Ref.set(asked, true))
      const missing = t.mark(Command.make("no-such-program"))
      const errors = [
        yield* Effect.flip(Stream.runDrain(input.pipe(Command.through(missing)))),
        yield* Effect.flip(Stream.run(Stream.make(new Uint8Array(1)), Command.sink(missing)))
      ]
      for (const error of errors) assert.deepInclude(error, { _tag: "SpawnError", reason: "NotFound" })
      assert.isFalse(yield* Ref.get(asked))
    }))

  scenario("through: a deadline ends both sides", (t) =>
    Effect.gen(function*() {
      const command = t.sh("exec sleep 100").pipe(Command.timeout(300))
      const [elapsed, error] = yield* timed(Effect.flip(Stream.runDrain(endless.pipe(Command.through(command)))))
      assert.strictEqual(error._tag, "TimedOut")
      within(elapsed, 300 + e)
      yield* t.isEmpty
    }))

  scenario("sink: its result, much input, and a command that stops reading", (t) =>
    Effect.gen(function*() {
      const wc = Command.sink(t.mark(Command.make("wc", "-c")))
      const input = pieces(300)
      assert.strictEqual((yield* Stream.run(input, wc)).stdoutText.trim(), "30000000")
      assert.strictEqual((yield* Stream.run(Stream.empty, wc)).stdoutText.trim(), "0")
      const head = Command.sink(t.mark(Command.make("head", "-c", "3")))
      assert.lengthOf((yield* Stream.run(endless, head)).stdout, 3)
    }))

  scenario("sink: a command that fails fails the Stream that is run into it", (t) =>
    Effect.gen(function*() {
      const late = Command.sink(t.sh("cat >/dev/null; echo bad >&2; exit 3"))
      assert.deepInclude(yield* Effect.flip(Stream.run(bytes("x"), late)), { exitCode: 3, stderrTail: "bad\n" })
      const early = Command.sink(t.sh("exit 5"))
      const [elapsed, error] = yield* timed(Effect.flip(Stream.run(endless, early)))
      assert.deepInclude(error, { _tag: "NonZeroExit", exitCode: 5 })
      within(elapsed, 2 * e)
    }))

  scenario(
    "sink: a command that writes much while it is fed, and one that writes before it reads",
    (t) =>
      Effect.gen(function*() {
        const cat = Command.sink(t.mark(Command.make("cat")))
        assert.lengthOf((yield* Stream.run(pieces(20), cat)).stdout, 2_000_000)
        const eager = Command.sink(t.sh("head -c 1000000 /dev/zero; cat"))
        assert.lengthOf((yield* Stream.run(bytes("x"), eager)).stdout, 1_000_001)
      })
  )

  scenario(
    "an input that has nothing to say keeps nobody waiting for a command that has ended",
    (t) =>
      Effect.gen(function*() {
        const idle = Stream.concat(bytes("x"), Stream.never)
        const [elapsed] = yield* timed(Effect.gen(function*() {
          const ended = t.sh("head -c 1")
          assert.strictEqual((yield* Stream.run(idle, Command.sink(ended))).stdoutText, "x")
          assert.strictEqual(yield* text(idle.pipe(Command.through(ended))), "x")
          const failed = yield* Effect.flip(Stream.run(idle, Command.sink(t.sh("exit 3"))))
          assert.deepInclude(failed, { _tag: "NonZeroExit", exitCode: 3 })
        }))
        within(elapsed, 4 * e)
      })
  )

  scenario("sink: interrupted with the Stream, the command is gone", (t) =>
    Effect.gen(function*() {
      const fiber = Stream.run(endless, Command.sink(t.sh("exec sleep 100"))).pipe(Effect.timeoutOption(200))
      const [elapsed] = yield* timed(fiber)
      within(elapsed, 200 + g + e)
      yield* t.isEmpty
    }))
}
