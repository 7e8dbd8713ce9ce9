/**
 * What the jobs of this program do, in numbers: metrics of `effect/Metric`, which every exporter of metrics takes up by itself.
 * They are updated without an Effect, carry the tags of the fiber that spawned (`Effect.tagMetrics`), and hold no word of any
 * command. Durations are seconds, sizes are bytes.
 *
 * @example
 * import { NodeProcess } from "@effect-process/node"
 * import { Effect, Metric } from "effect"
 * import { Command, ProcessMetrics } from "effect-process"
 *
 * const program = Effect.gen(function*() {
 *   yield* Command.exitCode(Command.make("sh", "-c", "exit 3"))
 *   const { count } = yield* Metric.value(Metric.tagged(ProcessMetrics.exits, "status", "3"))
 *   return count
 * }).pipe(Effect.tagMetrics("part", "example"))
 *
 * Effect.runPromise(program.pipe(Effect.provide(NodeProcess.layer))) // => 1
 *
 * @since 0.1.0
 */
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"

/** Each the double of the one before; what is above the last one is counted there as well. */
const doubling = (start: number, count: number) => MetricBoundaries.exponential({ start, factor: 2, count })

const counter = (name: string, description: string) => Metric.counter(name, { description, incremental: true })

/**
 * Whether jobs are counted at all; true unless a fiber says otherwise with `Effect.locally`.
 *
 * @example
 * import { Effect } from "effect"
 * import { Command, ProcessMetrics } from "effect-process"
 *
 * Command.string(Command.make("true")).pipe(Effect.locally(ProcessMetrics.enabled, false))
 *
 * @since 0.1.0
 * @category options
 */
export const enabled: FiberRef.FiberRef<boolean> = globalValue(
  "effect-process/ProcessMetrics/enabled",
  () => FiberRef.unsafeMake(true)
)

/**
 * Jobs that are running: spawned, and not yet empty. One that could not be killed is not counted any more once that was reported.
 *
 * @example
 * import { Effect, Metric } from "effect"
 * import { Command, ProcessMetrics } from "effect-process"
 *
 * const program = Command.exitCode(Command.make("true")).pipe(
 *   Effect.zipRight(Metric.value(ProcessMetrics.active)),
 *   Effect.map(({ value }) => value),
 *   Effect.tagMetrics("part", "active")
 * ) // => 0
 *
 * @since 0.1.0
 * @category metrics
 */
export const active: Metric.Metric.Gauge<number> = Metric.gauge("effect_process_jobs_active", {
  description: "jobs that are running"
})

/**
 * Jobs that were started.
 *
 * @example
 * import { Effect, Metric } from "effect"
 * import { Command, ProcessMetrics } from "effect-process"
 *
 * const program = Command.exitCode(Command.make("true")).pipe(
 *   Effect.zipRight(Metric.value(ProcessMetrics.spawned)),
 *   Effect.map(({ count }) => count),
 *   Effect.tagMetrics("part", "spawned")
 * ) // => 1
 *
 * @since 0.1.0
 * @category metrics
 */
export const spawned: Metric.Metric.Counter<number> = counter("effect_process_jobs_spawned_total", "jobs started")

/**
 * Jobs that failed, as who ran them judges: a runner by its own error, a handle by what its `exit` fails with. Tag `reason`: of a
 * command that was not started the `reason` of its `SpawnError` (`NotFound`, `PermissionDenied`, ...), otherwise the tag of the
 * error (`NonZeroExit`, `Signaled`, `TimedOut`, `SpawnServerLost`, ...), also of one that a Stream or Sink of the command failed
 * with. The same is the attribute `error.type` of the job's span.
 *
 * @example
 * import { Effect, Metric } from "effect"
 * import { Command, ProcessMetrics } from "effect-process"
 *
 * const program = Effect.exit(Command.run(Command.make("no-such-program"))).pipe(
 *   Effect.zipRight(Metric.value(Metric.tagged(ProcessMetrics.failed, "reason", "NotFound"))),
 *   Effect.map(({ count }) => count),
 *   Effect.tagMetrics("part", "failed")
 * ) // => 1
 *
 * @since 0.1.0
 * @category metrics
 */
export const failed: Metric.Metric.Counter<number> = counter("effect_process_jobs_failed_total", "jobs that failed")

/**
 * Processes that exited, each stage of a pipeline by itself. Tag `status`: the exit code, or the name of the signal.
 *
 * @example
 * import { Effect, Metric } from "effect"
 * import { Command, ProcessMetrics } from "effect-process"
 *
 * const program = Command.exitCode(Command.make("sh", "-c", "exit 3")).pipe(
 *   Effect.zipRight(Metric.value(Metric.tagged(ProcessMetrics.exits, "status", "3"))),
 *   Effect.map(({ count }) => count),
 *   Effect.tagMetrics("part", "exits")
 * ) // => 1
 *
 * @since 0.1.0
 * @category metrics
 */
export const exits: Metric.Metric.Counter<number> = counter("effect_process_exits_total", "processes that exited")

/**
 * Terminations that took SIGKILL after the grace period.
 *
 * @example
 * import { Effect, Metric } from "effect"
 * import { Command, ProcessMetrics, Readiness } from "effect-process"
 *
 * const stubborn = Command.shell(`trap "" TERM; echo ready; while :; do sleep 1; done`).pipe(
 *   Command.gracePeriod("50 millis")
 * )
 *
 * const program = Effect.scoped(Command.startReady(stubborn, Readiness.line(/ready/))).pipe(
 *   Effect.zipRight(Metric.value(ProcessMetrics.escalations)),
 *   Effect.map(({ count }) => count),
 *   Effect.tagMetrics("part", "escalations")
 * ) // => 1
 *
 * @since 0.1.0
 * @category metrics
 */
