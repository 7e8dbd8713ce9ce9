/** Much output. */
import { Effect } from "effect"
import type { Settings } from "../support/Program.ts"
import { quantity, ratioRow } from "../support/report.ts"
import { compare, interleave } from "../support/rounds.ts"
import { gibibytesPerSecond } from "../support/statistics.ts"
import * as Worker from "../support/Worker.ts"

const rates = quantity("GiB/s")

/** A worker's GiB/s; `aged`: since a full collection V8 collects often, and what that costs depends on the heap. */
const rateOf = (worker: Worker.Worker, bytes: number, aged = true) =>
  Effect.map(worker.ask("read", { bytes, aged }), gibibytesPerSecond(bytes))

export const throughput = ({ rounds, short }: Settings) =>
  Effect.gen(function*() {
    const bytes = (short ? 32 : 1024) * 2 ** 20
    const raw = yield* Worker.start("raw")
    const server = yield* Worker.start("spawnServer")
    const fallback = yield* Worker.start("childProcess")
    const young = yield* interleave(rounds, {
      server: rateOf(server, bytes, false),
      raw: rateOf(raw, bytes, false),
      fallback: rateOf(fallback, bytes, false)
    })
    const old = yield* interleave(rounds, {
      server: rateOf(server, bytes),
      each: rateOf(yield* Worker.start("spawnServerEach"), bytes),
      raw: rateOf(raw, bytes),
      beside: rateOf(yield* Worker.start("rawBesideEffect"), bytes)
    })
    return {
      title: "much output",
      notes: [
        `\`head -c ${bytes} /dev/zero\` through \`Command.stream\`, the bytes counted by \`Stream.runFold\`, or by \`Stream.runForEach\` with an ` +
        `Effect for each piece, against the 'data' events of raw; ${rounds} rounds. V8 counts what is read as part of the heap: once a program ` +
        "has had a full collection Node.js alone has one for every 30 MiB, which costs what the program's heap " +
        "costs: some 5 MiB for raw alone, 20 in a program that uses Effect."
      ],
      rows: [
        ratioRow("new programs, spawn server / raw", compare(young.server, young.raw), rates, {
          bound: "at least",
          value: 1.5
        }),
        ratioRow("new programs, fallback engine / raw", compare(young.fallback, young.raw), rates),
        ratioRow("after a full collection, spawn server / raw", compare(old.server, old.raw), rates),
        ratioRow(
          "after a full collection, spawn server / raw in a program that uses Effect",
          compare(old.server, old.beside),
          rates
        ),
        ratioRow(
          "after a full collection, an Effect for each piece / raw in a program that uses Effect",
          compare(old.each, old.beside),
          rates
        )
      ]
    }
  })
