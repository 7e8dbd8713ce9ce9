/** `ProcessSpawner.dryRun`: everything that could run, without anything that runs. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"
import * as Metric from "effect/Metric"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { describe } from "vitest"
import { Command, ProcessMetrics, ProcessSpawner, Readiness, Stdio } from "../src/index.ts"
import * as Console from "./support/console.ts"
import * as Logs from "./support/logs.ts"
import * as Spans from "./support/spans.ts"

const dry = <A, E>(effect: Effect.Effect<A, E, ProcessSpawner>) =>
  Effect.gen(function*() {
    const logs = Logs.collect(LogLevel.Debug)
    const result = yield* effect.pipe(Effect.provide(ProcessSpawner.dryRun), logs.provide)
    return { result, lines: logs.lines, annotations: logs.annotations }
  })

const remove = Command.make("rm", "-r", "my dir")
const line = "INFO would run: rm -r 'my dir'"

describe("each runner succeeds with nothing", () => {
  const bytes = Stream.make(new TextEncoder().encode("x"))
  const runners: ReadonlyArray<readonly [string, Effect.Effect<unknown, unknown, ProcessSpawner>, unknown]> = [
    ["run", Effect.map(Command.run(remove), (result) => [String(result.exit), result.stdoutText, result.leaked]), [
      "exit code 0",
      "",
      []
    ]],
    ["exitCode", Command.exitCode(remove), 0],
    ["success", Command.success(remove), true],
    ["string", Command.string(remove), ""],
    ["lines", Command.lines(remove), []],
    ["stream", Stream.runCount(Command.stream(remove)), 0],
    ["streamLines", Stream.runCount(Command.streamLines(remove)), 0],
    ["events", Effect.map(Stream.runCollect(Command.events(remove)), (all) => [...all].map(({ _tag }) => _tag)), [
      "Started",
      "Ended"
    ]],
    ["through", Stream.runCount(Command.through(remove)(bytes)), 0],
    ["sink", Effect.map(Stream.run(bytes, Command.sink(remove)), (result) => result.stdoutText), ""]
  ]
  for (const [name, runner, expected] of runners) {
    it.effect(name, () =>
      Effect.gen(function*() {
        const { lines, result } = yield* dry(runner)
        assert.deepStrictEqual(result, expected)
        assert.deepStrictEqual(lines, [line])
      }))
  }

  it.effect("json finds that nothing is no JSON", () =>
    Effect.gen(function*() {
      const { result } = yield* dry(Effect.flip(Command.json(remove, Schema.Number)))
      assert.strictEqual(result._tag, "InvalidOutput")
    }))
})

describe("a handle", () => {
  it.scopedLive("has exited, takes input, gives none back, and names no process", () =>
    Effect.gen(function*() {
      const process = yield* Command.start(remove.pipe(Command.pipeTo(Command.make("tee"))))
      assert.strictEqual(String(yield* process.exit), "exit code 0")
      assert.strictEqual((yield* process.stages).length, 2)
      yield* process.empty
      assert.isFalse(yield* process.isRunning)
      yield* Stream.run(Stream.make(new Uint8Array(9)), process.stdin)
      assert.strictEqual(yield* Stream.runCount(process.stdout), 0)
      assert.strictEqual(String(yield* process.terminate()), "exit code 0")
      assert.strictEqual((yield* Effect.flip(process.signal("SIGHUP")))._tag, "ProcessGone")
      assert.deepStrictEqual(yield* process.descendants, [])
      assert.throws(() => globalThis.process.kill(process.pid, 0), "ESRCH")
      const spawner = yield* ProcessSpawner
      assert.isTrue(yield* spawner.connect(1, "localhost"))
      assert.strictEqual(spawner.guarantees.engine, "dry-run")
    }).pipe(Effect.provide(ProcessSpawner.dryRun)))
})

describe("a server", () => {
  it.effect("is not started, and does not become ready, whatever listens on its port", () =>
    Effect.gen(function*() {
      const start = Command.startReady(Command.make("serve", "--port", "8080"), Readiness.port(8080))
      const { lines, result } = yield* dry(Effect.scoped(Effect.flip(start)))
      assert.strictEqual(result._tag, "NotReady")
      assert.strictEqual(result.message, "serve --port 8080: not ready: a dry run starts no server")
      assert.deepStrictEqual(lines, ["INFO would run: serve --port 8080"])
    }))
})

describe("nothing of the program's is touched", () => {
  it.effect("no Stream is run, no Sink is fed, and neither spans nor metrics nor verbose tell of it", () =>
    Effect.gen(function*() {
      const touched: Array<string> = []
      const touch = (name: string) => Effect.sync(() => void touched.push(name))
      const command = Command.make("x").pipe(
        Command.stdin(Stream.execute(touch("stdin"))),
        Command.fd(3, Stream.execute(touch("fd"))),
        Command.stdout(Sink.forEach(() => touch("stdout"))),
        Command.stderr(Sink.fromEffect(touch("stderr"))),
        Command.verbose,
        Command.propagateTrace
      )
      const console = yield* Console.collect
      const traced = Spans.collect()
      const input = Stream.fromEffect(Effect.as(touch("input"), new Uint8Array(1)))
      yield* dry(Effect.all([
        traced.provide(console.provide(Command.run(command))),
        Stream.runDrain(Command.through(Command.make("y"))(input))
      ]))
      assert.deepStrictEqual(touched, [])
      assert.deepStrictEqual(traced.spans, [])
      assert.deepStrictEqual(console.printed, [])
      assert.strictEqual((yield* Metric.value(ProcessMetrics.spawned)).count, 0)
    }).pipe(Effect.tagMetrics("test", "dry run")))

  it.effect("what would fail before a fork fails", () =>
    Effect.gen(function*() {
      const { lines, result } = yield* dry(Effect.flip(Command.run(Command.make("bad\0word"))))
      assert.strictEqual(result._tag === "SpawnError" && result.reason, "InvalidArgument")
      assert.deepStrictEqual(lines, [])
    }))
})

describe("the line", () => {
  it.effect("says all that a person would want to see before, for a shell", () =>
    Effect.gen(function*() {
      const dump = Command.make("pg_dump", "--password", Redacted.make("s3cret")).pipe(
        Command.env({ PGUSER: "me too", PGPASSWORD: Redacted.make("k3y"), LANG: undefined }),
        Command.workingDirectory("/srv/my app"),
        Command.stdin(Stdio.file("in.sql"))
      )
      const gzip = Command.make("gzip").pipe(
        Command.stdout(Stdio.file("a b.gz")),
        Command.stderr(Stdio.file("log", { append: true })),
        Command.fd(3, Stdio.file("three", { mode: "read" }))
      )
      const all = Command.make("make").pipe(Command.stdout(Stdio.file("log")), Command.stderr(Stdio.toStdout))
      const { annotations, lines } = yield* dry(Effect.all([
        Command.run(dump.pipe(Command.pipeTo(gzip), Command.label("backup"))),
        Command.run(Command.make("a").pipe(Command.pipeTo(all, { from: "all" })))
      ]))
      assert.deepStrictEqual(lines, [
        "INFO would run: (cd '/srv/my app' && env -u LANG PGUSER='me too' PGPASSWORD=<redacted> " +
        "pg_dump --password <redacted> < in.sql) | gzip > 'a b.gz' 2>> log 3< three",
        "INFO would run: a |& make > log 2>&1"
      ])
      assert.deepStrictEqual(annotations, [{ job: "backup" }, { job: "a" }])
    }))
})

describe("as any layer", () => {
  it.effect("it takes the place of an engine", () =>
    Effect.gen(function*() {
      const clean = Command.exitCode(remove)
      const layer: Layer.Layer<ProcessSpawner> = ProcessSpawner.dryRun
      assert.strictEqual(yield* Effect.provide(clean, layer), 0)
    }))
})
