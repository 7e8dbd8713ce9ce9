/** Ours on both engines beside all others. */
import { Effect } from "effect"
import { costOf } from "../spawn/echo.ts"
import * as Contenders from "../support/contenders.ts"
import * as proc from "../support/proc.ts"
import type { Program, Settings } from "../support/Program.ts"
import { type Listing, millis, quantity, sizeOf } from "../support/report.ts"
import { gibibytesPerSecond, median } from "../support/statistics.ts"
import type * as Worker from "../support/Worker.ts"
import { detail, type Figure, type Measure, slower, summary } from "./figures.ts"
import { inTurn, oneByOne, open, openAll } from "./turns.ts"

const { bun, client, dropIn, effect4, execa, fallback, go, nanoSpawn, ours, platform, posixSpawn, raw, rawNewer } =
  Contenders
const { tinyexec, zx } = Contenders

/** Those that can do most of it. */
const libraries = [ours, fallback, raw, rawNewer, execa, nanoSpawn, tinyexec, zx, dropIn, platform, effect4, bun, go]

const gibibyte = 2 ** 30

const rates = quantity("GiB/s")
const perSecond = quantity("/s")
const kibibytes = quantity("KiB")

const listing = (title: string, notes: ReadonlyArray<string>, figures: ReadonlyArray<Figure>): Listing => ({
  title,
  notes,
  table: detail(figures),
  figures
})

/** Until so many have run, or the time is up. */
const warmed = (worker: Worker.Worker, count: number, patience: number) =>
  Effect.gen(function*() {
    const began = performance.now()
    const piece = Math.max(1, Math.min(20, count))
    for (let done = 0; done < count && performance.now() - began < patience; done += piece) {
      yield* worker.ask("captures", { count: piece, atOnce: 1 })
    }
  })

const echoes = (settings: Settings) =>
  Effect.gen(function*() {
    const { rounds, short } = settings
    const [one, many, warm] = short ? [3, 16, 3] : [50, 160, 3000]
    const sides = yield* openAll([...libraries.slice(0, 2), client, ...libraries.slice(2), posixSpawn])
    for (const side of sides) {
      // With several at once, so that both cores do it; what is warm then is the same code.
      if (side._tag === "Right") yield* side.right.worker.ask("captures", { count: warm, atOnce: short ? 1 : 8 })
    }
    const single: Measure = { name: "`echo hi`", better: "less", show: millis, summary: true }
    const crowd: Measure = { name: "`echo hi`, 16 at once", better: "more", show: perSecond, summary: true }
    const figures = [
      ...yield* inTurn(single, sides, rounds, (worker) => costOf(worker, one)),
      ...yield* inTurn(
        crowd,
        sides,
        rounds,
        (worker) => Effect.map(costOf(worker, many, 16), (millis) => 1000 / millis),
        { posixSpawn: "one at a time" }
      )
    ]
    return listing("spawn and capture", [
      `\`echo hi\`, its output captured: ${rounds} rounds of ${one} one after another, and of ${many} with 16 at once, after ${warm} for ` +
      "warming up. stdin is empty, stdout and stderr are piped; @effect/platform pipes stdin too, as it does by default. zx starts bash, " +
      "which is what it is for."
    ], figures)
  })

const heap = (mebibytes: number) => (settings: Settings) =>
  Effect.gen(function*() {
    const { short } = settings
    const rounds = Math.min(settings.rounds, 3)
    const where = sizeOf(mebibytes)
    const fits = mebibytes < proc.roomForBallast()
    const measures: ReadonlyArray<Measure> = [
      { name: `\`echo hi\`, heap of ${where}`, better: "less", show: millis, summary: mebibytes !== 64 },
      { name: `thread blocked by a spawn, heap of ${where}`, better: "less", show: millis, summary: mebibytes !== 64 }
    ]
    const exceptions = fits ? {} : Object.fromEntries(libraries.map(({ peer }) => [peer, "not enough memory"]))
    const options = { ballast: short ? 8 : mebibytes, instrument: true }
    const figures = yield* oneByOne(libraries, exceptions, measures, options, (worker, { peer }) =>
      Effect.gen(function*() {
        yield* warmed(worker, short ? 2 : 500, 1000)
        const cost = yield* costOf(worker, 1)
        // As many as take a fifth of a second.
        const count = short ? 2 : Math.max(1, Math.min(50, Math.round(200 / cost)))
        const [echo, blocked]: [Array<number>, Array<number>] = [[], []]
        for (let round = 0; round < rounds; round++) {
          echo.push(yield* costOf(worker, count))
          if (peer !== "go") {
            blocked.push(median(yield* worker.ask("direct", { count })))
          }
        }
        return [echo, peer === "go" ? "no thread of its own is waited on" : blocked]
      }))
    return listing(`a heap of ${where}`, [
      `The owner holds ${where} beyond its own, in arrays that were written to. One peer after another, as the largest heap does not fit for all ` +
      `at once; ${rounds} rounds of as many as take 0.2 s, 50 at most, after up to 1 s for warming up. *Blocked* is the time within the calls that ` +
      "do not return before they are done: `spawn`, for ours the request, the opening of pipes and the making of sockets; wrapped from " +
      "outside, the median of a round's spawns."
    ], figures)
  })

