/** Much output. */
import { Effect } from "effect"
import type { Settings } from "../support/Program.ts"
import { quantity, ratioRow } from "../support/report.ts"
import { compare, interleave } from "../support/rounds.ts"
import * as Worker from "../support/Worker.ts"

const rates = quantity("GiB/s")

export const throughput = ({ rounds, short }: Settings) =>
  Effect.gen(function*() {
    const bytes = (short ? 32 : 1024) * 2 ** 20
    const rateOf = (worker: Worker.Worker) =>
      Effect.map(worker.ask("read", { bytes }), ({ elapsed }) => bytes / 2 ** 30 / (elapsed / 1000))
    const raw = yield* Worker.start("raw")
    const server = yield* Worker.start("spawnServer")
    const fallback = yield* Worker.start("childProcess")
    const each = yield* Worker.start("spawnServerEach")
    const rate = yield* interleave(rounds, {
      server: rateOf(server),
      raw: rateOf(raw),
      each: rateOf(each),
      fallback: rateOf(fallback)
    })
    return {
      title: "much output",
      notes: [
        `\`head -c ${bytes} /dev/zero\` through \`Command.stream\`, the bytes counted by \`Stream.runFold\`, against the 'data' events of raw; ` +
        `${rounds} rounds. With an Effect for each piece, \`Stream.runForEach\`, V8 holds on to what was read until a full ` +
        "collection, and collects often."
      ],
      rows: [
        ratioRow("throughput, spawn server / raw", compare(rate.server, rate.raw), rates, {
          bound: "at least",
          value: 1.5
        }),
        ratioRow("throughput, spawn server, an Effect for each piece / raw", compare(rate.each, rate.raw), rates),
        ratioRow("throughput, fallback engine / raw", compare(rate.fallback, rate.raw), rates)
      ]
    }
  })
