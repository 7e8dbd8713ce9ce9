/** What of redirections reaches the engine, and what bad ones are told. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { describe } from "vitest"
import { Command, Stdio } from "../src/index.ts"
import * as FakeEngine from "./support/fakeEngine.ts"

const a = Command.make("a")
const any = (value: unknown) => value as never
const bare: unknown = Object.create(null)

describe("what reaches the engine", () => {
  const redirectsOf = (command: Command.Command<unknown>) =>
    Effect.scoped(Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      yield* engine.provide(Command.start(command))
      return engine.job.request.stages[0].redirects
    }))

  it.effect("files with their modes, as they are written", () =>
    Effect.gen(function*() {
      const command = a.pipe(
        Command.stdin(Stdio.file("in")),
        Command.stdout(Stdio.file("out", { append: true })),
        Command.stderr(Stdio.file("/err")),
        Command.fd(3, Stdio.file("three", { mode: "read" })),
        Command.fd(4, Stdio.file("four", { mode: "append" }))
      )
      assert.deepStrictEqual(yield* redirectsOf(command), [
        { fd: 0, to: "file", path: "in", mode: "read" },
        { fd: 1, to: "file", path: "out", mode: "append" },
        { fd: 2, to: "file", path: "/err", mode: "write" },
        { fd: 3, to: "file", path: "three", mode: "read" },
        { fd: 4, to: "file", path: "four", mode: "append" }
      ])
    }))

  it.effect("words, 2>&1, and the later call for a descriptor", () =>
    Effect.gen(function*() {
      const command = a.pipe(
        Command.stdin("inherit"),
        Command.stdout("ignore"),
        Command.stderr(Stdio.toStdout),
        Command.fd(7, Stdio.file("x", { mode: "read" })),
        Command.fd(7, "ignore")
      )
      assert.deepStrictEqual(yield* redirectsOf(command), [
        { fd: 0, to: "inherit" },
        { fd: 1, to: "null" },
        { fd: 2, to: "descriptor", of: 1 },
        { fd: 7, to: "null" }
      ])
    }))

  it.effect("Streams and Sinks as pipes with the right ends", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.exit(0) })
      const command = a.pipe(
        Command.stdin(Stream.empty),
        Command.stdout(Sink.drain),
        Command.stderr("ignore")
      )
      yield* engine.provide(Command.run(command))
      const { pipes, stages } = engine.job.request
      assert.deepStrictEqual(stages[0].redirects, [
        { fd: 0, to: "pipe", pipe: 0, end: "read" },
        { fd: 1, to: "pipe", pipe: 1, end: "write" },
        { fd: 2, to: "null" }
      ])
      assert.deepStrictEqual(pipes, [{ owner: "writes", fed: true }, { owner: "reads" }])
    }))
})

describe("bad redirections", () => {
  const cases: ReadonlyArray<readonly [what: string, build: () => Command.Command, says: RegExp]> = [
    [
      "a descriptor below 3",
      () => Command.fd(a, 2, "ignore"),
      /fd: 2; write a whole number from 3 to 1023, or use stdin/
    ],
    ["a descriptor too high", () => Command.fd(a, 1024, "ignore"), /fd: 1024; write a whole number/],
    ["half a descriptor", () => Command.fd(a, 3.5, "ignore"), /fd: 3.5/],
    ["a descriptor that is no number", () => Command.fd(a, any("3"), "ignore"), /fd: "3"/],
    [
      "a word that fd does not know",
      () => Command.fd(a, 3, any("pipe")),
      /descriptor 3 "pipe"; write "ignore", Stdio.file/
    ],
    ["nothing as a descriptor", () => Command.fd(a, 3, any(undefined)), /descriptor 3 undefined; write/],
    ["an object without a prototype", () => Command.fd(a, 3, any(bare)), /descriptor 3 \(object\); write/],
    [
      "a file of fd without a mode",
      () => Command.fd(a, 3, Stdio.file("x")),
      /descriptor 3: file "x" with mode undefined; write "read"/
    ],
    [
      "an unknown mode",
      () => Command.fd(a, 3, Stdio.file("x", { mode: any("rw") })),
      /with mode "rw"; write "read", "write" or "append"/
    ],
    ["a file without a name", () => Command.stdout(a, Stdio.file("")), /stdout: "" is no file; name one/],
    ["a file with NUL", () => Command.stdin(a, Stdio.file("x\0")), /stdin: "x\\u\{0\}" is no file/],
    ["a file that is no string", () => Command.stderr(a, Stdio.file(any(5))), /stderr: 5 is no file/],
    ["stdin to be written", () => Command.stdin(a, Stdio.file("x", { mode: "write" })), /stdin is there to read/],
    ["stdout to be read", () => Command.stdout(a, Stdio.file("x", { mode: "read" })), /stdout is there to write/],
    ["a Sink as stdin", () => Command.stdin(a, any(Sink.drain)), /stdin .*; write "pipe", "inherit", "ignore"/],
    ["a Stream as stdout", () => Command.stdout(a, any(Stream.empty)), /stdout .*; write "pipe".* or a Sink/],
    ["toStdout as stdout", () => Command.stdout(a, any(Stdio.toStdout)), /stdout .*; write "pipe"/],
    [
      "a plain path as stderr",
      () => Command.stderr(a, any("/tmp/x")),
      /stderr "\/tmp\/x"; write .*Stdio.toStdout or a Sink/
    ]
  ]
  for (const [what, build, says] of cases) {
    for (
      const [where, place] of Object.entries({
        "": (self: Command.Command) => self,
        ", in a later stage": (self: Command.Command) => Command.pipeTo(Command.make("first"), self)
      })
    ) {
      it.effect(what + where, () =>
        Effect.gen(function*() {
          const engine = yield* FakeEngine.make()
          const error = yield* Effect.flip(engine.provide(Command.run(place(build()))))
          assert.deepInclude(error, { _tag: "SpawnError", reason: "InvalidArgument", stage: "validate", command: "a" })
          assert.match(error.message, says)
          assert.notInclude(error.message, "\n")
          assert.deepStrictEqual(engine.jobs, [])
        }))
    }
  }

  for (const next of [undefined, null, 5, "b", {}, bare]) {
    it.effect(`pipeTo something that is no command: ${typeof next}`, () =>
      Effect.gen(function*() {
        const engine = yield* FakeEngine.make()
        const last = Command.pipeTo<never, never>(any(next))(a)
        // An object, or nothing, is taken for the options of the other form.
        const isOptions = next === undefined || (typeof next === "object" && next !== null)
        for (const command of isOptions ? [last] : [last, Command.pipeTo<never, never, never, never>(a, any(next))]) {
          const error = yield* Effect.flip(engine.provide(Command.run(command)))
          assert.deepInclude(error, { _tag: "SpawnError", reason: "InvalidArgument", stage: "validate" })
          assert.match(error.message, /pipeTo: .* is no command; write Command.make/)
        }
      }))
  }

  it.effect("pipeTo with a from that is none", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const command = Command.pipeTo(a, a, { from: any("stdin") })
      const error = yield* Effect.flip(engine.provide(Command.run(command)))
      assert.match(error.message, /pipeTo: from "stdin"; write "stdout", "stderr" or "all"/)
    }))
})
