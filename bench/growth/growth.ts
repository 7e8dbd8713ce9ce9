/** How the cost grows with what there is already: live jobs, heap, output. */
import { Effect, Either } from "effect"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { costOf } from "../spawn/echo.ts"
import { open } from "../speed/turns.ts"
import * as Contenders from "../support/contenders.ts"
import * as proc from "../support/proc.ts"
import type { Program, Settings } from "../support/Program.ts"
import type { Listing } from "../support/report.ts"
import { millis, quantity, sizeOf } from "../support/report.ts"
import { median } from "../support/statistics.ts"
import type * as Worker from "../support/Worker.ts"
import { type Axis, draw, fit, type Series } from "./plot.ts"

const { bun, effect4, fallback, go, ours, raw } = Contenders

/** Few, so that a plot can be read: the engines, what all others stand on, the nearest relative, and the fastest. */
const contenders = [ours, fallback, raw, effect4, bun, go]

const plots = fileURLToPath(new URL("../../plots/", import.meta.url))

const time: Axis = { label: "time of one", show: millis }

type Point = readonly [x: number, y: number]

/** A plot, and a line of its table for each contender, one after another. */
const grown = (
  settings: Settings,
  plot: { readonly name: string; readonly title: string; readonly x: Axis; readonly notes: ReadonlyArray<string> },
  unit: { readonly size: number; readonly show: (slope: number) => string },
  curve: (contender: Contenders.Contender) => Effect.Effect<
    Either.Either<
      { readonly name: string; readonly points: ReadonlyArray<Point> },
      { readonly name: string; readonly why: string }
    >,
    Worker.Failure,
    Effect.Effect.Context<ReturnType<typeof open>>
  >
) =>
  Effect.gen(function*() {
    const curves = yield* Effect.forEach(settings.short ? [ours, raw] : contenders, curve)
    const series = curves.flatMap((it): ReadonlyArray<Series> => Either.isRight(it) ? [it.right] : [])
    const labelled = series.map(({ name, points }) => ({
      name: `${name}: ${unit.show(fit(points).slope * unit.size)}`,
      points
    }))
    if (!settings.short) {
      fs.mkdirSync(plots, { recursive: true })
      fs.writeFileSync(`${plots}${plot.name}.svg`, draw({ title: plot.title, x: plot.x, y: time, series: labelled }))
    }
    const xs = [...new Set(series.flatMap(({ points }) => points.map(([x]) => x)))]
    const rows = curves.map((it) =>
      Either.match(it, {
        onLeft: ({ name, why }) => [name, `– (${why})`],
        onRight: ({ name, points }) => {
          const { exponent, slope } = fit(points)
          const cells = xs.map((x) => {
            const point = points.find(([at]) => at === x)
            return point === undefined ? "–" : millis(point[1])
          })
          return [name, ...cells, unit.show(slope * unit.size), exponent.toFixed(2)]
        }
      })
    )
    const listing: Listing = {
      title: plot.title,
      notes: [
        ...plot.notes,
        "*Slope* is that of the straight line by least squares over these points; *exponent* the power that it grows with, by the same on " +
        "logarithms: 0 is constant, 1 proportional.",
        `![${plot.title}](plots/${plot.name}.svg)`
      ],
      table: [["", ...xs.map(plot.x.show), "slope", "exponent"], ...rows]
    }
    return listing
  })

/** One worker for all its points. */
const along = (
  contender: Contenders.Contender,
  settings: Settings,
  xs: ReadonlyArray<number>,
  at: (worker: Worker.Worker, x: number) => Effect.Effect<number, Worker.WorkerFailed>
) =>
  Effect.scoped(Effect.gen(function*() {
    const side = yield* open(contender, {})
    if (Either.isLeft(side)) return Either.left(side.left)
    const { name, worker } = side.right
    yield* worker.ask("captures", { count: settings.short ? 3 : 1000, atOnce: settings.short ? 1 : 8 })
    const points = yield* Effect.forEach(xs, (x) => Effect.map(at(worker, x), (y): Point => [x, y]))
    return Either.right({ name, points })
  }))

