/** `echo hi`, captured: the whole of a short command. */
import { Effect } from "effect"
import type { Settings } from "../support/Program.ts"
import { ratioRow, quantity } from "../support/report.ts"
import { compare, interleave } from "../support/rounds.ts"
import * as Worker from "../support/Worker.ts"

const perSpawn = quantity("ms")

/** Milliseconds for each of so many, one after another or several at once. */
export const costOf = (worker: Worker.Worker, count: number, atOnce = 1) =>
  Effect.map(worker.ask("captures", { count, atOnce }), ({ elapsed }) => elapsed / count)

/** Runs after which V8 has compiled what runs: until then its compiler's threads take the processor from all of it. */
export const warmUp = 8000

/** With several at once, so that both processors do it; what is compiled then is the same code. */
export const warm = (workers: ReadonlyArray<Worker.Worker>, { short }: Settings) =>
  Effect.forEach(
    workers,
    (worker) => worker.ask("captures", { count: short ? 5 : warmUp, atOnce: short ? 1 : 16 }),
    { discard: true }
  )

const rateOf = (worker: Worker.Worker, count: number, atOnce: number) =>
  Effect.map(costOf(worker, count, atOnce), (millis) => 1000 / millis)

const rates = quantity("/s")

export const oneAtATime = (settings: Settings) =>
  Effect.gen(function*() {
    const { rounds, short } = settings
    const [one, many] = short ? [5, 32] : [100, 320]
    const raw = yield* Worker.start("raw")
    const server = yield* Worker.start("spawnServer")
    const fallback = yield* Worker.start("childProcess")
    const cold = { server: [yield* costOf(server, one)], raw: [yield* costOf(raw, one)] }
    yield* warm([raw, server, fallback], settings)
    const cost = yield* interleave(rounds, {
      server: costOf(server, one),
      raw: costOf(raw, one),
      fallback: costOf(fallback, one)
    })
    const rate = yield* interleave(rounds, {
      server: rateOf(server, many, 16),
      raw: rateOf(raw, many, 16),
      fallback: rateOf(fallback, many, 16)
    })
    return {
      title: "echo hi, captured, against node:child_process",
      notes: [
        `\`Command.string\` against \`child_process.spawn\` with the same stdio (stdin empty, both outputs piped and read to ` +
        `their end), small heaps, each peer in a Node.js of its own (raw's has not even loaded Effect); after ${warmUp} for warming up ${rounds} rounds of ${one} ` +
        `one after another, then of ${many} with 16 at once. What is slower at first is V8's compiler, which has more to do here: the ` +
        `first ${one} of a new program have a row.`
      ],
      rows: [
        ratioRow("one at a time, spawn server / raw", compare(cost.server, cost.raw), perSpawn, {
          bound: "at most",
          value: 0.65
        }),
        ratioRow(`one at a time, the first ${one}, spawn server / raw`, compare(cold.server, cold.raw), perSpawn),
        ratioRow("one at a time, fallback engine / raw", compare(cost.fallback, cost.raw), perSpawn),
        ratioRow("16 at once, rate of the spawn server / raw", compare(rate.server, rate.raw), rates, {
          bound: "at least",
          value: 2
        }),
        ratioRow("16 at once, rate of the fallback engine / raw", compare(rate.fallback, rate.raw), rates)
      ]
    }
  })

export const clientAgainstC = (settings: Settings) =>
  Effect.gen(function*() {
    const { rounds, short } = settings
    const count = short ? 5 : 100
    const client = yield* Worker.start("client")
    const loop = yield* Worker.start("posixSpawn")
    yield* warm([client, loop], settings)
    const cost = yield* interleave(rounds, { client: costOf(client, count), loop: costOf(loop, count) })
    return {
      title: "echo hi, captured, the plain client against C",
      notes: [
        `The client of packages/spawn-server without Effect against posix_spawnp(3) in a C program (cc -O2); stdin empty, ` +
        `stdout piped, stderr inherited; ${rounds} rounds of ${count}. The client waits for the tree to be empty, C for the process.`
      ],
      rows: [
        ratioRow("one at a time, plain client / C", compare(cost.client, cost.loop), perSpawn, {
          bound: "at most",
          value: 1.3
        })
      ]
    }
  })