export const escalations: Metric.Metric.Counter<number> = counter(
  "effect_process_escalations_total",
  "terminations that went on to SIGKILL"
)

/**
 * Descendants that outlived the programs of their job, and were ended with it.
 *
 * @example
 * import { Effect, Metric } from "effect"
 * import { Command, ProcessMetrics } from "effect-process"
 *
 * const program = Command.run(Command.shell("sleep 60 & exit 0")).pipe(
 *   Effect.zipRight(Metric.value(ProcessMetrics.leaked)),
 *   Effect.map(({ count }) => count),
 *   Effect.tagMetrics("part", "leaked")
 * ) // => 1
 *
 * @since 0.1.0
 * @category metrics
 */
export const leaked: Metric.Metric.Counter<number> = counter(
  "effect_process_leaked_total",
  "descendants that outlived their job"
)

/**
 * Bytes that were written to the inputs of processes by this program.
 *
 * @example
 * import { Effect, Metric } from "effect"
 * import { Command, ProcessMetrics } from "effect-process"
 *
 * const program = Command.make("cat").pipe(Command.feed("12345"), Command.string).pipe(
 *   Effect.zipRight(Metric.value(ProcessMetrics.bytesIn)),
 *   Effect.map(({ count }) => count),
 *   Effect.tagMetrics("part", "bytesIn")
 * ) // => 5
 *
 * @since 0.1.0
 * @category metrics
 */
export const bytesIn: Metric.Metric.Counter<number> = counter(
  "effect_process_in_bytes_total",
  "bytes written to inputs of processes"
)

/**
 * Bytes that this program read from the outputs of processes.
 *
 * @example
 * import { Effect, Metric } from "effect"
 * import { Command, ProcessMetrics } from "effect-process"
 *
 * const program = Command.string(Command.make("echo", "hi")).pipe(
 *   Effect.zipRight(Metric.value(ProcessMetrics.bytesOut)),
 *   Effect.map(({ count }) => count),
 *   Effect.tagMetrics("part", "bytesOut")
 * ) // => 3
 *
 * @since 0.1.0
 * @category metrics
 */
export const bytesOut: Metric.Metric.Counter<number> = counter(
  "effect_process_out_bytes_total",
  "bytes read from outputs of processes"
)

/**
 * Seconds from the request to the answer of the engine that the job runs.
 *
 * @example
 * import { Effect, Metric } from "effect"
 * import { Command, ProcessMetrics } from "effect-process"
 *
 * const program = Command.exitCode(Command.make("true")).pipe(
 *   Effect.zipRight(Metric.value(ProcessMetrics.spawnLatency)),
 *   Effect.map(({ count }) => count),
 *   Effect.tagMetrics("part", "spawnLatency")
 * ) // => 1
 *
 * @since 0.1.0
 * @category metrics
 */
export const spawnLatency: Metric.Metric.Histogram<number> = Metric.histogram(
  "effect_process_spawn_latency_seconds",
  doubling(0.000_25, 16),
  "seconds from the request to the running job"
)

/**
 * Seconds from the request until the last process of the job was gone.
 *
 * @example
 * import { Effect, Metric } from "effect"
 * import { Command, ProcessMetrics } from "effect-process"
 *
 * const program = Command.exitCode(Command.make("true")).pipe(
 *   Effect.zipRight(Metric.value(ProcessMetrics.jobDuration)),
 *   Effect.map(({ count }) => count),
 *   Effect.tagMetrics("part", "jobDuration")
 * ) // => 1
 *
 * @since 0.1.0
 * @category metrics
 */
export const jobDuration: Metric.Metric.Histogram<number> = Metric.histogram(
  "effect_process_job_duration_seconds",
  doubling(0.001, 24),
  "seconds from the request to the empty job"
)

/**
 * Seconds from the first signal of a termination until the last process of the job was gone. Jobs that ended by themselves have
 * none, so it is not full of zeros.
 *
 * @example
 * import { Effect, Metric } from "effect"
 * import { Command, ProcessMetrics } from "effect-process"
 *
 * const program = Effect.scoped(Command.start(Command.make("sleep", "60"))).pipe(
 *   Effect.zipRight(Metric.value(ProcessMetrics.releaseDuration)),
 *   Effect.map(({ count }) => count),
 *   Effect.tagMetrics("part", "releaseDuration")
 * ) // => 1
 *
 * @since 0.1.0
 * @category metrics
 */
export const releaseDuration: Metric.Metric.Histogram<number> = Metric.histogram(
  "effect_process_release_duration_seconds",
  doubling(0.000_5, 16),
  "seconds from the first signal to the empty job"
)

/**
 * Bytes of memory that a process had resident at most; nothing where the engine is not told. Source: getrusage(2), ru_maxrss.
 *
 * @example
 * import { Effect, Metric } from "effect"
 * import { Command, ProcessMetrics } from "effect-process"
 *
 * const program = Command.exitCode(Command.make("true")).pipe(
 *   Effect.zipRight(Metric.value(ProcessMetrics.peakRss)),
 *   Effect.map(({ count }) => count),
 *   Effect.tagMetrics("part", "peakRss")
 * ) // => 1
 *
 * @since 0.1.0
 * @category metrics
 */
export const peakRss: Metric.Metric.Histogram<number> = Metric.histogram(
  "effect_process_peak_rss_bytes",
  doubling(2 ** 20, 16),
  "most resident memory of a process, in bytes"
)
