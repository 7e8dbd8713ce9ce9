/** Nothing that is shown holds what was given as redacted, whole or in part. */
import { assert, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { inspect } from "node:util"
import { describe } from "vitest"
import {
  Command,
  type CommandError,
  Engine,
  ExitStatus,
  type InvalidOutput,
  type ProcessSpawner
} from "../src/index.ts"
import * as FakeEngine from "./support/fakeEngine.ts"
import * as Logs from "./support/logs.ts"

const argument = "cAnArY\"one'\\\\\ttail"
const variable = "kEy-wItH-ma\nny-parts"
const canaries = ["cAnArY", "kEy-wItH", "ny-parts"]

const command = Command.make("login", "--token", Redacted.make(argument)).pipe(
  Command.env({ KEY: Redacted.make(variable) }),
  Command.maxOutput(20_000),
  Command.timeout("1 minute"),
  Command.gracePeriod("1 seconds")
)

const assertHidden = (shown: string, where: string) => {
  for (const canary of canaries) assert.notInclude(shown, canary, where)
}

const assertSafe = (value: unknown) => {
  assertHidden(String(value), "String")
  assertHidden(JSON.stringify(value), "JSON.stringify")
  assertHidden(inspect(value, { depth: 10 }), "inspect")
  assertHidden(Cause.pretty(Cause.fail(value), { renderErrorCause: true }), "Cause.pretty")
  if (value instanceof Error) assertHidden(`${value.message} ${value.stack}`, "message and stack")
}

const says = `${argument} and ${variable} and ${JSON.stringify(argument)}\n`

const fails: ReadonlyArray<
  readonly [
    tag: string,
    program: (job: FakeEngine.FakeJob) => Effect.Effect<unknown>,
    runner: Effect.Effect<unknown, CommandError | InvalidOutput, ProcessSpawner>
  ]
> = [
  ["NonZeroExit", (job) => Effect.all([job.out.write(says), job.err.write(says), job.exit(1)]), Command.run(command)],
  ["NonZeroExit", (job) => Effect.all([job.err.write(says), job.exit(1)]), Stream.runDrain(Command.stream(command))],
  ["Signaled", (job) => Effect.all([job.err.write(says), job.die(ExitStatus.killed("SIGSEGV"))]), Command.run(command)],
  ["TimedOut", (job) => Effect.all([job.out.write(says), job.err.write(says)]), Command.run(command)],
  ["OutputLimitExceeded", (job) => job.out.write(says.repeat(2_000)), Command.run(command)],
  ["OutputError", (job) => job.out.fail("EIO"), Command.run(command)],
  [
    "InvalidOutput",
    (job) => Effect.all([job.out.write(JSON.stringify({ [argument]: variable, x: argument })), job.exit(0)]),
    Command.json(command, Schema.Struct({ x: Schema.Number }))
  ],
  [
    "InvalidOutput",
    (job) => Effect.all([job.out.write(JSON.stringify({ [argument]: variable })), job.exit(0)]),
    Command.json(command, Schema.Record({ key: Schema.String, value: Schema.Number }))
  ],
  ["InvalidOutput", (job) => Effect.all([job.out.write(argument), job.exit(0)]), Command.json(command, Schema.Number)]
]

describe("an error shows no secret", () => {
  for (const [n, [tag, program, runner]] of fails.entries()) {
    it.effect(`${n + 1}: ${tag}`, () =>
      Effect.gen(function*() {
        const engine = yield* FakeEngine.make({ program })
        const logs = Logs.collect()
        const run = Effect.tapErrorCause(engine.provide(runner), (cause) => Effect.logError(cause.toString()))
        const fiber = yield* Effect.fork(Effect.flip(run).pipe(logs.provide))
        yield* FakeEngine.adjust("2 minutes")
        const error = yield* Fiber.join(fiber)
        assert.strictEqual(error._tag, tag)
        assertSafe(error)
        assert.notInclude(error.message, "\n")
        assert.isAbove(logs.lines.length, 0)
        assertHidden(logs.lines.join("\n"), "logs")
      }))
  }

  it.effect("SpawnError of a redacted program that is not there", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      engine.beforeAnswer = new Engine.SpawnFailure({
        reason: "NotFound",
        stage: "exec",
        errno: "ENOENT",
        path: `/bin/${argument}`,
        detail: "no such program"
      })
      assertSafe(yield* Effect.flip(engine.provide(Command.run(Command.make(Redacted.make(argument) as never)))))
    }))

  it.scoped("Unkillable, ProcessGone, StdinError", () =>
    Effect.gen(function*() {
      const logs = Logs.collect()
      const engine = yield* FakeEngine.make({
        program: (job) =>
          Effect.sync(() => {
            job.diesOfKill = false
            job.onSignal = () => Effect.void
          })
      })
      const process = yield* engine.provide(Command.start(Command.stdin(command, "ignore"))).pipe(logs.provide)
      const fiber = yield* Effect.fork(Effect.flip(process.terminate()).pipe(logs.provide))
      assertSafe(yield* Effect.flip(Stream.run(Stream.empty, process.stdin)))
      yield* FakeEngine.adjust("2 seconds")
      assertSafe(yield* Fiber.join(fiber))
      assertSafe(process)
      yield* engine.job.exit(0)
      assertSafe(yield* Effect.flip(process.signal("SIGHUP")))
      assert.isAbove(logs.lines.length, 0)
      assertHidden(logs.lines.join("\n"), "logs")
    }))
})

describe("what is no error shows none either", () => {
  it.effect("of an error: the captured output, which stays readable", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => Effect.all([job.out.write("AAA"), job.exit(1)]) })
      const error = yield* Effect.flip(engine.provide(Command.run(command)))
      assert.isFalse("stdout" in JSON.parse(JSON.stringify(error)))
      assert.notInclude(inspect(error), "stdout:")
      assert.strictEqual(error._tag === "NonZeroExit" && error.stdout.byteLength, 3)
    }))

  it("a command", () => {
    assertSafe(command)
    assertSafe(Command.make`login --token=${Redacted.make(argument)}`)
    assertSafe(Command.shell`login ${Redacted.make(argument)}`)
    assert.strictEqual(String(command), "login --token <redacted>")
  })

  it.effect("a result, with the command lines of what leaked", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) =>
          Effect.all([
            job.out.write(says),
            job.err.write(says),
            job.fork(FakeEngine.processInfo(2001, `login --token ${argument}`)),
            job.exit(0)
          ])
      })
      const fiber = yield* Effect.fork(engine.provide(Command.run(command)))
      yield* FakeEngine.adjust("1 minute")
      const result = yield* Fiber.join(fiber)
      assert.strictEqual(result.leaked[0]?.commandLine, "login --token <redacted>")
      assert.strictEqual(result.stdoutText, says)
      assertSafe(result)
    }))

  it.effect("a secret that the tail of stderr cuts through", () =>
    Effect.gen(function*() {
      for (const cut of [1, 5, 11, 17]) {
        const engine = yield* FakeEngine.make({
          program: (job) =>
            Effect.all([
              job.err.write("é".repeat(9_000)),
              job.err.write(variable + "z".repeat(8192 - cut)),
              job.exit(1)
            ])
        })
        const error = yield* Effect.flip(engine.provide(Command.run(Command.maxOutput(command, 100_000))))
        assertSafe(error)
        assert.strictEqual(error._tag === "NonZeroExit" && error.stderrTail.includes("z".repeat(8000)), true)
      }
    }))
})
