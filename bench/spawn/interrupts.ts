/** From the interrupt to the moment when nothing of the tree is left. */
import { Effect } from "effect"
import type { Settings } from "../support/Program.ts"
import { millis, type Row, valueRow } from "../support/report.ts"
import { compare, interleave } from "../support/rounds.ts"
import * as Worker from "../support/Worker.ts"

export const interrupts = ({ rounds, short }: Settings) =>
  Effect.gen(function*() {
    const raw = yield* Worker.start("raw")
    const server = yield* Worker.start("spawnServer")
    for (let i = 0; i < (short ? 1 : 60); i++) yield* server.ask("interrupt", { size: 1 })
    const sizes = short ? [1, 10] : [1, 10, 100]
    const rows: Array<Row> = []
    for (const size of sizes) {
      const end = (worker: Worker.Worker) => Effect.map(worker.ask("interrupt", { size }), ({ elapsed }) => elapsed)
      const { ours, peer } = yield* interleave(short ? rounds : rounds * 2, { ours: end(server), peer: end(raw) })
      const what = `interrupt to empty, ${size} ${size === 1 ? "process" : "processes"}`
      rows.push(valueRow(what, compare(ours, peer), millis, {
        bound: "at most",
        value: 20,
        unit: "ms"
      }))
    }
    return {
      title: "interrupt to empty",
      notes: [
        "A shell and its `sleep`s, all of which TERM ends. `Fiber.interrupt` returns when no descendant is left, not even a " +
        "zombie, which is checked in /proc. Raw is by hand: `detached`, `process.kill(-pid)`, and the end of the output that all of " +
        `them hold, which is not yet the end of the processes. ${short ? rounds : rounds * 2} rounds of one.`
      ],
      rows
    }
  })
