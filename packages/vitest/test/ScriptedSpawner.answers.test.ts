/** What scripted commands do: output at its time, their end, signals, stdin; and what the policy makes of it. */
import { assert, describe, it } from "@effect/vitest"
import { ScriptedSpawner } from "@effect-process/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { Command, ExitStatus } from "effect-process"
import { expectTypeOf } from "vitest"
import { output, script } from "./support/script.ts"

const { answers, answersWith, on, runs } = ScriptedSpawner

describe("answers", () => {
  it.effect("exit codes, signals and errors of the spawn arrive as from real programs", () =>
    Effect.gen(function*() {
      const code = yield* Effect.flip(output("three"))
      assert(code._tag === "NonZeroExit")
      assert.strictEqual(code.message, "three: exit code 3: no luck")
      const signaled = yield* Effect.flip(output("crash"))
      assert(signaled._tag === "Signaled")
      assert.deepStrictEqual([signaled.signal, signaled.coreDumped], ["SIGSEGV", true])
      const missing = yield* Effect.flip(output("nowhere"))
      assert(missing._tag === "SpawnError")
      assert.deepStrictEqual([missing.reason, missing.stage, missing.errno, missing.path], [
        "NotFound",
        "exec",
        "ENOENT",
        "nowhere"
      ])
      const limits = yield* Effect.flip(output("limits"))
      assert(limits._tag === "SpawnError")
      assert.deepStrictEqual([limits.reason, limits.stage, limits.errno], ["ResourceExhausted", "limits", "EPERM"])
      assert.isFalse(yield* Command.success(Command.make("three")))
      assert.strictEqual(yield* Command.string(Command.make("three").pipe(Command.acceptExitCodes(0, 3))), "")
    }).pipe(script(
      on("three").pipe(answers({ stderr: "no luck\n", exit: 3 })),
      on("crash").pipe(answers({ signal: "SIGSEGV", coreDumped: true })),
      on("nowhere").pipe(answers({ spawnError: "NotFound" })),
      on("limits").pipe(answers({ spawnError: { reason: "ResourceExhausted", stage: "limits", errno: "EPERM" } }))
    )))

  it.effect("pieces come at their times on the test's clock", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const run = Command.events(Command.make("build")).pipe(
        Stream.runForEach((event) => Effect.sync(() => seen.push(event._tag === "Stdout" ? event.line : event._tag)))
      )
      const fiber = yield* Effect.fork(run)
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(seen, ["Started", "compiling"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(seen, ["Started", "compiling", "linking"])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(seen, ["Started", "compiling", "linking", "done"])
      assert.isNull(fiber.unsafePoll())
      yield* TestClock.adjust("4 minutes")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(seen, ["Started", "compiling", "linking", "done", "Ended"])
    }).pipe(script(
      on("build").pipe(answers({
        stdout: ["compiling\n", { after: "1 second", data: "linking\n" }, { after: "1 minute", data: "done\n" }],
        takes: "5 minutes"
      }))
    )))

  it.effect("a program that hangs is ended by the deadline, and one that ignores the signal by SIGKILL", () =>
    Effect.gen(function*() {
      const command = Command.make("server").pipe(Command.timeout("1 minute"), Command.gracePeriod("10 seconds"))
      const fiber = yield* Effect.fork(Effect.flip(Command.run(command)))
      yield* TestClock.adjust("69 seconds")
      assert.isNull(fiber.unsafePoll())
      yield* TestClock.adjust("1 second")
      const error = yield* Fiber.join(fiber)
      assert(error._tag === "TimedOut")
      assert.strictEqual(error.stdoutTail, "ready\n")
      assert.deepStrictEqual(error.exit, ExitStatus.killed("SIGKILL"))
      const [call] = yield* ScriptedSpawner.calls
      assert.deepStrictEqual(call?.signals, [{ signal: "SIGTERM", at: 60_000 }, { signal: "SIGKILL", at: 70_000 }])
      assert.strictEqual(call?.endedAt, 70_000)
    }).pipe(script(on("server").pipe(answers({ stdout: "ready\n", hangs: true, signals: { SIGTERM: "ignore" } })))))

  it.scoped("a program may catch signals: reload on one, end in its time on another", () =>
    Effect.gen(function*() {
      const server = yield* Command.start(Command.make("server"))
      yield* server.signal("SIGHUP")
      yield* server.signal("SIGWINCH")
      assert.isTrue(yield* server.isRunning)
      const fiber = yield* Effect.fork(server.terminate())
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), ExitStatus.exited(7))
      const text = yield* server.stdout.pipe(Stream.decodeText(), Stream.mkString)
      assert.strictEqual(text, "reloaded\nbye\n")
      assert.strictEqual((yield* Effect.flip(server.signal("SIGHUP")))._tag, "ProcessGone")
    }).pipe(script(
      on("server").pipe(answers({
        hangs: true,
        signals: { SIGHUP: { stdout: "reloaded\n" }, SIGTERM: { stdout: "bye\n", takes: "2 seconds", exit: 7 } }
      }))
    )))

  it.scoped("what is left in the background is told as leaked and ended", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(Command.run(Command.make("daemonize")))
      yield* TestClock.adjust("100 millis")
      const result = yield* Fiber.join(fiber)
      assert.deepStrictEqual(result.leaked.map(({ commandLine }) => commandLine), ["sleep 60"])
      assert.strictEqual(result.stdoutText, "started\n")
    }).pipe(script(on("daemonize").pipe(answers({ stdout: "started\n", leaves: ["sleep 60"] })))))

  it.effect("a limit of captured output holds, and output that nobody reads stops the program", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Command.string(Command.make("yes").pipe(Command.maxOutput(10))))
      assert.strictEqual(error._tag, "OutputLimitExceeded")
      const [first] = yield* Stream.runCollect(Stream.take(Command.streamLines(Command.make("yes")), 1))
      assert.strictEqual(first, "y")
      const ended = (yield* ScriptedSpawner.calls).map(({ exit }) => String(exit))
      assert.deepStrictEqual(ended, ["SIGTERM", "SIGPIPE"])
    }).pipe(script(on("yes").pipe(runs((child) => Effect.forever(child.stdout("y\n".repeat(1000))))))))

  it("that no program can give are refused where they are made", () => {
    const bad: ReadonlyArray<readonly [object, RegExp]> = [
      [{ exit: 300 }, /exit: 300 is no exit code; they are whole numbers from 0 to 255/],
      [{ exit: "1" }, /exit: "1" is no exit code/],
      [{ exit: 1, signal: "SIGTERM" }, /exit and signal at once/],
      [{ exit: 1, hangs: true }, /exit and hangs at once/],
      [{ signal: "TERM" }, /signal: "TERM" is no signal; write a name such as "SIGTERM"/],
      [{ coreDumped: true }, /coreDumped without signal/],
      [{ hangs: false }, /hangs: false; write true/],
      [{ spawnError: "Missing" }, /spawnError: "Missing" is no reason; they are NotFound, /],
      [{ spawnError: "NotFound", stdout: "" }, /stdout beside spawnError/],
      [{ stdin: "close" }, /stdin: "close"; write "read" or "leave"/],
      [{ stdout: 5 }, /stdout: 5; write a string, bytes, or an array/],
      [{ stderr: [{ after: "soon", data: "" }] }, /stderr: after: "soon" is no duration/],
      [{ takes: -1 }, /takes: -1 is no duration/],
      [{ signals: { SIGKILL: "ignore" } }, /no program can catch SIGKILL/],
      [{ signals: { SIGTERM: { exit: -1 } } }, /signals: SIGTERM: exit: -1 is no exit code/],
      [{ sdtout: "" }, /"sdtout" is nothing that an answer has/]
    ]
    for (const [answer, message] of bad) {
      assert.throws(() => answers(on("x"), answer as ScriptedSpawner.Answer), message)
    }
  })

  it("have one end, by their type", () => {
    expectTypeOf<{ exit: 1; signal: "SIGTERM" }>().not.toExtend<ScriptedSpawner.Answer>()
    expectTypeOf<{ spawnError: "NotFound"; stdout: "x" }>().not.toExtend<ScriptedSpawner.Answer>()
    expectTypeOf<{ hangs: true; exit: 1 }>().not.toExtend<ScriptedSpawner.Answer>()
    expectTypeOf<{ signal: "TERM" }>().not.toExtend<ScriptedSpawner.Answer>()
    // @ts-expect-error no program can catch it
    const stubborn: ScriptedSpawner.Answer = { hangs: true, signals: { SIGKILL: "ignore" } }
    assert.throws(() => answers(on("x"), stubborn))
    expectTypeOf<{ stdout: "x"; signal: "SIGTERM" }>().toExtend<ScriptedSpawner.Answer>()
  })
})

