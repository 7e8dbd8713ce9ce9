/** How long a leak check waits, and what it leaves alone, file by file. */
import * as Duration from "effect/Duration"
import type { RunnerTestFile } from "vitest"
import type { LeakedProcess } from "../LeakedProcess.ts"
import type { Bounds } from "./leaks.ts"

/** @internal */
export interface Options {
  readonly settle?: Duration.DurationInput
  readonly gracePeriod?: Duration.DurationInput
  readonly ignore?: (process: LeakedProcess) => boolean
}

/** @internal */
export const makeBounds = ({ gracePeriod, ignore, settle }: Options): Bounds => ({
  settle: Duration.toMillis(settle ?? 100),
  gracePeriod: Duration.toMillis(gracePeriod ?? 1000),
  ignore: ignore ?? (() => false)
})

const standard = makeBounds({})

const chosen = new WeakMap<RunnerTestFile, Bounds>()

/** @internal */
export const boundsOf = (file: RunnerTestFile): Bounds => chosen.get(file) ?? standard

/** @internal */
export const choose = (file: RunnerTestFile, bounds: Bounds): void => {
  chosen.set(file, bounds)
}
