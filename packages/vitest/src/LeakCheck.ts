/**
 * Finds the processes that a file of ordinary tests leaves behind.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import { beforeAll, type RunnerTestFile, type RunnerTestSuite } from "vitest"
import { choose, makeBounds } from "./internal/bounds.ts"
import * as leaks from "./internal/leaks.ts"
import { prepare } from "./internal/prepare.ts"
import { leakError } from "./internal/renderLeaks.ts"
import type { LeakedProcess } from "./LeakedProcess.ts"

/**
 * - `settle`: the time for what is ending already when the tests have ended; 100 milliseconds when nothing is said
 * - `gracePeriod`: the time from `SIGTERM` to `SIGKILL` for what leaked; 1 second when nothing is said
 * - `ignore`: which processes are meant to stay, such as the daemon of a build tool
 *
 * @since 0.1.0
 * @category models
 */
export interface LeakCheckOptions {
  readonly settle?: Duration.DurationInput
  readonly gracePeriod?: Duration.DurationInput
  readonly ignore?: (process: LeakedProcess) => boolean
}

const fileOf = (suite: RunnerTestFile | RunnerTestSuite): RunnerTestFile => "filepath" in suite ? suite : suite.file

/**
 * Fails the file of tests that leaves a process behind, alive or as a zombie, however it was started; names all of them with their
 * command lines, ages and who started them, and ends them. To be called in a setup file of vitest, which runs before each file of tests;
 * `@effect-process/vitest/leak-check` is one that does just that:
 *
 *     // vitest.config.ts
 *     export default defineConfig({ test: { setupFiles: ["@effect-process/vitest/leak-check"] } })
 *
 * Everything counts that was not there when the setup file ran: what this worker has forked, what that has forked in turn, and
 * what carries the mark in its environment that all of these inherit (`EFFECT_PROCESS_TEST`). So a daemon is found too; one that was
 * started with an empty environment is not. What `afterAll` hooks and the cleanups of `beforeAll` hooks end in time is no leak. With
 * `sequence.hooks: "parallel"` the check runs beside the cleanups of `beforeAll`.
 *
 * The options hold for the checks of `it.process` in the same files as well. Needs Linux; on macOS daemons are not found, and nothing is in
 * the threads pool.
 *
 * @example
 * // test/setup.ts
 * import { leakCheck } from "@effect-process/vitest"
 *
 * leakCheck({ ignore: ({ commandLine }) => commandLine.includes("gpg-agent") })
 *
 * @since 0.1.0
 * @category leaks
 */
export const leakCheck = (options: LeakCheckOptions = {}): void => {
  prepare()
  const bounds = makeBounds(options)
  const baseline = leaks.begin(new Set())
  beforeAll((suite) => {
    const file = fileOf(suite)
    choose(file, bounds)
    // What a `beforeAll` hook returns runs after all `afterAll` hooks, and that of the first one last.
    return async () => {
      const found = await leaks.collect(baseline, bounds, true)
      if (found.length > 0) throw leakError(`the tests of ${file.name}`, found)
    }
  }, 0)
}
