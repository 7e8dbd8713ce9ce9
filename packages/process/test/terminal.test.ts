/** A terminal of the job's own: what reaches the engine, and who has its ends. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { describe } from "vitest"
import { Command, ExitStatus, Stdio } from "../src/index.ts"
import * as FakeEngine from "./support/fakeEngine.ts"

const a = Command.make("a")
const b = Command.make("b")
const on = (fd: number) => ({ fd, to: "terminal" }) as const

const requestOf = <E>(command: Command.Command<E>) =>
  Effect.scoped(Effect.gen(function*() {
    const engine = yield* FakeEngine.make({ program: (job) => job.exit(0) })
    yield* engine.provide(Command.start(command))
    return engine.job.request
  }))

describe("what reaches the engine", () => {
  it.effect("stdin, stdout and stderr on a terminal of 80 x 24, with a pipe each way", () =>
    Effect.gen(function*() {
      const { pipes, stages, terminal } = yield* requestOf(a.pipe(Command.terminal()))
      assert.deepStrictEqual(stages[0].redirects, [on(0), on(1), on(2)])
      assert.deepStrictEqual(pipes, [{ owner: "writes" }, { owner: "reads" }])
      assert.deepStrictEqual(terminal, { columns: 80, rows: 24, input: 0, output: 1 })
      const plain = yield* requestOf(a)
      assert.isUndefined(plain.terminal)
    }))

  it.effect("a size, and a later call that wins", () =>
    Effect.gen(function*() {
      const { terminal } = yield* requestOf(a.pipe(Command.terminal({ rows: 2 }), Command.terminal({ columns: 132 })))
      assert.deepInclude(terminal, { columns: 132, rows: 24 })
    }))

  it.effect("what is sent elsewhere is not on it", () =>
    Effect.gen(function*() {
      const { pipes, stages, terminal } = yield* requestOf(
        a.pipe(
          Command.terminal(),
          Command.stdin("ignore"),
          Command.stdout(Stdio.file("out")),
          Command.stderr(Sink.drain)
        )
      )
      assert.deepStrictEqual(stages[0].redirects, [
        { fd: 0, to: "null" },
        { fd: 1, to: "file", path: "out", mode: "write" },
        { fd: 2, to: "pipe", pipe: 0, end: "write" }
      ])
      assert.deepStrictEqual(pipes, [{ owner: "reads" }])
      assert.deepStrictEqual(terminal, { columns: 80, rows: 24, input: undefined, output: undefined })
    }))

  it.effect("of a pipeline the first stage has the keyboard, the last one and every stderr the screen", () =>
    Effect.gen(function*() {
      const { pipes, stages, terminal } = yield* requestOf(
        a.pipe(Command.terminal(), Command.pipeTo(Command.terminal(b, { columns: 10, rows: 10 })))
      )
      assert.deepStrictEqual(stages.map(({ redirects }) => redirects), [
        [on(0), { fd: 1, to: "pipe", pipe: 1, end: "write" }, on(2)],
        [{ fd: 0, to: "pipe", pipe: 1, end: "read" }, on(1), on(2)]
      ])
      assert.deepStrictEqual(pipes, [{ owner: "writes" }, { owner: "none" }, { owner: "reads" }])
      assert.deepStrictEqual(terminal, { columns: 80, rows: 24, input: 0, output: 2 })
    }))
})

describe("its ends", () => {
  it.effect("are stdin and stdout; stderr has none of its own", () =>
    Effect.scoped(Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) =>
          Effect.gen(function*() {
            yield* job.in.awaitReceived("typed")
            yield* job.out.write("shown")
            yield* job.in.endOfFile
            yield* job.exit(0)
          })
      })
      const process = yield* engine.provide(Command.start(Command.terminal(a)))
      yield* Stream.run(Stream.make(new TextEncoder().encode("typed")), process.stdin)
      assert.strictEqual(yield* Stream.mkString(Stream.decodeText(process.stdout)), "shown")
      assert.strictEqual((yield* Effect.flip(Stream.runDrain(process.stderr))).reason, "NotPiped")
      assert.strictEqual(yield* process.exitCode, 0)
    })))

  it.effect("with stdout elsewhere stderr is what is shown", () =>
    Effect.scoped(Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => Effect.zipRight(job.err.write("asks"), job.exit(0))
      })
      const process = yield* engine.provide(Command.start(a.pipe(Command.terminal(), Command.stdout("ignore"))))
      assert.strictEqual(yield* Stream.mkString(Stream.decodeText(process.stderr)), "asks")
    })))

  it.effect("a runner ends the input at once, and captures what is shown", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => job.in.endOfFile.pipe(Effect.zipRight(job.out.write("text")), Effect.zipRight(job.exit(0)))
      })
      const { stderrText, stdoutText } = yield* engine.provide(Command.run(Command.terminal(a)))
      assert.deepStrictEqual([stdoutText, stderrText], ["text", ""])
      assert.deepStrictEqual(engine.job.request.stages[0].redirects[0], on(0))
      assert.include(engine.log, "0 keyboard close")
    }))

  it.effect("a Stream is typed, and a Sink takes what is shown", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) =>
          job.in.awaitReceived("x").pipe(Effect.zipRight(job.out.write("y")), Effect.zipRight(job.exit(0)))
      })
      const seen: Array<string> = []
      const sink = Sink.forEach((bytes: Uint8Array) => Effect.sync(() => seen.push(new TextDecoder().decode(bytes))))
      yield* engine.provide(Command.run(a.pipe(Command.feed("x"), Command.stdout(sink), Command.terminal())))
      assert.deepStrictEqual(seen, ["y"])
    }))

  it.effect("SIGHUP is no failure of a program whose screen nobody reads any more", () =>
    Effect.gen(function*() {
      const program = (job: FakeEngine.FakeJob) =>
        job.out.write("x").pipe(
          Effect.zipRight(job.out.write("y")),
          Effect.zipRight(Effect.sleep(1)),
          Effect.zipRight(job.exit(ExitStatus.killed("SIGHUP")))
        )
      const engine = yield* FakeEngine.make({ program })
      const first = a.pipe(Command.terminal(), Command.stdout(Sink.take(1)))
      const running = yield* Effect.fork(engine.provide(Command.run(first)))
      yield* FakeEngine.adjust(10)
      yield* Fiber.join(running)
      const other = yield* FakeEngine.make({ program })
      const failing = yield* Effect.fork(Effect.flip(other.provide(Command.run(Command.terminal(a)))))
      yield* FakeEngine.adjust(10)
      assert.strictEqual((yield* Fiber.join(failing))._tag, "Signaled")
    }))
})

describe("resize", () => {
  it.effect("asks the engine, and says what is wrong", () =>
    Effect.scoped(Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const process = yield* engine.provide(Command.start(Command.terminal(a)))
      yield* process.resize(132, 50)
      assert.include(engine.log, "0 resize 132 50")
      for (
        const [columns, rows, says] of [[0, 1, /columns 0;/], [1, 65_536, /rows 65536;/], [
          1.5,
          1,
          /columns 1.5;/
        ]] as const
      ) {
        const error = yield* Effect.flip(process.resize(columns, rows))
        assert.deepInclude(error, { _tag: "TerminalError", reason: "InvalidSize" })
        assert.match(error.message, says)
      }
      yield* engine.job.exit(0)
      assert.strictEqual((yield* Effect.flip(process.resize(1, 1)))._tag, "ProcessGone")
      const plain = yield* engine.provide(Command.start(a))
      const error = yield* Effect.flip(plain.resize(80, 24))
      assert.deepInclude(error, { _tag: "TerminalError", reason: "NoTerminal" })
      assert.match(error.message, /^a: NoTerminal: give it one with Command\.terminal$/)
    })))
})
