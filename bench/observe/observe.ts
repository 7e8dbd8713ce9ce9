/** What it costs to be seen. The target is that of the issue: at most 5 % on `bench/spawn`. */
import { Effect } from "effect"
import { costOf, warm } from "../spawn/echo.ts"
import type { Program, Settings } from "../support/Program.ts"
import { quantity, ratioRow } from "../support/report.ts"
import { compare, interleave } from "../support/rounds.ts"
import { snapshots } from "./snapshots.ts"
import * as Worker from "../support/Worker.ts"

const onEchoes = (settings: Settings) =>
  Effect.gen(function*() {
    const { rounds, short } = settings
    const count = short ? 5 : 200
    const counted = yield* Worker.start("spawnServer")
    const uncounted = yield* Worker.start("spawnServerUncounted")
    yield* warm([counted, uncounted], settings)
    const cost = yield* interleave(rounds, { counted: costOf(counted, count), uncounted: costOf(uncounted, count) })
    return {
      title: "echo hi, captured, with metrics and without",
      notes: [
        `\`Command.string\` on the spawn server, with the metrics as they are and with \`ProcessMetrics.enabled\` false; no tracer, ` +
        `log level info; ${rounds} rounds of ${count}.`
      ],
      rows: [
        ratioRow("one at a time, with metrics / without", compare(cost.counted, cost.uncounted), quantity("ms"), {
          bound: "at most",
          value: 1.05
        })
      ]
    }
  })

const onNothing = (settings: Settings) =>
  Effect.gen(function*() {
    const { rounds, short } = settings
    const count = short ? 50 : 5_000
    const counted = yield* Worker.start("noProcess")
    const uncounted = yield* Worker.start("noProcessUncounted")
    const traced = yield* Worker.start("noProcessTraced")
    const all = [counted, uncounted, traced]
    yield* Effect.forEach(all, (worker) => worker.ask("captures", { count: 2 * count, atOnce: 1 }), { discard: true })
    const micros = (worker: Worker.Worker) => Effect.map(costOf(worker, count), (millis) => millis * 1000)
    const cost = yield* interleave(rounds, {
      counted: micros(counted),
      uncounted: micros(uncounted),
      traced: micros(traced)
    })
    return {
      title: "our own work for a run, with metrics, without, and with spans",
      notes: [
        `\`Command.string\` on an engine that starts nothing, so all of it is CPU time of the owner. The tracer makes Effect's own ` +
        `spans and drops them; exporting comes on top. ${rounds} rounds of ${count}.`
      ],
      rows: [
        ratioRow("with metrics / without", compare(cost.counted, cost.uncounted), quantity("us"), {
          bound: "at most",
          value: 1.05
        }),
        ratioRow("with metrics and spans / with metrics", compare(cost.traced, cost.counted), quantity("us"))
      ]
    }
  })

export const observe: Program = { name: "observe", title: "bench/observe", parts: [onEchoes, onNothing, snapshots] }