/** As many as take a fifth of a second, three times. */
const cost = (worker: Worker.Worker, { short }: Settings) =>
  Effect.gen(function*() {
    const count = short ? 2 : Math.max(1, Math.min(50, Math.round(200 / (yield* costOf(worker, 1)))))
    return median(yield* Effect.forEach(short ? [1] : [1, 2, 3], () => costOf(worker, count)))
  })

const jobs = (settings: Settings) => {
  const levels = settings.short ? [1, 5] : [1, 10, 100, 1000, 2000]
  return grown(
    settings,
    {
      name: "live-jobs",
      title: "echo hi beside live jobs",
      x: { label: "live jobs", show: String },
      notes: [
        "`sleep`s with both outputs piped that live meanwhile; the median of three rounds of as many `echo hi` as take 0.2 s, 50 at most."
      ]
    },
    { size: 1000, show: (slope) => `${millis(slope)} for 1,000 jobs` },
    (contender) =>
      along(
        contender,
        settings,
        levels,
        (worker, upTo) => Effect.zipRight(worker.ask("live", { upTo }), cost(worker, settings))
      )
  )
}

const heap = (settings: Settings) => {
  const sizes = (settings.short ? [8, 16] : [64, 256, 1024, 6144]).filter((size) => size < proc.roomForBallast())
  return grown(
    settings,
    {
      name: "heap",
      title: "echo hi with a heap",
      x: { label: "heap", show: sizeOf },
      notes: ["An owner for each size, with so much in arrays that were written to, warmed up; the rest as above."]
    },
    { size: 1024, show: (slope) => `${millis(slope)} a GiB` },
    (contender) =>
      Effect.gen(function*() {
        const points: Array<Point> = []
        let name = contender.label
        for (const ballast of sizes) {
          const point = yield* Effect.scoped(Effect.gen(function*() {
            const side = yield* open(contender, {}, { ballast })
            if (Either.isLeft(side)) return Either.left(side.left)
            const { worker } = side.right
            // A warm engine with a small heap; with a large one, what takes long is not the code.
            const count = settings.short || (yield* costOf(worker, 1)) > 20 ? 3 : 500
            yield* worker.ask("captures", { count, atOnce: count === 3 ? 1 : 8 })
            return Either.right({ name: side.right.name, y: yield* cost(worker, settings) })
          }))
          if (Either.isLeft(point)) return Either.left(point.left)
          name = point.right.name
          points.push([ballast, point.right.y])
        }
        return Either.right({ name, points })
      })
  )
}

const bytesOf = (bytes: number): string => bytes < 2 ** 20 ? `${bytes / 2 ** 10} KiB` : sizeOf(bytes / 2 ** 20)

const output = (settings: Settings) => {
  const sizes = settings.short
    ? [2 ** 10, 2 ** 15]
    : [2 ** 10, 2 ** 15, 2 ** 20, 2 ** 25, 2 ** 30]
  return grown(
    settings,
    {
      name: "output",
      title: "capture of output",
      x: { label: "output", show: bytesOf },
      notes: [
        "`head -c BYTES /dev/zero`, the bytes counted as they come; the median of nine runs up to 1 MiB, of three above. " +
        `So many more milliseconds a GiB are ${quantity("GiB/s")(1)} for 1,000.`
      ]
    },
    { size: 2 ** 30, show: (slope) => `${millis(slope)} a GiB` },
    (contender) =>
      along(contender, settings, sizes, (worker, bytes) => {
        const rounds = settings.short ? 1 : bytes > 2 ** 20 ? 3 : 9
        const one = Effect.map(worker.ask("read", { aged: true, bytes }), ({ elapsed }) => elapsed)
        return Effect.map(Effect.replicateEffect(one, rounds), median)
      })
  )
}

export const growth: Program = { name: "growth", title: "Growth", parts: [jobs, heap, output] }
