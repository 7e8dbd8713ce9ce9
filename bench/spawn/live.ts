/** Many live processes. */
import { Effect } from "effect"
import type { Settings } from "../support/Program.ts"
import { millis, plainRow, quantity, ratioRow, type Row, valueRow } from "../support/report.ts"
import { compare, interleave } from "../support/rounds.ts"
import { spread } from "../support/statistics.ts"
import * as Worker from "../support/Worker.ts"
import { costOf, warm } from "./echo.ts"

const kibibytes = quantity("KiB")

export const live = (settings: Settings) =>
  Effect.gen(function*() {
    const { rounds, short } = settings
    const levels = short ? [1, 10, 50] : [1, 100, 1000, 2000]
    const most = levels.at(-1) ?? 1
    const count = short ? 5 : 30
    const ours = yield* Worker.start("spawnServer")
    const raw = yield* Worker.start("raw")
    yield* warm([ours, raw], settings)
    const before = { ours: yield* ours.ask("memory", {}), raw: yield* raw.ask("memory", {}) }
    const rows: Array<Row> = []
    let growing = { ours: yield* ours.ask("live", { upTo: 0 }), raw: yield* raw.ask("live", { upTo: 0 }) }
    for (const level of levels) {
      growing = { ours: yield* ours.ask("live", { upTo: level }), raw: yield* raw.ask("live", { upTo: level }) }
      const cost = yield* interleave(rounds, { ours: costOf(ours, count), raw: costOf(raw, count) })
      rows.push(ratioRow(`echo hi beside ${level} live, ours / raw`, compare(cost.ours, cost.raw), millis))
    }
    const still = {
      ours: yield* ours.ask("idle", { millis: short ? 200 : 3000 }),
      raw: yield* raw.ask("idle", { millis: short ? 200 : 3000 })
    }
    const after = { ours: yield* ours.ask("memory", {}), raw: yield* raw.ask("memory", {}) }
    const perProcess = (bytes: number) => bytes / 1024 / most
    const one = (value: number) => spread([value])
    const pair = (ours: number, peer: number) => ({ ours: one(ours), peer: one(peer), ratio: one(ours / peer) })
    rows.push(
      plainRow(
        `memory outside the children, of each of ${after.ours.processes}`,
        perProcess(after.ours.between),
        kibibytes,
        {
          bound: "at most",
          value: 100,
          unit: "KiB"
        }
      ),
      valueRow(
        "growth of the owner, of each",
        pair(perProcess(after.ours.owner - before.ours.owner), perProcess(after.raw.owner - before.raw.owner)),
        kibibytes
      ),
      valueRow("event loop delay while they live, p99", pair(still.ours.p99, still.raw.p99), millis),
      valueRow(
        "event loop delay while the last are spawned, p50",
        pair(growing.ours.delay.p50, growing.raw.delay.p50),
        millis
      ),
      valueRow(
        "event loop delay while the last are spawned, p99",
        pair(growing.ours.delay.p99, growing.raw.delay.p99),
        millis
      ),
      valueRow(
        "event loop delay while the last are spawned, longest",
        pair(growing.ours.delay.maximum, growing.raw.delay.maximum),
        millis
      )
    )
    return {
      title: `${most} live processes`,
      notes: [
        "`sleep`s with both outputs piped, started with 16 spawns at once. Memory is Private_Clean and Private_Dirty of " +
        "smaps_rollup(5), of the server and the supervisors; event loop delay is by `monitorEventLoopDelay`, less its interval of " +
        `1 ms. ${rounds} rounds of ${count} \`echo hi\` at each level.`
      ],
      rows
    }
  })
