/** What the matchers take, and what they say when they fail. */
import "@effect-process/vitest/matchers"
import { assert, describe, expect, expectTypeOf, it } from "@effect/vitest"
import { NodeProcess } from "@effect-process/node"
import { ProcessMatchers, ScriptedSpawner } from "@effect-process/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { Command, type CommandResult, ExitStatus, type Process, Stdio } from "effect-process"

const { answers, layer, on } = ScriptedSpawner

const script = Effect.provide(layer([
  on("status").pipe(answers({ stdout: "On branch main\nnothing to comit, working tree clean\n" })),
  on("push").pipe(
    answers({ stdout: "counting\n", stderr: "remote: denied\nfatal: \u001b[31mno access\u001b[0m\n", exit: 128 })
  ),
  on("crash").pipe(answers({ signal: "SIGSEGV", coreDumped: true })),
  on("silent").pipe(answers({ exit: 1 })),
  on("long").pipe(answers({ stdout: Array.from({ length: 40 }, (_, i) => `line ${i}\n`) })),
  on("server").pipe(answers({ stdout: "ready\n", hangs: true })),
  on("daemonize").pipe(answers({ leaves: ["sleep 60", "evil \u001b[2J"] })),
  on("missing").pipe(answers({ spawnError: "NotFound" }))
]))

const run = (file: string) => Effect.exit(Command.run(Command.make(file)))