const flow = ({ rounds, short }: Settings) =>
  Effect.gen(function*() {
    // Some keep what they read as text, of which V8 holds less than half a gibibyte.
    const bytes = short ? 2 ** 20 : gibibyte / 4
    const rate = gibibytesPerSecond(bytes)
    const read = (worker: Worker.Worker) => Effect.map(worker.ask("read", { aged: true, bytes }), rate)
    const write = (worker: Worker.Worker) => Effect.map(worker.ask("write", { bytes }), rate)
    const sides = yield* openAll(libraries)
    const out: Measure = { name: "stdout", better: "more", show: rates, summary: true }
    const into: Measure = { name: "stdin", better: "more", show: rates, summary: true }
    const figures = [
      ...yield* inTurn(out, sides, rounds, read),
      ...yield* inTurn(into, sides, Math.min(rounds, 3), write)
    ]
    return listing("stdout and stdin", [
      `\`head -c ${bytes} /dev/zero\`, the bytes counted as they come, ${rounds} rounds after a full collection, as there has been one in a ` +
      `program that has run for a while (see "much output" below); the same number of zeros in pieces of 64 KiB into ` +
      `\`wc -c\`, ${
        Math.min(rounds, 3)
      } rounds. By the library's own stream where it has one of bytes (ours, @effect/platform, Effect 4, Bun, Go), ` +
      "else by its child's Node stream, with 'data' and 'drain'; nano-spawn, tinyexec and zx also keep what they read as text."
    ], figures)
  })

const pipelines = ({ rounds, short }: Settings) =>
  Effect.gen(function*() {
    const bytes = short ? 2 ** 20 : gibibyte / 4
    const sh: Contenders.Contender = { peer: "sh", label: "the same line in sh", runtime: "node" }
    const sides = yield* openAll([...libraries, sh], { raw: "has none" })
    const measure: Measure = { name: "pipeline of three", better: "more", show: rates, summary: true }
    const figures = yield* inTurn(measure, sides, Math.min(rounds, 3), (worker) =>
      Effect.map(worker.ask("pipeline", { bytes, cats: 0 }), gibibytesPerSecond(bytes)))
    return listing("pipelines", [
      `\`head -c ${bytes} /dev/zero | tr '\\0' a | wc -c\` by the library's own way to join commands; ${
        Math.min(rounds, 3)
      } rounds.`
    ], figures)
  })

const endings = ({ rounds, short }: Settings) =>
  Effect.gen(function*() {
    const sizes = short ? [1, 5] : [1, 10, 100]
    const sides = yield* openAll(libraries, { dropIn: "as effect-process" })
    const one = { nanoSpawn: "ends the first process only", tinyexec: "ends the first process only" }
    const figures: Array<Figure> = []
    for (const size of sizes) {
      const measure: Measure = {
        name: `interrupt to empty, ${size} ${size === 1 ? "process" : "processes"}`,
        better: "less",
        show: millis,
        summary: size === 100
      }
      const end = (worker: Worker.Worker) => Effect.map(worker.ask("interrupt", { size }), ({ elapsed }) => elapsed)
      figures.push(...yield* inTurn(measure, sides, rounds, end, size === 1 ? {} : one))
    }
    return listing("interrupt to empty", [
      "A shell and its `sleep`s, all of which TERM ends, from the interrupt until the library says that it is done. Ours, @effect/platform and " +
      "Effect 4 by `Fiber.interrupt`, execa by `cancelSignal` with `killDescendants`, zx by `kill`; node:child_process, Bun and Go by hand: a group " +
      "of its own, one signal to it, and the end of the output. Only ours promises that nothing is left then, not even a zombie; of the others " +
      `what was not gone at once had to go by itself. ${rounds} rounds of one.`
    ], figures)
  })

