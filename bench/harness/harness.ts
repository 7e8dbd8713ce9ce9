/** What the test harness costs: the same suite with `it.process` and with `it.scopedLive`. */
import { Effect } from "effect"
import { Command } from "effect-process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import type { Program, Settings } from "../support/Program.ts"
import { millis, plainRow, valueRow } from "../support/report.ts"
import { compare, interleave } from "../support/rounds.ts"
import { spread } from "../support/statistics.ts"
import { WorkerFailed } from "../support/Worker.ts"

const vitest = createRequire(import.meta.url).resolve("vitest/vitest.mjs")

const root = fileURLToPath(new URL(".", import.meta.url))

type Tester = "process" | "scopedLive"

type Body = "nothing" | "echo"

/** Milliseconds of one test, of a suite from its first hook to its last. */
const run = (tester: Tester, body: Body, count: number) =>
  Effect.scoped(Effect.gen(function*() {
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-process-bench-"))),
      (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
    )
    const result = path.join(directory, "result")
    yield* Command.make(process.execPath, vitest, "run", "--root", root).pipe(
      Command.env({ BENCH_TESTER: tester, BENCH_BODY: body, BENCH_COUNT: String(count), BENCH_RESULT: result }),
      Command.run,
      Effect.mapError(({ message }) =>
        new WorkerFailed({ worker: "vitest", task: `${tester}, ${body}`, problem: message })
      )
    )
    return Number(fs.readFileSync(result, "utf8")) / count
  }))

const count = 200

const suite = ({ rounds }: Settings) =>
  Effect.gen(function*() {
    const nothing = yield* interleave(rounds, {
      ours: run("process", "nothing", count),
      plain: run("scopedLive", "nothing", count)
    })
    const echo = yield* interleave(rounds, {
      ours: run("process", "echo", count),
      plain: run("scopedLive", "echo", count)
    })
    const over = ({ ours, plain }: typeof echo) => spread(ours.map((value, i) => value - (plain[i] ?? NaN))).median
    const target = { bound: "at most", value: 3, unit: "ms" } as const
    return {
      title: "a suite of tests",
      notes: [
        `${count} tests in one file, from the first hook to the last, the start and end of the engine included, a test. The peer is \`it.scopedLive\` of ` +
        `@effect/vitest, with one \`NodeProcess.layer\` for the file where its tests run commands; ${rounds} rounds, each in a new vitest.`
      ],
      rows: [
        valueRow("`Effect.void`", compare(nothing.ours, nothing.plain), millis),
        plainRow("more than `it.scopedLive`", over(nothing), millis, target),
        valueRow("`Command.string(echo hi)`", compare(echo.ours, echo.plain), millis),
        plainRow("more than `it.scopedLive`", over(echo), millis, target)
      ]
    }
  })

/** Whether the suite runs with both testers. */
const works = () =>
  Effect.gen(function*() {
    const values = { ours: yield* run("process", "echo", 2), plain: yield* run("scopedLive", "echo", 2) }
    return {
      title: "a suite of tests",
      notes: [],
      rows: [valueRow("`Command.string(echo hi)`", compare([values.ours], [values.plain]), millis)]
    }
  })

export const harness: Program = { name: "harness", title: "bench/harness", parts: [suite], short: [works] }