/** What an assertion throws, or what its promise is rejected with. */
const messageOf = (assertion: () => unknown): string => {
  try {
    assertion()
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  return "nothing was thrown"
}

const rejection = (assertion: () => Promise<unknown>): Effect.Effect<string> =>
  Effect.promise(() => assertion().then(() => "not rejected", (error: Error) => error.message))

describe("toHaveExited", () => {
  it.effect("takes whatever has a status", () =>
    Effect.gen(function*() {
      const failed = yield* run("push")
      expect(failed).toHaveExited(128)
      expect(failed).not.toHaveExited(0)
      expect(Cause.squash(Exit.isFailure(failed) ? failed.cause : Cause.empty)).toHaveExited(128)
      expect(yield* Command.run(Command.make("status"))).toHaveExited(0)
      expect(yield* Effect.either(Command.run(Command.make("status")))).toHaveExited(0)
      expect(ExitStatus.exited(3)).toHaveExited(3)
      expect(ExitStatus.exited(3)).toHaveExited()
      expect(yield* Command.exitCode(Command.make("silent"))).toHaveExited(1)
      const [call] = yield* ScriptedSpawner.calls
      expect(call).toHaveExited(128)
    }).pipe(script))

  it.effect("says how it ended and what it printed", () =>
    Effect.gen(function*() {
      const push = yield* run("push")
      assert.strictEqual(
        messageOf(() => expect(push).toHaveExited(0)),
        `expected push to exit with code 0, but it exited with code 128

stdout:
  | counting
stderr:
  | remote: denied
  | fatal: \\u{1b}[31mno access\\u{1b}[0m`
      )
      const crash = yield* run("crash")
      assert.strictEqual(
        messageOf(() => expect(crash).toHaveExited()),
        "expected crash to exit by itself, but it was killed by SIGSEGV (core dumped)\n\nstdout: nothing\nstderr: nothing"
      )
      const missing = yield* run("missing")
      assert.match(
        messageOf(() => expect(missing).toHaveExited(0)),
        /^expected missing to exit with code 0, but it failed: missing: NotFound: no such program/
      )
      const status = yield* run("status")
      assert.match(
        messageOf(() => expect(status).not.toHaveExited(0)),
        /^expected status not to exit with code 0, but it exited with code 0/
      )
    }).pipe(script))

  it.effect("shows the last lines of a long output", () =>
    Effect.gen(function*() {
      const long = yield* run("long")
      const message = messageOf(() => expect(long).toHaveExited(1))
      assert.include(message, "stdout (last 15 of 40 lines):\n  | line 25\n")
      assert.notInclude(message, "line 24")
    }).pipe(script))

  it.effect("waits for a Process, and tells a deadline", () =>
    Effect.scoped(Effect.gen(function*() {
      const silent = yield* Command.start(Command.make("silent"))
      yield* Effect.promise(() => expect(silent).toHaveExited(1))
      assert.match(
        yield* rejection(() => expect(silent).toHaveExited(0)),
        /^expected silent to exit with code 0, but it exited with code 1/
      )
      const server = yield* Command.start(
        Command.make("server").pipe(Command.timeout("1 minute"), Command.stdout("ignore"))
      )
      const waiting = yield* Effect.fork(rejection(() => expect(server).toHaveExited(0)))
      yield* TestClock.adjust("1 minute")
      assert.match(
        yield* Fiber.join(waiting),
        /^expected server to exit with code 0, but it timed out after 1m and was killed by SIGTERM/
      )
      const [, call] = yield* ScriptedSpawner.calls
      expect(call).toHaveBeenKilled("SIGTERM")
    })).pipe(script))

  it.scoped("says that a call still runs", () =>
    Effect.gen(function*() {
      yield* Command.start(Command.make("server"))
      const [call] = yield* ScriptedSpawner.calls
      assert.match(
        messageOf(() => expect(call).toHaveExited(0)),
        /^expected server to exit with code 0, but it is still running/
      )
    }).pipe(script))

  it("does not take anything else", () => {
    assert.match(
      messageOf(() => expect({ some: "thing" }).toHaveExited(0)),
      /toHaveExited takes a CommandResult, .*; it was given \[object Object\]/
    )
  })
})

describe("toHaveBeenKilled", () => {
  it.effect("tells signals apart, and signals from codes", () =>
    Effect.gen(function*() {
      const crash = yield* run("crash")
      expect(crash).toHaveBeenKilled("SIGSEGV")
      expect(crash).toHaveBeenKilled()
      assert.match(
        messageOf(() => expect(crash).toHaveBeenKilled("SIGTERM")),
        /^expected crash to be killed by SIGTERM, but it was killed by SIGSEGV \(core/
      )
      const push = yield* run("push")
      expect(push).not.toHaveBeenKilled()
      assert.match(
        messageOf(() => expect(push).toHaveBeenKilled()),
        /^expected push to be killed by a signal, but it exited with code 128/
      )
    }).pipe(script))
})

describe("toHavePrinted", () => {
  it.effect("looks for a text or an expression in what is known", () =>
    Effect.gen(function*() {
      const push = yield* run("push")
      expect(push).toHavePrinted("remote: denied\n")
      expect(push).toHavePrinted(/^fatal:/gm, { on: "stderr" })
      expect(push).toHavePrinted("counting", { on: "stdout" })
      expect(push).not.toHavePrinted("counting", { on: "stderr" })
      expect(yield* Command.string(Command.make("status"))).toHavePrinted("branch main")
      expect(yield* Command.lines(Command.make("status"))).toHavePrinted(/main\nnothing/)
      expect((yield* ScriptedSpawner.calls)[0]).toHavePrinted("denied")
    }).pipe(script))

  it.effect("shows the nearest line and where it parts", () =>
    Effect.gen(function*() {
      const status = yield* run("status")
      assert.strictEqual(
        messageOf(() => expect(status).toHavePrinted("nothing to commit")),
        `expected status to print "nothing to commit", but it did not

stdout:
  | On branch main
  | nothing to comit, working tree clean
stderr: nothing

nearest is this line:
  printed   nothing to comit, working tree clean
  expected  nothing to commit
                          ^`
      )
      assert.strictEqual(
        messageOf(() => expect(status).toHavePrinted(/x/, { on: "stderr" })),
        "expected status to print /x/ on stderr, but it did not\n\nstderr: nothing"
      )
      assert.match(
        messageOf(() => expect(status).not.toHavePrinted(/main/)),
        /^expected status not to print \/main\/, but it did\n/
      )
      assert.match(
        messageOf(() => expect(ExitStatus.exited(0)).toHavePrinted("x")),
        /but nothing is known of what it printed; it exited with code 0/
      )
    }).pipe(script))

  it.scoped("reads a Process to its end", () =>
    Effect.gen(function*() {
      const status = yield* Command.start(Command.make("status"))
      yield* Effect.promise(() => expect(status).toHavePrinted("On branch"))
      const quiet = yield* Command.start(Command.make("push").pipe(Command.stdout("ignore")))
      assert.match(
        yield* rejection(() => expect(quiet).toHavePrinted("counting")),
        /^expected push to print "counting", but it did not\n\nstderr:\n  \| remote: denied/
      )
    }).pipe(script))
})

describe("toHaveFailedWith", () => {
  it.effect("takes a tag and fields of the error", () =>
    Effect.gen(function*() {
      const push = yield* run("push")
      expect(push).toHaveFailedWith("NonZeroExit")
      expect(push).toHaveFailedWith("NonZeroExit", { exitCode: 128, stderrTail: expect.stringContaining("denied") })
      expect(yield* run("missing")).toHaveFailedWith("SpawnError", { reason: "NotFound" })
      expect(yield* run("status")).not.toHaveFailedWith("NonZeroExit")
      expect(yield* Effect.either(Command.run(Command.make("crash")))).toHaveFailedWith("Signaled", {
        signal: "SIGSEGV"
      })
    }).pipe(script))

  it.effect("says with what it failed instead", () =>
    Effect.gen(function*() {
      const push = yield* run("push")
      assert.match(
        messageOf(() => expect(push).toHaveFailedWith("TimedOut")),
        /^expected push to fail with TimedOut, but it failed with NonZeroExit: push: exit code 128: fatal: .*no access/
      )
      assert.match(
        messageOf(() => expect(push).toHaveFailedWith("NonZeroExit", { exitCode: 1 })),
        /^expected push to fail with NonZeroExit whose fields differ: .*\n\n {2}exitCode: expected 1, it is 128\n/
      )
      assert.match(
        messageOf(() => expect(push).not.toHaveFailedWith("NonZeroExit")),
        /^expected push not to fail with NonZeroExit, but it did/
      )
      const status = yield* run("status")
      assert.match(
        messageOf(() => expect(status).toHaveFailedWith("NonZeroExit")),
        /^expected status to fail with NonZeroExit, but it exited with code 0/
      )
      assert.match(
        messageOf(() => expect(Exit.die(new Error("oops"))).toHaveFailedWith("NonZeroExit")),
        /^expected the command to fail with NonZeroExit, but it died: Error: oops/
      )
    }).pipe(script))
})

describe("toHaveNoDescendants", () => {
  it.effect("looks at what a result had leaked", () =>
    Effect.gen(function*() {
      expect(yield* run("status")).toHaveNoDescendants()
      const fiber = yield* Effect.fork(run("daemonize"))
      yield* TestClock.adjust("1 second")
      const leaky = yield* Fiber.join(fiber)
      assert.match(
        messageOf(() => expect(leaky).toHaveNoDescendants()),
        /^expected daemonize to have no descendants, but it has 2:\n\n {2}\d+ S sleep 60\n {2}\d+ S evil \\u\{1b\}\[2J$/
      )
      expect(leaky).not.toHaveNoDescendants()
      assert.match(messageOf(() => expect("text").toHaveNoDescendants()), /takes a Process, a CommandResult/)
    }).pipe(script))

  it.scopedLive("looks at a real Process", () =>
    Effect.gen(function*() {
      const job = yield* Command.start(Command.make("sh", "-c", "sleep 62 & wait"))
      // Until then it has the command line of its shell.
      while (!(yield* job.descendants).some(({ commandLine }) => commandLine === "sleep 62")) yield* Effect.sleep(5)
      const message = yield* rejection(() => expect(job).toHaveNoDescendants())
      assert.match(message, /to have no descendants, but it has 1:\n\n {2}\d+ \w sleep 62/)
      yield* job.terminate()
      yield* Effect.promise(() => expect(job).toHaveBeenKilled("SIGTERM"))
      yield* Effect.promise(() => expect(job).toHaveNoDescendants())
    }).pipe(Effect.provide(NodeProcess.layer)))
})

it.scopedLive("real results and errors", () =>
  Effect.gen(function*() {
    const exit = yield* Effect.exit(Command.run(Command.shell`echo out; echo err >&2; exit ${4}`))
    expect(exit).toHaveExited(4)
    expect(exit).toHavePrinted("out", { on: "stdout" })
    expect(exit).toHavePrinted("err", { on: "stderr" })
    expect(exit).toHaveFailedWith("NonZeroExit", { exitCode: 4 })
    const process = yield* Command.start(Command.make("echo", "hi").pipe(Command.stderr(Stdio.toStdout)))
    yield* Effect.promise(() => expect(process).toHavePrinted("hi\n"))
  }).pipe(Effect.provide(NodeProcess.layer)))

it("the types say when there is something to wait for", () => {
  expectTypeOf(expect({} as Process.Process).toHaveExited).returns.toEqualTypeOf<Promise<void>>()
  expectTypeOf(expect({} as Process.Process<Error>).toHaveBeenKilled).returns.toEqualTypeOf<Promise<void>>()
  expectTypeOf(expect({} as CommandResult).toHaveExited).returns.toEqualTypeOf<void>()
  expectTypeOf(expect("").toHaveFailedWith).parameter(0).toEqualTypeOf<ProcessMatchers.Tag>()
})

it("extendExpect adds them to another expect", () => {
  const added: Array<string> = []
  ProcessMatchers.extendExpect({ extend: (matchers) => void added.push(...Object.keys(matchers)) })
  assert.deepStrictEqual(added, [
    "toHaveExited",
    "toHaveBeenKilled",
    "toHavePrinted",
    "toHaveFailedWith",
    "toHaveNoDescendants"
  ])
})