describe("stdin", () => {
  it.effect("is read to its end before the program ends, and remembered", () =>
    Effect.gen(function*() {
      const input = Stream.make("select ", "1;").pipe(Stream.tap(() => Effect.yieldNow()))
      assert.strictEqual(yield* Command.string(Command.make("psql").pipe(Command.stdin(input))), "1\n")
      const [call] = yield* ScriptedSpawner.calls
      assert.strictEqual(call?.stdin, "select 1;")
    }).pipe(script(on("psql").pipe(answers({ stdout: "1\n" })))))

  it.effect("decides the answer, by a function, an Effect or a Sink", () =>
    Effect.gen(function*() {
      const fed = (file: string) => Command.string(Command.make(file).pipe(Command.feed("a\nb\n")))
      assert.strictEqual(yield* fed("wc"), "2")
      assert.strictEqual((yield* Effect.flip(fed("check")))._tag, "NonZeroExit")
      assert.strictEqual(yield* fed("head"), "a")
    }).pipe(script(
      on("wc").pipe(answersWith(({ stdinText }) => ({ stdout: `${stdinText.split("\n").length - 1}` }))),
      on("check").pipe(answersWith(({ stdin }) => Effect.succeed({ exit: stdin.byteLength }))),
      on("head").pipe(answersWith(
        Sink.map(Sink.head<Uint8Array>(), (first) => ({
          stdout: Option.match(first, { onNone: () => "", onSome: (bytes) => String.fromCharCode(bytes[0] ?? 0) })
        }))
      ))
    )))

  it.scoped("of a handle is read while the program runs, and not waited for", () =>
    Effect.gen(function*() {
      const echo = yield* Command.start(Command.make("status"))
      assert.deepStrictEqual(yield* echo.exit, ExitStatus.exited(0))
      const calculator = yield* Command.start(Command.make("calculator"))
      yield* Stream.run(Stream.make("1\n", "20\n").pipe(Stream.encodeText), calculator.stdin)
      assert.strictEqual(yield* calculator.stdout.pipe(Stream.decodeText(), Stream.mkString), "2\n40\n")
    }).pipe(script(
      on("status").pipe(answers({})),
      on("calculator").pipe(runs((child) =>
        child.input.pipe(
          Stream.decodeText(),
          Stream.splitLines,
          Stream.runForEach((line) => child.stdout(`${Number(line) * 2}\n`)),
          Effect.as(0)
        )
      ))
    )))

  it.effect("of a program that leaves it alone finds nobody at the end", () =>
    Effect.gen(function*() {
      const lines = Stream.repeatEffect(Effect.as(Effect.yieldNow(), "x".repeat(10_000)))
      assert.strictEqual(yield* Command.string(Command.make("true").pipe(Command.stdin(lines))), "")
    }).pipe(script(on("true").pipe(answers({ stdin: "leave" })))))
})
