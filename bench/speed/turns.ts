/** Many contenders, measured in turn or one after another. */
import { Effect, Either, type Scope } from "effect"
import type { ProcessSpawner } from "effect-process"
import { type Absent, type Contender, find, type Present, start } from "../support/contenders.ts"
import { interleave } from "../support/rounds.ts"
import type * as Worker from "../support/Worker.ts"
import type { Figure, Measure } from "./figures.ts"

/** Why a contender, by its peer, cannot be measured. */
export type Exceptions = Readonly<Record<string, string>>

export interface Side extends Present {
  readonly contender: Contender
  readonly worker: Worker.Worker
}

export interface Missing {
  readonly contender: Contender
  readonly name: string
  readonly why: string
}

const missing = (contender: Contender, why: string): Missing => ({ contender, name: contender.label, why })

/** A worker, or why there is none. */
export const open = (
  contender: Contender,
  exceptions: Exceptions,
  options: Worker.WorkerOptions = {}
): Effect.Effect<Either.Either<Side, Missing>, Worker.Failure, ProcessSpawner | Scope.Scope> =>
  Effect.gen(function*() {
    const present = yield* find(contender)
    const why = exceptions[contender.peer]
    if (why !== undefined) return Either.left({ ...missing(contender, why), name: present.name })
    const worker = yield* start(contender, options)
    return Either.right({ contender, worker, ...present })
  }).pipe(Effect.catchTag("Absent", ({ why }: Absent) => Effect.succeed(Either.left(missing(contender, why)))))

export const openAll = (
  contenders: ReadonlyArray<Contender>,
  exceptions: Exceptions = {},
  options: Worker.WorkerOptions = {}
) => Effect.forEach(contenders, (contender) => open(contender, exceptions, options), { concurrency: 4 })

const absent = (measure: Measure, { contender, name, why }: Missing): Figure => ({
  measure,
  contender,
  name,
  values: why
})

/** One measure of all that are there, in turn in each round. */
export const inTurn = (
  name: Measure,
  sides: ReadonlyArray<Either.Either<Side, Missing>>,
  rounds: number,
  one: (worker: Worker.Worker) => Effect.Effect<number, Worker.WorkerFailed>,
  exceptions: Exceptions = {}
): Effect.Effect<ReadonlyArray<Figure>, Worker.WorkerFailed> =>
  Effect.gen(function*() {
    const measure = { ...name, inTurn: true }
    const able = sides.map((side) =>
      Either.flatMap(side, (it): Either.Either<Side, Missing> => {
        const why = exceptions[it.contender.peer]
        return why === undefined ? Either.right(it) : Either.left({ ...it, why })
      })
    )
    const present = able.flatMap((side) => Either.isRight(side) ? [side.right] : [])
    const measured = yield* interleave(
      rounds,
      Object.fromEntries(present.map(({ worker }, i) => [`side ${i}`, one(worker)]))
    )
    return able.map((side) =>
      Either.match(side, {
        onLeft: (it) => absent(measure, it),
        onRight: (it) => ({
          measure,
          contender: it.contender,
          name: it.name,
          values: measured[`side ${present.indexOf(it)}`] ?? []
        })
      })
    )
  })

/** Several measures of one after another, each alone on the machine. */
export const oneByOne = (
  contenders: ReadonlyArray<Contender>,
  exceptions: Exceptions,
  measures: ReadonlyArray<Measure>,
  options: Worker.WorkerOptions,
  one: (worker: Worker.Worker, contender: Contender) => Effect.Effect<
    ReadonlyArray<ReadonlyArray<number> | string>,
    Worker.WorkerFailed
  >
) =>
  Effect.map(
    Effect.forEach(contenders, (contender) =>
      Effect.scoped(Effect.gen(function*() {
        const side = yield* open(contender, exceptions, options)
        if (Either.isLeft(side)) return measures.map((measure) => absent(measure, side.left))
        const values = yield* one(side.right.worker, contender)
        return measures.map((measure, i): Figure => ({
          measure,
          contender,
          name: side.right.name,
          values: values[i] ?? "not measured"
        }))
      }))),
    (figures) => figures.flat()
  )
