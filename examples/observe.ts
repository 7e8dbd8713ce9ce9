// Seeing what runs: log lines, a span as OpenTelemetry exports it, metrics, what a shell would print, and a dry run.
import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import { NodeProcess } from "@effect-process/node"
import type { HrTime } from "@opentelemetry/api"
import type { SpanProcessor } from "@opentelemetry/sdk-trace-base"
import { Console, Effect, Logger, LogLevel, Metric, Redacted } from "effect"
import { Command, ProcessMetrics, ProcessSpawner } from "effect-process"

const millis = ([seconds, nanos]: HrTime) => seconds * 1000 + nanos / 1e6

/** In place of one that sends them to a collector. */
const printer: SpanProcessor = {
  onStart: () => undefined,
  onEnd: ({ attributes, duration, events, name, startTime, status }) => {
    console.log(`${name}  ${millis(duration).toFixed(1)} ms  ${status.message ?? "ok"}`)
    for (const [key, value] of Object.entries(attributes)) {
      console.log(`  ${key} = ${String(value).replace(/\n\s*/g, "")}`)
    }
    for (const event of events) {
      console.log(`  ${(millis(event.time) - millis(startTime)).toFixed(1).padStart(6)} ms  ${event.name}`)
    }
  },
  forceFlush: () => Promise.resolve(),
  shutdown: () => Promise.resolve()
}

const sdk = NodeSdk.layer(() => ({ resource: { serviceName: "backup" }, spanProcessor: printer }))

/** A job that leaves a process behind, which takes SIGKILL. */
const stubborn = Command.shell("(trap '' TERM; sleep 60) & echo started; exit 0").pipe(
  Command.label("daemon"),
  Command.gracePeriod("200 millis")
)

const login = Command.make("sh", "-c", "test -n \"$TOKEN\"", "log in", Redacted.make("s3cret")).pipe(
  Command.env({ TOKEN: Redacted.make("t0ken") })
)

const program = Effect.gen(function*() {
  yield* Console.log("--- the log")
  yield* Command.run(stubborn).pipe(Logger.withMinimumLogLevel(LogLevel.Debug))

  yield* Console.log("\n--- a span")
  yield* Command.exitCode(login).pipe(Effect.withSpan("release"), Effect.provide(sdk))

  yield* Console.log("\n--- metrics")
  const exits = yield* Metric.value(Metric.tagged(ProcessMetrics.exits, "status", "0"))
  const leaked = yield* Metric.value(ProcessMetrics.leaked)
  const latency = yield* Metric.value(ProcessMetrics.spawnLatency)
  yield* Console.log(`${exits.count} exits with 0, ${leaked.count} processes left behind`)
  yield* Console.log(`${((1000 * latency.sum) / latency.count).toFixed(1)} ms to spawn, on average`)

  yield* Console.log("\n--- verbose")
  yield* Command.exitCode(Command.verbose(login))

  yield* Console.log("\n--- a dry run")
  const clean = Command.make("rm", "-r", "build dir").pipe(Command.workingDirectory("/srv/app"))
  yield* Command.exitCode(clean).pipe(Effect.provide(ProcessSpawner.dryRun))
})

await Effect.runPromise(program.pipe(Effect.provide(NodeProcess.layer)))
