/** No bad input throws or dies: each becomes a SpawnError that names it, and nothing is spawned. */
import { assert, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { describe } from "vitest"
import { Command, type CommandError, ProcessSpawner } from "../src/index.ts"
import * as Console from "./support/console.ts"
import * as FakeEngine from "./support/fakeEngine.ts"
import * as Logs from "./support/logs.ts"
import * as Spans from "./support/spans.ts"

const a = Command.make("a")
const bare: unknown = Object.create(null)
const wiped = Redacted.make("gone")
Redacted.unsafeWipe(wiped)
const any = (value: unknown) => value as never

const cases: ReadonlyArray<readonly [what: string, build: () => Command.Command, says: RegExp]> = [
  ["an empty command", () => Command.make(""), /the command is empty; name a program/],
  ["a template without a word", () => Command.make``, /the command is empty/],
  ["a NUL in the command", () => Command.make("a\0b"), /the command holds a NUL byte.*remove it/],
  ["a NUL in an argument", () => Command.make("a", "b", "c\0"), /argument 2 holds a NUL byte/],
  ["an argument that is no string", () => Command.make("a", any(5)), /argument 1 is 5 and no string; convert it/],
  ["a command that is no string", () => Command.make(any(undefined)), /the command is undefined/],
  ["a wiped argument", () => Command.make("a", wiped), /argument 1 is redacted.*make it anew/],
  ["an array that touches text", () => Command.make`a x${["b"]}`, /value 1 is an array that touches text/],
  ["a value in quotes of a script", () => Command.shell`echo "${"x"}"`, /value 1/],
  ["a script that is no string", () => Command.shell(any(5)), /the script is 5; write a string/],
  ["a variable without a name", () => Command.env(a, { "": "x" }), /"" cannot name a variable/],
  ["a variable with =", () => Command.env(a, { "A=B": "x" }), /"A=B" cannot name a variable/],
  ["a variable with NUL", () => Command.env(a, { A: "\0" }), /variable A holds a NUL byte; remove it/],
  ["a variable that is no string", () => Command.env(a, { A: any(5) }), /variable A is no string; convert it/],
  ["a variable that is null", () => Command.env(a, { A: any(null) }), /variable A is no string/],
  ["a wiped variable", () => Command.env(a, { A: wiped }), /variable A is no string/],
  ["an empty directory", () => Command.workingDirectory(a, ""), /"" is no directory; leave it out/],
  ["a directory with NUL", () => Command.workingDirectory(a, "x\0"), /"x\\u\{0\}" is no directory/],
  ["a directory that is no string", () => Command.workingDirectory(a, any(5)), /workingDirectory 5 is no string/],
  ["stdin that is nothing", () => Command.stdin(a, any(null)), /stdin null; write "pipe"/],
  ["stdin that is misspelt", () => Command.stdin(a, any("pip")), /stdin "pip"; write "pipe"/],
  ["stdout that is misspelt", () => Command.stdout(a, any("null")), /stdout "null"; write "pipe"/],
  ["stderr that is no string", () => Command.stderr(a, any(2)), /stderr 2; write "pipe"/],
  ["no signal", () => Command.killSignal(a, any("TERM")), /killSignal "TERM" is no signal.*"SIGTERM"/],
  ["an infinite grace period", () => Command.gracePeriod(a, Duration.infinity), /gracePeriod must be finite/],
  ["a grace period that is no number", () => Command.gracePeriod(a, Number.NaN), /gracePeriod NaN is no duration/],
  ["a negative timeout", () => Command.timeout(a, -1), /timeout -1 is no duration; write "2 seconds"/],
  ["a timeout in words", () => Command.timeout(a, any("soon")), /timeout "soon" is no duration/],
  ["a timeout without a prototype", () => Command.timeout(a, any(bare)), /timeout \(object\) is no duration/],
  ["an exit code of 256", () => Command.acceptExitCodes(a, 0, 256), /256 is no exit code; they are 0 to 255/],
  ["no exit code", () => Command.acceptExitCodes(a, any(undefined)), /undefined is no exit code/],
  ["an exit code in words", () => Command.acceptExitCodes(a, any("all")), /"all" is no exit code/],
  ["maxOutput that is no number", () => Command.maxOutput(a, Number.NaN), /maxOutput: NaN.*write 0 or more/],
  ["a negative maxOutput", () => Command.maxOutput(a, -1), /maxOutput: -1/],
  [
    "an unknown limit",
    () => Command.limits(a, any({ files: 1 })),
    /limits: files = 1; write a whole number or Infinity for one of/
  ],
  [
    "a limit beyond what a number can tell",
    () => Command.limits(a, { core: 2 ** 53 }),
    /limits: core = 9007199254740992/
  ],
  ["a broken limit", () => Command.limits(a, { cpu: 1.5 }), /limits: cpu = 1.5/],
  ["limits that are nothing", () => Command.limits(a, any(undefined)), /limits: undefined/],
  ["nice beyond 19", () => Command.nice(a, 20), /nice: 20; write a whole number from -20 to 19/],
  ["umask beyond 0o777", () => Command.umask(a, 0o1000), /umask: 512; write a number from 0 to 0o777/],
  ["a negative uid", () => Command.user(a, { uid: -1, gid: 0 }), /user: uid -1 is no id/],
  ["a user that is nothing", () => Command.user(a, any(null)), /user: null/],
  [
    "a user without a uid",
    () => Command.user(a, any({ gid: 5 })),
    /user: uid undefined is no id; write a whole number from 0/
  ],
  ["a user without a gid", () => Command.user(a, any({ uid: 5 })), /user: gid undefined is no id/],
  [
    "a group that is none",
    () => Command.user(a, { uid: 1, gid: 1, groups: [any(undefined)] }),
    /user: groups undefined/
  ],
  ["groups that are no array", () => Command.user(a, { uid: 1, gid: 1, groups: any(5) }), /groups 5; write an array/],
  [
    "no columns",
    () => Command.terminal(a, { columns: 0 }),
    /terminal: columns 0; write a whole number from 1 to 65535/
  ],
  ["too many rows", () => a.pipe(Command.terminal({ rows: 65_536 })), /terminal: rows 65536; write a whole number/],
  ["half a row", () => Command.terminal(a, { rows: 1.5 }), /terminal: rows 1\.5; write/],
  ["columns that are no number", () => Command.terminal(a, any({ columns: "80" })), /terminal: columns "80"; write/],
  ["a terminal that is no size", () => Command.terminal(a, any(80)), /terminal: 80; write an object/],
  ["argv0 with NUL", () => Command.argv0(a, "\0"), /argv0 holds a NUL byte; remove it/],
  ["argv0 that is no string", () => Command.argv0(a, any(5)), /argv0 5 is no string/]
]

describe("bad input", () => {
  for (const [what, build, says] of cases) {
    it.effect(what, () =>
      Effect.gen(function*() {
        const engine = yield* FakeEngine.make()
        // Whoever tells of it has to do with the bad input too.
        const [logs, traced, console] = [Logs.collect(), Spans.collect(), yield* Console.collect]
        const command = build().pipe(Command.verbose, Command.propagateTrace)
        const runners: ReadonlyArray<Effect.Effect<unknown, CommandError, ProcessSpawner>> = [
          Command.run(command),
          Stream.runDrain(Command.stream(command)),
          Effect.scoped(Command.start(command))
        ]
        for (const runner of runners) {
          const error = yield* Effect.flip(engine.provide(runner)).pipe(logs.provide, traced.provide, console.provide)
          assert.propertyVal(error, "_tag", "SpawnError")
          assert.propertyVal(error, "reason", "InvalidArgument")
          assert.propertyVal(error, "stage", "validate")
          assert.match(error.message, says)
          assert.notInclude(error.message, "\n")
        }
        assert.deepStrictEqual(engine.jobs, [])
        assert.strictEqual(logs.annotations.filter(({ job }) => job !== undefined).length, runners.length)
        assert.strictEqual(console.printed.length, runners.length)
        assert.deepStrictEqual(traced.spans.map(({ status }) => status._tag), runners.map(() => "Ended"))
        const dry = Command.run(command).pipe(Effect.provide(ProcessSpawner.dryRun))
        assert.propertyVal(yield* Effect.flip(dry), "_tag", "SpawnError")
      }))
  }

  it.effect("a label that is no text names nothing", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.exit(0) })
      const [logs, traced] = [Logs.collect(), Spans.collect()]
      yield* engine.provide(Command.run(Command.label(a, any(5)))).pipe(logs.provide, traced.provide)
      assert.propertyVal(logs.annotations[0], "job", "a")
      assert.isFalse(traced.job.attributes.has("effect_process.label"))
    }))

  it.effect("is told of by the first mistake, whatever comes after", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const command = a.pipe(Command.nice(99), Command.umask(-1), Command.nice(1))
      assert.match((yield* Effect.flip(engine.provide(Command.string(command)))).message, /nice: 99/)
    }))

  it.effect("of string: an encoding that is none, on one line", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const { message } = yield* Effect.flip(engine.provide(Command.string(a, "utf\n9")))
      assert.strictEqual(
        message,
        "a: InvalidArgument: \"utf\\u{a}9\" names no encoding; write a label such as \"utf-8\" or \"latin1\""
      )
      assert.deepStrictEqual(engine.jobs, [])
    }))
})

describe("what reaches the engine", () => {
  it.scoped("is resolved: environment, secrets, settings", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ environment: { PATH: "/bin", HOME: "/root" } })
      const command = Command.make("a", Redacted.make("s")).pipe(
        Command.env({ HOME: undefined, TOKEN: Redacted.make("t") }),
        Command.env({ LANG: "C" }),
        Command.workingDirectory("/tmp"),
        Command.limits({ cpu: 1 }),
        Command.limits({ core: 0 }),
        Command.nice(5),
        Command.timeout(Duration.infinity)
      )
      yield* engine.provide(Command.start(command))
      const [stage] = engine.job.request.stages
      assert.deepStrictEqual(stage.args, ["s"])
      assert.deepStrictEqual(stage.env, { PATH: "/bin", TOKEN: "t", LANG: "C" })
      assert.deepStrictEqual([stage.workingDirectory, stage.nice, stage.redirects[0]?.to], ["/tmp", 5, "pipe"])
      assert.deepStrictEqual(stage.limits, { cpu: 1, core: 0 })
      yield* engine.provide(Command.start(Command.env(a, { B: "1" }, { extendEnv: false })))
      assert.deepStrictEqual(engine.jobs[1]?.request.stages[0].env, { B: "1" })
    }))
})
