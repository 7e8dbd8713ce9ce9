/** The span of a job, with an engine without processes. What a real SDK exports is in test/endToEnd/tracing.test.ts. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { describe } from "vitest"
import { Command, ExitStatus, SpawnServerLost } from "../src/index.ts"
import * as FakeEngine from "./support/fakeEngine.ts"
import { notFound, unkillable } from "./support/fates.ts"
import * as Spans from "./support/spans.ts"

const quick = (code = 0) =>
  FakeEngine.make({ program: (job) => Effect.zipRight(job.out.write("hi\n"), job.exit(code)) })

describe("the span of a job", () => {
  it.effect("lasts from the spawn until the job is empty, below the current span", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) =>
          Effect.gen(function*() {
            job.out.holder = "descendant"
            yield* Effect.sleep("30 millis")
            yield* job.err.write("careful\n")
            yield* Effect.sleep("10 millis")
            yield* job.fork(FakeEngine.processInfo(2001))
            yield* job.exit(0)
            yield* Effect.sleep("20 millis")
            yield* job.endDescendants
          })
      })
      const traced = Spans.collect()
      const run = engine.provide(Command.run(Command.make("make", "all"))).pipe(Effect.withSpan("build"))
      const fiber = yield* Effect.fork(traced.provide(run))
      yield* FakeEngine.adjust("1 second")
      yield* Fiber.join(fiber)
      const { job, spans } = traced
      assert.strictEqual(Option.getOrUndefined(job.parent), spans[0])
      assert.strictEqual(job.kind, "client")
      assert.strictEqual(job.duration, 60)
      assert.strictEqual(job.failure, undefined)
      assert.deepStrictEqual(job.events, [
        ["started", 0, { "process.pid": 1000 }],
        ["first output", 30, { stream: "stderr" }],
        ["exit", 40, { "process.pid": 1000, "process.exit.code": 0 }],
        ["empty", 60, {}]
      ])
      assert.deepStrictEqual(Object.fromEntries(job.attributes), {
        "process.command": "make",
        "process.command_args": ["make", "all"],
        "process.args_count": 2,
        "process.executable.name": "make",
        "process.pid": 1000,
        "process.group_leader.pid": 1000,
        "process.exit.code": 0
      })
    }))

  it.effect("tells of directory, label, argument 0, and of the stages of a pipeline", () =>
    Effect.gen(function*() {
      const engine = yield* quick()
      const traced = Spans.collect()
      const login = Command.make("/usr/bin/login", "--token", Redacted.make("s3cret")).pipe(
        Command.argv0("-login"),
        Command.workingDirectory("/srv/s3cret")
      )
      const pipeline = login.pipe(Command.pipeTo(Command.make("wc", "-l")), Command.label("users"))
      yield* traced.provide(engine.provide(Command.run(pipeline)))
      assert.deepStrictEqual(Object.fromEntries(traced.job.attributes), {
        "process.command": "-login",
        "process.command_args": ["/usr/bin/login", "--token", "<redacted>"],
        "process.args_count": 3,
        "process.executable.name": "login",
        "process.working_directory": "/srv/<redacted>",
        "effect_process.stages": ["/usr/bin/login --token <redacted>", "wc -l"],
        "effect_process.label": "users",
        "process.pid": 1000,
        "process.group_leader.pid": 1000,
        "process.exit.code": 0
      })
      assert.deepStrictEqual(
        traced.job.events.filter(([name]) => name === "exit").map(([, , { "process.pid": pid }]) => pid),
        [1000, 1001]
      )
    }))

  it.effect("tells of signals, an escalation and what was left behind", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => Effect.sync(() => job.onSignal = () => Effect.void) })
      const traced = Spans.collect()
      const scope = yield* Scope.make()
      const server = Command.make("server").pipe(Command.gracePeriod("2 seconds"))
      const process = yield* traced.provide(engine.provide(Scope.extend(Command.start(server), scope)))
      yield* FakeEngine.settle
      yield* process.signal("SIGHUP", { to: "leader" })
      yield* engine.job.fork(FakeEngine.processInfo(2001, "worker --token s3cret"))
      yield* engine.job.exit(1)
      yield* FakeEngine.settle
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* FakeEngine.adjust("2 seconds")
      yield* Fiber.join(closing)
      const events = traced.job.events.filter(([, , attributes]) => !("effect.logLevel" in attributes))
      assert.deepStrictEqual(events.slice(1), [
        ["signal", 0, { signal: "SIGHUP", to: "leader" }],
        ["exit", 0, { "process.pid": 1000, "process.exit.code": 1 }],
        ["leaked", 0, { count: 1, processes: ["2001 (worker --token s3cret)"] }],
        ["signal", 0, { signal: "SIGTERM", to: "job" }],
        ["escalation", 2000, { signal: "SIGKILL", after: "2s" }],
        ["empty", 2000, {}]
      ])
    }))

  it.effect("says how a signal ended it by its name", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.die(ExitStatus.killed("SIGSEGV")) })
      const traced = Spans.collect()
      yield* traced.provide(engine.provide(Effect.flip(Command.run(Command.make("crash")))))
      assert.strictEqual(traced.job.attributes.get("process.exit.signal"), "SIGSEGV")
      assert.isFalse(traced.job.attributes.has("process.exit.code"))
    }))

  it.effect("of a command that is not started ends with the reason", () =>
    Effect.gen(function*() {
      const engine = yield* quick()
      engine.beforeAnswer = notFound("nosuch")
      const traced = Spans.collect()
      yield* traced.provide(engine.provide(Effect.flip(Command.run(Command.make("nosuch")))))
      assert.strictEqual(traced.job.failure, "SpawnError: nosuch: NotFound: no such program (ENOENT)")
      assert.strictEqual(traced.job.attributes.get("error.type"), "NotFound")
      assert.deepStrictEqual(traced.job.eventNames, [])
      yield* traced.provide(engine.provide(Effect.flip(Command.run(Command.make("")))))
      assert.strictEqual(traced.spans[1]?.attributes.get("error.type"), "InvalidArgument")
    }))
})

describe("the status of the span is what its runner makes of the job", () => {
  const exits3 = Command.make("test", "-f", "x")
  const cases = [
    ["run", Command.run(exits3), "NonZeroExit"],
    ["string", Command.string(exits3), "NonZeroExit"],
    ["stream", Stream.runDrain(Command.stream(exits3)), "NonZeroExit"],
    ["sink", Stream.run(Stream.empty, Command.sink(exits3)), "NonZeroExit"],
    ["accepted", Command.run(Command.acceptExitCodes(exits3, 3)), undefined],
    ["exitCode", Command.exitCode(exits3), undefined],
    ["success", Command.success(exits3), undefined],
    ["events", Stream.runDrain(Command.events(exits3)), undefined],
    ["start", Effect.scoped(Effect.flatMap(Command.start(exits3), (process) => process.exit)), undefined]
  ] as const
  for (const [name, runner, error] of cases) {
    it.effect(`${name}: ${error ?? "no error"}`, () =>
      Effect.gen(function*() {
        const engine = yield* quick(3)
        const traced = Spans.collect()
        const fiber = yield* Effect.fork(Effect.exit(traced.provide(engine.provide(runner))))
        yield* FakeEngine.adjust("1 second")
        yield* Fiber.join(fiber)
        assert.strictEqual(traced.job.attributes.get("error.type"), error)
        assert.strictEqual(traced.job.failure, error && "NonZeroExit: test -f x: exit code 3")
      }))
  }

  it.effect("a limit of output, of which only the runner knows", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.out.write("too much") })
      const traced = Spans.collect()
      const run = Command.string(Command.make("yes").pipe(Command.maxOutput(3)))
      yield* traced.provide(engine.provide(Effect.flip(run)))
      assert.strictEqual(traced.job.attributes.get("error.type"), "OutputLimitExceeded")
    }))

  it.effect("a deadline and a failing Sink, of a handle too", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.out.write("x") })
      const traced = Spans.collect()
      const late = Command.make("sleep").pipe(Command.timeout("1 second"), Command.start)
      const failing = Command.make("yes").pipe(Command.stdout(Sink.fail("no")), Command.start)
      const fiber = yield* Effect.fork(traced.provide(engine.provide(
        Effect.scoped(Effect.flatMap(Effect.all([late, failing]), (all) =>
          Effect.forEach(all, (process) =>
            Effect.exit(process.exit))))
      )))
      yield* FakeEngine.adjust("1 second")
      yield* Fiber.join(fiber)
      const [first, second] = traced.spans
      assert.strictEqual(first?.attributes.get("error.type"), "TimedOut")
      assert.strictEqual(first?.failure, "TimedOut: sleep: timed out after 1s")
      assert.strictEqual(second?.attributes.get("error.type"), "_OTHER")
      assert.strictEqual(second?.failure, "Error: no")
    }))

  it.effect("a lost spawn server", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.lose(new SpawnServerLost({ lost: "a job" })) })
      const traced = Spans.collect()
      yield* traced.provide(engine.provide(Effect.flip(Command.run(Command.make("server")))))
      assert.strictEqual(traced.job.attributes.get("error.type"), "SpawnServerLost")
    }))

  it.effect("what could not be killed", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: unkillable
      })
      const traced = Spans.collect()
      const fiber = yield* Effect.fork(
        traced.provide(engine.provide(Effect.scoped(Command.start(Command.make("nfs")))))
      )
      yield* FakeEngine.adjust("6 seconds")
      yield* Fiber.join(fiber)
      assert.strictEqual(traced.job.attributes.get("error.type"), "Unkillable")
      assert.include(traced.job.eventNames, "not empty")
    }))

  it.effect("an interrupt is no error", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const traced = Spans.collect()
      const fiber = yield* Effect.fork(traced.provide(engine.provide(Command.run(Command.make("sleep")))))
      yield* FakeEngine.settle
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(traced.job.failure, "All fibers interrupted without errors.")
      assert.isFalse(traced.job.attributes.has("error.type"))
    }))

  it.effect("a consumer that stops early is none either", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ program: (job) => job.out.write("one\n") })
      const traced = Spans.collect()
      yield* traced.provide(engine.provide(Stream.runHead(Command.streamLines(Command.make("yes")))))
      assert.strictEqual(traced.job.failure, undefined)
      assert.strictEqual(traced.job.status._tag, "Ended")
    }))
})

describe("what works for the job is part of its span", () => {
  it.effect("Streams that feed it, Sinks that take from it, and its lines in the log", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) =>
          Effect.gen(function*() {
            yield* job.in.endOfFile
            yield* job.out.write("hi")
            yield* job.fork(FakeEngine.processInfo(2001))
            yield* job.exit(0)
          })
      })
      const traced = Spans.collect()
      const parents: Array<string> = []
      const look = Effect.map(Effect.currentSpan, ({ name }) => void parents.push(name))
      const cat = Command.make("cat").pipe(
        Command.stdin(Stream.fromEffect(Effect.as(Effect.orDie(look), "x"))),
        Command.stdout(Sink.forEach(() => Effect.orDie(look)))
      )
      const fiber = yield* Effect.fork(traced.provide(engine.provide(Command.run(cat))))
      yield* FakeEngine.adjust("6 seconds")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(parents, ["process.spawn", "process.spawn"])
      // As Effect's own logger for tracers hands log lines to spans.
      const line = traced.job.events.find(([, , attributes]) => attributes["effect.logLevel"] === "WARN")
      assert.strictEqual(line?.[0], "cat: it has exited and left behind what is ended now: 2001 (descendant 2001)")
    }))
})

describe("no span is made", () => {
  it.effect("where only Effect's own tracer would hear of it, or tracing is off", () =>
    Effect.gen(function*() {
      const engine = yield* quick()
      const seen: Array<string> = []
      const look = Effect.match(Effect.currentSpan, {
        onFailure: () => seen.push("none"),
        onSuccess: (s) => seen.push(s.name)
      })
      const cat = Command.make("cat").pipe(Command.stdin(Stream.execute(look)))
      yield* engine.provide(Command.run(cat)).pipe(Effect.withSpan("mine"))
      const traced = Spans.collect()
      yield* traced.provide(engine.provide(Command.run(cat))).pipe(Effect.withTracerEnabled(false))
      assert.deepStrictEqual(seen, ["mine", "none"])
      assert.deepStrictEqual(traced.spans, [])
    }))
})

describe("propagateTrace", () => {
  const environmentOf = (command: Command.Command, owner: Readonly<Record<string, string>> = {}) =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({ environment: owner, program: (job) => job.exit(0) })
      yield* engine.provide(Command.run(command))
      return engine.job.request.stages.map(({ env }) => env)
    })
  const printenv = Command.make("printenv")

  it.effect("names the job's own span", () =>
    Effect.gen(function*() {
      const traced = Spans.collect()
      const [env] = yield* traced.provide(environmentOf(Command.propagateTrace(printenv)))
      assert.deepStrictEqual(env, { TRACEPARENT: `00-${traced.job.traceId}-${traced.job.spanId}-01` })
    }))

  it.effect("is asked for, and goes to the stages that it was applied to", () =>
    Effect.gen(function*() {
      const traced = Spans.collect()
      const [none] = yield* traced.provide(environmentOf(printenv))
      assert.deepStrictEqual(none, {})
      const [first, second] = yield* traced.provide(
        environmentOf(Command.propagateTrace(printenv).pipe(Command.pipeTo(printenv)))
      )
      assert.deepStrictEqual([Object.keys(first ?? {}), Object.keys(second ?? {})], [["TRACEPARENT"], []])
      const all = yield* traced.provide(environmentOf(printenv.pipe(Command.pipeTo(printenv), Command.propagateTrace)))
      assert.deepStrictEqual(all.map((env) => Object.keys(env)), [["TRACEPARENT"], ["TRACEPARENT"]])
    }))

  it.effect("works without a tracer, below a span from outside", () =>
    Effect.gen(function*() {
      const outside = Tracer.externalSpan({ traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" })
      const [env] = yield* environmentOf(Command.propagateTrace(printenv)).pipe(Effect.withParentSpan(outside))
      assert.match(env?.["TRACEPARENT"] ?? "", /^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/)
      assert.notInclude(env?.["TRACEPARENT"], "b7ad6b7169203331")
    }))

  it.effect("keeps the state of the same trace, and drops that of another", () =>
    Effect.gen(function*() {
      const traceId = "0af7651916cd43dd8448eb211c80319c"
      const outside = Tracer.externalSpan({ traceId, spanId: "b7ad6b7169203331" })
      const state = { TRACESTATE: "vendor=1" }
      const run = (owner: Readonly<Record<string, string>>) =>
        environmentOf(Command.propagateTrace(printenv), owner).pipe(Effect.withParentSpan(outside))
      const [same] = yield* run({ ...state, TRACEPARENT: `00-${traceId}-00f067aa0ba902b7-01` })
      assert.strictEqual(same?.["TRACESTATE"], "vendor=1")
      const [other] = yield* run({ ...state, TRACEPARENT: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" })
      assert.isFalse(other !== undefined && "TRACESTATE" in other)
    }))

  it.effect("what env says wins; without tracing, and with a tracer of other ids, the environment stays", () =>
    Effect.gen(function*() {
      const own = { TRACEPARENT: "mine" }
      const [said] = yield* environmentOf(printenv.pipe(Command.env(own), Command.propagateTrace))
      assert.deepStrictEqual(said, own)
      const [off] = yield* environmentOf(Command.propagateTrace(printenv), own).pipe(Effect.withTracerEnabled(false))
      assert.deepStrictEqual(off, own)
      const odd = Tracer.externalSpan({ traceId: "a test", spanId: "b7ad6b7169203331" })
      const [strange] = yield* environmentOf(Command.propagateTrace(printenv), own).pipe(Effect.withParentSpan(odd))
      assert.deepStrictEqual(strange, own)
    }))
})
