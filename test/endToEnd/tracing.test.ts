/** The span of a job as a real OpenTelemetry SDK exports it, with real processes. */
import { assert, describe, it } from "@effect/vitest"
import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import { type HrTime, SpanKind, SpanStatusCode } from "@opentelemetry/api"
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { Command } from "effect-process"
import { NodeProcess } from "@effect-process/node"
import { spawnServer } from "../support/engines.ts"

const nanos = ([seconds, rest]: HrTime): bigint => BigInt(seconds) * 1_000_000_000n + BigInt(rest)

/** What the SDK exports, with the span of the job beside the one around it. */
const collect = () => {
  const exporter = new InMemorySpanExporter()
  // It would forget them when the SDK is shut down.
  exporter.shutdown = () => Promise.resolve()
  const layer = NodeSdk.layer(() => ({
    resource: { serviceName: "test" },
    spanProcessor: new SimpleSpanProcessor(exporter)
  }))
  const named = (name: string): ReadonlyArray<ReadableSpan> =>
    exporter.getFinishedSpans().filter((span) => span.name === name)
  return {
    provide: Effect.provide(layer),
    get job(): ReadableSpan {
      const [span, another] = named("process.spawn")
      if (span === undefined || another !== undefined) throw new Error("not one span of one job")
      return span
    },
    get outer(): ReadableSpan | undefined {
      return named("outer")[0]
    }
  }
}

const eventsOf = ({ events }: ReadableSpan) => events.map(({ name }) => name)

for (
  const [engine, layer] of [["spawn server", spawnServer], ["child process", NodeProcess.layerChildProcess]] as const
) {
  describe(engine, () => {
    it.scopedLive("a job that ends by itself", () =>
      Effect.gen(function*() {
        const sdk = collect()
        const script = Command.make("sh", "-c", "echo $$; exit 3").pipe(
          Command.workingDirectory("/tmp"),
          Command.acceptExitCodes(3)
        )
        const printed = yield* Command.string(script).pipe(Effect.withSpan("outer"), sdk.provide)
        const { job, outer } = sdk
        assert.strictEqual(job.kind, SpanKind.CLIENT)
        assert.strictEqual(job.parentSpanContext?.spanId, outer?.spanContext().spanId)
        assert.strictEqual(job.spanContext().traceId, outer?.spanContext().traceId)
        assert.strictEqual(job.status.code, SpanStatusCode.OK)
        const pid = Number(printed)
        const { "process.command_args": args, ...attributes } = job.attributes
        // @effect/opentelemetry makes text of an array.
        assert.deepStrictEqual(JSON.parse(String(args)), ["sh", "-c", "echo $$; exit 3"])
        assert.deepStrictEqual(attributes, {
          "process.command": "sh",
          "process.args_count": 3,
          "process.executable.name": "sh",
          "process.working_directory": "/tmp",
          "process.pid": pid,
          "process.group_leader.pid": pid,
          "process.exit.code": 3
        })
        // Output and exit come in either order.
        assert.include(eventsOf(job), "first output")
        const events = job.events.filter(({ name }) => name !== "first output")
        assert.deepStrictEqual(events.map(({ name }) => name), ["started", "exit", "empty"])
        const times = [job.startTime, ...events.map(({ time }) => time), job.endTime].map(nanos)
        assert.deepStrictEqual(times, times.toSorted((a, b) => Number(a - b)))
        assert.isAtMost(Number(nanos(job.endTime)), Number(nanos(outer?.endTime ?? [0, 0])))
      }).pipe(Effect.provide(layer)))

    it.scopedLive("a job that fails", () =>
      Effect.gen(function*() {
        const sdk = collect()
        const script = Command.make("sh", "-c", "echo $KEY is wrong >&2; exit 4", "sh", Redacted.make("s3cret")).pipe(
          Command.env({ KEY: Redacted.make("s3cret") })
        )
        yield* Command.run(script).pipe(Effect.flip, sdk.provide)
        assert.deepStrictEqual(sdk.job.status, {
          code: SpanStatusCode.ERROR,
          message: "sh -c 'echo $KEY is wrong >&2; exit 4' sh <redacted>: exit code 4: <redacted> is wrong"
        })
        assert.strictEqual(sdk.job.attributes["error.type"], "NonZeroExit")
        assert.include(eventsOf(sdk.job), "exception")
      }).pipe(Effect.provide(layer)))

    it.scopedLive("a job that takes SIGKILL, and leaves something behind", () =>
      Effect.gen(function*() {
        const sdk = collect()
        const script = Command.shell("trap '' TERM; sh -c 'trap \"\" TERM; echo ready >&2; sleep 100' & exit 0").pipe(
          Command.gracePeriod("200 millis")
        )
        const result = yield* Command.run(script).pipe(sdk.provide)
        assert.isAbove(result.leaked.length, 0)
        assert.deepStrictEqual(eventsOf(sdk.job).filter((name) => !/[ :]/.test(name)), [
          "started",
          "exit",
          "leaked",
          "signal",
          "escalation",
          "empty"
        ])
        const leaked = sdk.job.events.find(({ name }) => name === "leaked")
        assert.strictEqual(leaked?.attributes?.["count"], result.leaked.length)
      }).pipe(Effect.provide(layer)))

    it.scopedLive("a job that is interrupted", () =>
      Effect.gen(function*() {
        const sdk = collect()
        const run = Stream.runForEach(
          Command.streamLines(Command.shell("echo ready; sleep 100")),
          () => Effect.interrupt
        )
        yield* Effect.exit(run).pipe(sdk.provide)
        assert.strictEqual(sdk.job.attributes["status.interrupted"], true)
        assert.include(eventsOf(sdk.job), "signal")
      }).pipe(Effect.provide(layer)))

    it.scopedLive("a child that continues the trace", () =>
      Effect.gen(function*() {
        const sdk = collect()
        const printed = yield* Command.make("printenv", "TRACEPARENT").pipe(
          Command.propagateTrace,
          Command.string,
          Effect.withSpan("outer"),
          sdk.provide
        )
        const { spanId, traceId } = sdk.job.spanContext()
        assert.strictEqual(printed, `00-${traceId}-${spanId}-01\n`)
        assert.strictEqual(traceId, sdk.outer?.spanContext().traceId)
      }).pipe(Effect.provide(layer)))
  })
}
