/** What it costs to join commands, and to put one between Streams of ours. */
import { Effect } from "effect"
import type { Program, Settings } from "../support/Program.ts"
import { plainRow, quantity, ratioRow } from "../support/report.ts"
import { compare, interleave } from "../support/rounds.ts"
import { gibibytesPerSecond, median } from "../support/statistics.ts"
import * as Worker from "../support/Worker.ts"

const rates = quantity("GiB/s")
const mebibytes = (bytes: number): string => quantity("MiB")(bytes / 2 ** 20)

const line = ({ rounds, short }: Settings) =>
  Effect.gen(function*() {
    const bytes = (short ? 8 : 1024) * 2 ** 20
    const rateOf = (peer: string) =>
      Effect.map(Worker.start(peer), (worker) =>
        Effect.map(worker.ask("pipeline", { bytes, cats: 0 }), gibibytesPerSecond(bytes)))
    const measured = yield* interleave(rounds, {
      server: yield* rateOf("spawnServer"),
      sh: yield* rateOf("sh"),
      fallback: yield* rateOf("childProcess"),
      platform: yield* rateOf("platform")
    })
    const { fallback, platform, server, sh } = measured
    const atLeast = (value: number) =>
      ({ bound: "at least", value }) as const
    return {
      title: "three stages",
      notes: [
        `\`head -c ${bytes} /dev/zero | tr '\\0' a | wc -c\` by \`Command.pipeTo\` and \`Command.string\`, against the same line ` +
        `in \`sh -c\`, started by node:child_process, and against \`Command.pipeTo\` of @effect/platform; ${rounds} rounds.`
      ],
      rows: [
        ratioRow("spawn server / sh", compare(server, sh), rates, atLeast(0.95)),
        ratioRow("spawn server / @effect/platform", compare(server, platform), rates, atLeast(4)),
        ratioRow("fallback engine / sh", compare(fallback, sh), rates, atLeast(0.95)),
        ratioRow("fallback engine / @effect/platform", compare(fallback, platform), rates, atLeast(4))
      ]
    }
  })

const through = ({ rounds, short }: Settings) =>
  Effect.gen(function*() {
    const bytes = (short ? 8 : 1024) * 2 ** 20
    const rateOf = (peer: string) =>
      Effect.map(
        Worker.start(peer),
        (worker) => Effect.map(worker.ask("through", { bytes }), gibibytesPerSecond(bytes))
      )
    const { fallback, raw, server } = yield* interleave(rounds, {
      server: yield* rateOf("spawnServer"),
      raw: yield* rateOf("raw"),
      fallback: yield* rateOf("childProcess")
    })
    const target = { bound: "at least", value: 0.5 } as const
    return {
      title: "a command between Streams",
      notes: [
        `${bytes} zeros in pieces of 64 KiB through \`Command.through(Command.make("cat"))\`, counted as they come back, against ` +
        `node:child_process with 'drain' and 'data'; ${rounds} rounds.`
      ],
      rows: [
        ratioRow("spawn server / raw", compare(server, raw), rates, target),
        ratioRow("fallback engine / raw", compare(fallback, raw), rates, target)
      ]
    }
  })

const stages = ({ rounds, short }: Settings) =>
  Effect.gen(function*() {
    const bytes = (short ? 8 : 256) * 2 ** 20
    const rows = []
    for (const [what, peer] of [["spawn server", "spawnServer"], ["fallback engine", "childProcess"]] as const) {
      const worker = yield* Worker.start(peer)
      // What the first run makes, such as compiled code, stays and is no growth.
      yield* worker.ask("pipeline", { bytes: 2 ** 20, cats: 20 })
      const measured: Array<{ readonly elapsed: number; readonly growth: number }> = []
      for (let round = 0; round < rounds; round++) measured.push(yield* worker.ask("pipeline", { bytes, cats: 20 }))
      rows.push(
        plainRow(`${what}: rate`, median(measured.map(gibibytesPerSecond(bytes))), rates),
        plainRow(`${what}: growth of the owner's memory`, median(measured.map(({ growth }) => growth)), mebibytes, {
          bound: "at most",
          value: 16 * 2 ** 20,
          unit: "bytes"
        })
      )
    }
    return {
      title: "twenty stages of cat",
      notes: [
        `${bytes} bytes through twenty \`cat\`s between the first two and the last; resident memory of the owner at its peak, less ` +
        `that before; median of ${rounds} rounds after one for warming up.`
      ],
      rows
    }
  })

export const pipeline: Program = {
  name: "pipeline",
  title: "bench/pipeline",
  parts: [line, through, stages]
}
