/** Metrics as a real OpenTelemetry SDK exports them, and lines for a shell put to a real one, with real processes. */
import { assert, describe, it } from "@effect/vitest"
import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import { NodeProcess } from "@effect-process/node"
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  PeriodicExportingMetricReader
} from "@opentelemetry/sdk-metrics"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { Command, ProcessSpawner, Stdio } from "effect-process"
import * as fs from "node:fs"
import * as path from "node:path"
import { spawnServer } from "../support/engines.ts"
import { temporaryDirectory } from "../support/fixtures.ts"

interface Point {
  readonly attributes: Readonly<Record<string, unknown>>
  readonly value: unknown
}

const engines = [["spawn server", spawnServer], ["child process", NodeProcess.layerChildProcess]] as const

for (const [engine, layer] of engines) {
  describe(engine, () => {
    it.scopedLive("metrics, as they are exported", () =>
      Effect.gen(function*() {
        const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
        exporter.shutdown = () => Promise.resolve()
        const sdk = NodeSdk.layer(() => ({
          resource: { serviceName: "test" },
          metricReader: new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
        }))
        const jobs = Effect.gen(function*() {
          yield* Command.string(Command.make("cat").pipe(Command.feed("x".repeat(100_000))))
          yield* Command.exitCode(Command.shell("exit 3"))
          yield* Effect.exit(Command.run(Command.make("/nonexistent/program")))
          yield* Effect.exit(Command.run(Command.shell("kill -KILL $$")))
        })
        yield* jobs.pipe(Effect.tagMetrics("engine", engine), Effect.provide(sdk))
        const metrics = exporter.getMetrics().at(-1)?.scopeMetrics.flatMap(({ metrics }) => metrics) ?? []
        const pointsOf = (name: string): ReadonlyArray<Point> => {
          const metric = metrics.find(({ descriptor }) => descriptor.name === name)
          const points: ReadonlyArray<Point> = metric?.dataPoints ?? []
          return points.filter(({ attributes }) => attributes["engine"] === engine)
        }
        const valueOf = (name: string, key?: string, value?: string): unknown =>
          pointsOf(name).find(({ attributes }) => key === undefined || attributes[key] === value)?.value
        const statuses = pointsOf("effect_process_exits_total").map((
          { attributes, value }
        ) => [attributes["status"], value])
        assert.sameDeepMembers(statuses, [["0", 1], ["3", 1], ["SIGKILL", 1]])
        assert.strictEqual(valueOf("effect_process_jobs_spawned_total"), 3)
        assert.strictEqual(valueOf("effect_process_jobs_active"), 0)
        assert.strictEqual(valueOf("effect_process_jobs_failed_total", "reason", "NotFound"), 1)
        assert.strictEqual(valueOf("effect_process_jobs_failed_total", "reason", "Signaled"), 1)
        assert.strictEqual(valueOf("effect_process_in_bytes_total"), 100_000)
        assert.strictEqual(valueOf("effect_process_out_bytes_total"), 100_000)
        const histogram = (name: string) =>
          valueOf(name) as { readonly count: number; readonly sum: number } | undefined
        assert.strictEqual(histogram("effect_process_spawn_latency_seconds")?.count, 3)
        assert.isBelow(histogram("effect_process_spawn_latency_seconds")?.sum ?? Infinity, 30)
        const durations = histogram("effect_process_job_duration_seconds")
        assert.isAbove(durations?.sum ?? 0, histogram("effect_process_spawn_latency_seconds")?.sum ?? Infinity)
        const { guarantees } = yield* ProcessSpawner
        if (guarantees.usage === "exact") {
          const rss = histogram("effect_process_peak_rss_bytes")
          assert.strictEqual(rss?.count, 3)
          assert.isAbove(rss?.sum ?? 0, 3 * 100_000)
        }
      }).pipe(Effect.provide(layer)))

    it.scopedLive("verbose prints the command as set -x does, and its times as time does", () =>
      Effect.gen(function*() {
        const printed: Array<string> = []
        const console = yield* Effect.console
        const kept: Console.Console = {
          ...console,
          error: (text) => Effect.sync(() => void printed.push(String(text)))
        }
        const burn = Command.make("sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done").pipe(
          Command.verbose
        )
        yield* Command.run(burn).pipe(Effect.withConsole(kept))
        assert.strictEqual(printed.length, 2)
        assert.strictEqual(printed[0], "+ sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done'")
        const times = /^\nreal\t0m(\d+\.\d{3})s\nuser\t0m(\d+\.\d{3})s\nsys\t0m(\d+\.\d{3})s$/.exec(printed[1] ?? "")
        const [real, user, system] = (times ?? []).slice(1).map(Number)
        const { guarantees } = yield* ProcessSpawner
        if (guarantees.usage === "exact") assert.isAbove(user ?? 0, 0)
        // A tick of the kernel's clock may be counted on either side.
        assert.isAtLeast((real ?? 0) + 0.02, (user ?? Infinity) + (system ?? Infinity))
      }).pipe(Effect.provide(layer)))
  })
}

describe("a line of the dry run", () => {
  it.scopedLive("does in bash what the command does", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      fs.mkdirSync(path.join(directory, "it's here"))
      fs.writeFileSync(path.join(directory, "in put"), "one\ntwo\n")
      const command = (output: string) =>
        Command.shell("cat; pwd; printf '%s|' \"$WORD\" \"${HOME-none}\"; nosuchprogram").pipe(
          Command.env({ WORD: "a  b'c$x\n", HOME: undefined }),
          Command.workingDirectory(path.join(directory, "it's here")),
          Command.stdin(Stdio.file(path.join(directory, "in put"))),
          Command.pipeTo(Command.make("tr", "a-z", "A-Z").pipe(Command.stdout(Stdio.file(output))), { from: "all" }),
          Command.acceptExitCodes("any")
        )
      const lines: Array<string> = []
      const keep = Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => void lines.push(String(message))))
      const [ours, theirs] = [path.join(directory, "ours"), path.join(directory, "it's theirs")]
      yield* Command.run(command(theirs)).pipe(Effect.provide(ProcessSpawner.dryRun), Effect.provide(keep))
      assert.isFalse(fs.existsSync(theirs))
      yield* Command.run(command(ours))
      const line = /^would run: (.*)$/s.exec(lines[0] ?? "")?.[1] ?? ""
      yield* Command.exitCode(Command.make("bash", "-c", line))
      const read = (file: string) => fs.readFileSync(file, "utf8")
      assert.include(read(ours), "ONE\nTWO\n")
      assert.include(read(ours), "A  B'C$X\n|NONE|")
      assert.strictEqual(read(theirs), read(ours))
    }).pipe(Effect.provide(spawnServer)))
})
