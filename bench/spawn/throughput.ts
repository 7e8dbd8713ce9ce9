/** Much output. */
import { Effect } from "effect"
import type { Settings } from "../support/Program.ts"
import { quantity, ratioRow } from "../support/report.ts"
import { compare, interleave } from "../support/rounds.ts"
import * as Worker from "../support/Worker.ts"

const rates = quantity("GiB/s")

/** A worker's GiB/s; `aged`: since a full collection V8 collects often, and what that costs depends on the heap. */
const rateOf = (worker: Worker.Worker, bytes: number, aged = true) =>
  Effect.map(worker.ask("read", { bytes, aged }), ({ elapsed }) => bytes / 2 ** 30 / (elapsed / 1000))

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
    const flags = ["--heap-growing-percent=400"]
    const old = yield* interleave(rounds, {
      server: rateOf(server, bytes),
      raw: rateOf(raw, bytes),
      beside: rateOf(yield* Worker.start("rawBesideEffect"), bytes),
      each: rateOf(yield* Worker.start("spawnServerEach"), bytes),
      seldom: rateOf(yield* Worker.start("spawnServer", { flags }), bytes),
      besideSeldom: rateOf(yield* Worker.start("rawBesideEffect", { flags }), bytes)
    })
    return {
      title: "much output",
      notes: [
        `\`head -c ${bytes} /dev/zero\` through \`Command.stream\`, the bytes counted by \`Stream.runFold\`, against the 'data' events of raw; ` +
        `${rounds} rounds. V8 counts what is read as part of the heap. In a new program that matters little; once it has made a full ` +
        "collection (here before each round) it makes one for every 20 to 60 MiB that are read, by us or by Node.js, and those cost what " +
        "the program's heap costs: some 5 MiB for raw alone, 20 with Effect. `--heap-growing-percent=400` makes them rare. With an Effect " +
        "for each piece, `Stream.runForEach`, V8 also holds on to what was read until then."
      ],
      rows: [
        ratioRow("new programs, spawn server / raw", compare(young.server, young.raw), rates, {
          bound: "at least",
          value: 1.5
        }),
        ratioRow("new programs, fallback engine / raw", compare(young.fallback, young.raw), rates),
        ratioRow("after a full collection, spawn server / raw", compare(old.server, old.raw), rates),
        ratioRow("… / raw in a program that uses Effect", compare(old.server, old.beside), rates),
        ratioRow("… an Effect for each piece / raw in such a program", compare(old.each, old.beside), rates),
        ratioRow("… with that flag / raw in such a program with it", compare(old.seldom, old.besideSeldom), rates)
      ]
    }
  })
