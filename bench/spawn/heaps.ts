/** What the owner's heap does to a spawn, and how long the owner's thread is blocked by one. */
import { Effect } from "effect"
import type { Settings } from "../support/Program.ts"
import { roomForBallast } from "../support/proc.ts"
import { millis, missingRow, ratioRow, type Row, sizeOf, type Target, valueRow } from "../support/report.ts"
import { compare, interleave, inverted } from "../support/rounds.ts"
import { median } from "../support/statistics.ts"
import * as Worker from "../support/Worker.ts"
import { costOf, warm } from "./echo.ts"

const gibibyte = 1024

/** MiB of ballast that fit twice, for both sides at once. */
const fitting = (wanted: number): number => Math.min(wanted, Math.floor(roomForBallast() / 2))

const middle = (worker: Worker.Worker, task: "handles" | "direct", count: number) =>
  Effect.map(worker.ask(task, { count }), median)

const blockTarget: Target = { bound: "at most", value: 0.15, unit: "ms" }

/** One size of heap: a worker for each side, both of which hold it. */
const at = (wanted: number, settings: Settings, target: Target | undefined) =>
  Effect.scoped(Effect.gen(function*() {
    const { rounds, short } = settings
    const ballast = fitting(wanted)
    if (ballast < wanted / 8) return [missingRow(`heap of ${sizeOf(wanted)}`, "not enough memory")]
    const shrunk = ballast < wanted ? ` (${sizeOf(wanted)} do not fit)` : ""
    const where = `heap of ${sizeOf(ballast)}${shrunk}`
    const ours = yield* Worker.start("spawnServer", { ballast, instrument: true })
    const raw = yield* Worker.start("raw", { ballast, instrument: true })
    // Raw has no code of its own to warm, and with such a heap it takes long.
    yield* warm(wanted >= gibibyte ? [ours] : [ours, raw], settings)
    // Raw takes some 20 ms for each GiB.
    const [many, few] = short ? [5, 5] : [50, wanted >= gibibyte ? 4 : 50]
    const cost = yield* interleave(rounds, { ours: costOf(ours, many), raw: costOf(raw, few) })
    const handle = yield* interleave(rounds, {
      ours: middle(ours, "handles", many),
      raw: middle(raw, "handles", few)
    })
    const direct = yield* interleave(rounds, { ours: middle(ours, "direct", many), raw: middle(raw, "direct", few) })
    const rows: ReadonlyArray<Row> = [
      ratioRow(`${where}: echo hi, raw / ours`, inverted(compare(cost.ours, cost.raw)), millis, target),
      valueRow(`${where}: calls that block, judged`, compare(direct.ours, direct.raw), millis, blockTarget),
      valueRow(`${where}: thread busy from call to handle`, compare(handle.ours, handle.raw), millis)
    ]
    return rows
  }))

export const heaps = (settings: Settings) =>
  Effect.gen(function*() {
    const sizes: ReadonlyArray<readonly [number, Target | undefined]> = settings.short
      ? [[64, undefined]]
      : [[0, undefined], [64, undefined], [gibibyte, undefined], [6 * gibibyte, { bound: "at least", value: 100 }]]
    const rows: Array<Row> = []
    for (const [size, target] of sizes) rows.push(...yield* at(size, settings, target))
    return {
      title: "the heap, and the owner's thread",
      notes: [
        `Both sides hold so much memory beyond their own, in typed arrays that were written to; ${settings.rounds} rounds.`,
        "*Calls that block*, which the target is for: what a spawn takes of the owner's thread in calls that do not return " +
        "before they are done, for us the request to the server, the opening of the pipes and the making of their sockets, for " +
        "raw `spawn`; wrapped from outside, the median of a round's spawns. *Thread busy from call to handle* is the time that " +
        "the event loop did not wait between `Command.start` and its handle, with everything that Effect does on the way, in " +
        "several turns of the loop; for raw it is one call."
      ],
      rows
    }
  })
