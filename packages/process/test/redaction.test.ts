/** Nothing that is shown holds what was given as redacted, whole or in part. */
import { assert, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { inspect } from "node:util"
import { describe } from "vitest"
import { Command, type CommandError, ExitStatus, type InvalidOutput, ProcessSpawner } from "../src/index.ts"
import * as Console from "./support/console.ts"
import * as FakeEngine from "./support/fakeEngine.ts"
import { notFound, unkillable } from "./support/fates.ts"
import * as Logs from "./support/logs.ts"
import * as Spans from "./support/spans.ts"

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

/** Logs, attributes and events are more than an exporter sends. */
const assertSafeSpan = (span: Spans.KeptSpan) => {
  assert.strictEqual(span.status._tag, "Ended")
  if (span.status._tag === "Ended" && span.status.exit._tag === "Failure") {
    assertHidden(Cause.pretty(span.status.exit.cause, { renderErrorCause: true }), "the span's failure")
    for (const error of Cause.prettyErrors(span.status.exit.cause)) assertHidden(inspect(error), "the span's error")
  }
  // Effect itself logs, at debug level, what ends a fiber that the user's own Stream or Sink has forked.
  const events = span.events.filter(([name]) => name !== "Fiber terminated with an unhandled error")
  assertHidden(inspect([span.name, [...span.attributes], events], { depth: 10 }), "span")
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
        const traced = Spans.collect()
        const run = Effect.tapErrorCause(engine.provide(runner), (cause) => Effect.logError(cause.toString()))
        const fiber = yield* Effect.fork(Effect.flip(run).pipe(logs.provide, traced.provide))
        yield* FakeEngine.adjust("2 minutes")
        const error = yield* Fiber.join(fiber)
        assert.strictEqual(error._tag, tag)
        assertSafe(error)
        assert.notInclude(error.message, "\n")
        assert.isAbove(logs.lines.length, 0)
        assertHidden(logs.lines.join("\n"), "logs")
        assertSafeSpan(traced.job)
      }))
  }

  it.effect("SpawnError of a redacted program that is not there", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      engine.beforeAnswer = notFound(`/bin/${argument}`)
      assertSafe(yield* Effect.flip(engine.provide(Command.run(Command.make(Redacted.make(argument) as never)))))
    }))

  it.scoped("Unkillable, ProcessGone, StdinError", () =>
    Effect.gen(function*() {
      const logs = Logs.collect()
      const engine = yield* FakeEngine.make({
        program: unkillable
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

describe("what is told of a job shows none", () => {
  const quoting = new Error(`what was read: ${argument}`)
  quoting.cause = variable
  const login = Command.make(Redacted.make(`/opt/${argument}`) as never, `--token=x`, Redacted.make(variable)).pipe(
    Command.argv0(argument),
    Command.workingDirectory(`/srv/${argument}`),
    Command.env({ KEY: Redacted.make(variable), MORE: Redacted.make(argument) }),
    Command.label(`job ${argument}`),
    Command.gracePeriod("1 second"),
    Command.propagateTrace,
    Command.verbose
  )
  const jobs: ReadonlyArray<readonly [string, Command.Command<Error>]> = [
    ["that leaves something behind and takes SIGKILL", login],
    ["of several stages", Command.pipeTo(login, login)],
    ["whose input fails", Command.stdin(login, Stream.fail(quoting))],
    ["whose Sink fails", Command.stdout(login, Sink.fail(quoting))],
    ["that is not started", Command.env(login, { "A=B": Redacted.make(variable) })]
  ]
  for (const [name, job] of jobs) {
    it.effect(`${name}: span, logs, verbose, metrics`, () =>
      Effect.gen(function*() {
        const engine = yield* FakeEngine.make({
          program: (running) =>
            Effect.gen(function*() {
              running.onSignal = () => Effect.void
              yield* running.err.write(says)
              yield* running.fork(FakeEngine.processInfo(2001, `login --token ${argument} ${variable}`))
              yield* running.exit(1)
            })
        })
        const logs = Logs.collect()
        const traced = Spans.collect()
        const console = yield* Console.collect
        const run = engine.provide(Effect.exit(Command.run(job)))
        const fiber = yield* Effect.fork(run.pipe(logs.provide, traced.provide, console.provide))
        yield* FakeEngine.adjust("1 minute")
        yield* Fiber.join(fiber)
        assertSafeSpan(traced.job)
        assert.isAbove(logs.lines.length, 0)
        assertHidden(inspect([logs.lines, logs.annotations]), "logs")
        assert.isAbove(console.printed.length, 0)
        assertHidden(console.printed.join("\n"), "verbose")
        assertHidden(inspect(Metric.unsafeSnapshot().map(({ metricKey }) => metricKey), { depth: 10 }), "metrics")
      }))
  }

  it.effect("a dry run", () =>
    Effect.gen(function*() {
      const logs = Logs.collect()
      for (const [, job] of jobs.slice(0, 4)) {
        yield* Command.run(job).pipe(Effect.provide(ProcessSpawner.dryRun), logs.provide)
      }
      assert.strictEqual(logs.from("INFO would run").length, 4)
      assertHidden(inspect([logs.lines, logs.annotations]), "logs")
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