const crowd = (settings: Settings) =>
  Effect.gen(function*() {
    const many = settings.short ? 20 : 2000
    const measures: ReadonlyArray<Measure> = [
      { name: `private memory, each of ${many}`, better: "less", show: kibibytes, summary: true },
      { name: "start of one", better: "less", show: millis },
      { name: "event loop delay meanwhile, p50", better: "less", show: millis },
      { name: "event loop delay meanwhile, p99", better: "less", show: millis, summary: true },
      { name: "event loop delay meanwhile, longest", better: "less", show: millis }
    ]
    const exceptions = { dropIn: "as effect-process" }
    const figures = yield* oneByOne(
      libraries.filter((it) => it !== rawNewer),
      exceptions,
      measures,
      {},
      (worker, { peer }) =>
        Effect.gen(function*() {
          yield* warmed(worker, settings.short ? 2 : 300, 1000)
          const before = yield* worker.ask("memory", {})
          const { delay, elapsed } = yield* worker.ask("live", { upTo: many })
          let after = yield* worker.ask("memory", {})
          // What is forked is not yet what it will be.
          for (let i = 0; after.processes < many && i < 50; i++) {
            yield* Effect.sleep("100 millis")
            after = yield* worker.ask("memory", {})
          }
          const memory = (after.owner - before.owner + after.between - before.between) / 1024 / many
          const loop = peer === "go" ? ["no event loop", "no event loop", "no event loop"] : [
            [delay.p50],
            [delay.p99],
            [delay.maximum]
          ]
          return [[memory], [elapsed / many], ...loop]
        })
    )
    return listing(`${many} live jobs`, [
      "`sleep`s with both outputs piped, 16 starts at once, one peer after another, once. Memory is Private_Clean and Private_Dirty of smaps_rollup(5), " +
      "the growth of the owner and of what runs between it and the `sleep`s. Event loop delay is by `monitorEventLoopDelay`, less its " +
      "interval of 1 ms, while they are started."
    ], figures)
  })

/** Whether each does what the parts ask of it: one worker each, everything once. */
const everything = () =>
  Effect.gen(function*() {
    const bytes = 2 ** 20
    const able = (task: string, peer: string, ...unable: ReadonlyArray<string>): ReadonlyArray<string> =>
      unable.includes(peer) ? [] : [task]
    const done = yield* Effect.forEach([...libraries, client, posixSpawn], (contender) =>
      Effect.scoped(Effect.gen(function*() {
        const { peer } = contender
        const loop = peer === "posixSpawn"
        const side = yield* open(contender, {}, loop ? {} : { ballast: 8, instrument: true })
        if (side._tag === "Left") {
          return [side.left.name, side.left.why]
        }
        const { name, worker } = side.right
        yield* worker.ask("captures", { count: 4, atOnce: loop ? 1 : 4 })
        const tasks = loop || peer === "client" ? [] : [
          ...able("direct", peer, "go"),
          ...able("pipeline", peer, "raw"),
          ...able("interrupt", peer, "dropIn")
        ]
        if (tasks.includes("direct")) {
          yield* worker.ask("direct", { count: 2 })
        }
        if (tasks.includes("pipeline")) {
          yield* worker.ask("pipeline", { bytes, cats: 0 })
        }
        if (tasks.includes("interrupt")) {
          yield* worker.ask("interrupt", { size: 1 })
        }
        if (tasks.length > 0) {
          yield* worker.ask("read", { aged: true, bytes })
          yield* worker.ask("write", { bytes })
          yield* worker.ask("live", { upTo: 4 })
          yield* worker.ask("memory", {})
        }
        return [name, "works"]
      })), { concurrency: 4 })
    return { title: "Speed", notes: [], table: [["", ""], ...done] } satisfies Listing
  })

/** The table of all, from the figures of the parts. */
const overview = (sections: ReadonlyArray<Listing>): Listing => {
  const figures = sections.flatMap(({ figures = [] }) => figures)
  return {
    title: "Speed",
    notes: [
      "Medians of this run; the tables below have the spread, and the ratio to node:child_process on this Node.js: where the peers were measured in " +
      "turn, the median of the rounds' ratios with the least and the greatest, else that of the medians. A dash has its reason there. Peers that " +
      "need a newer Node.js run on one, and node:child_process beside them. Every peer is in a process of its own, warmed up, with the same stdio."
    ],
    table: summary(figures),
    slower: slower(figures),
    readme: "speed"
  }
}

export const speed: Program = {
  name: "speed",
  title: "Speed",
  short: [everything],
  parts: [echoes, heap(64), heap(1024), heap(6144), flow, pipelines, endings, crowd],
  overview
}
