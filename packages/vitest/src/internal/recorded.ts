/** A spawner that tells who ran what. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Process } from "effect-process/Process"
import type { ProcessSpawner } from "effect-process/ProcessSpawner"
import * as clock from "./clock.ts"
import { remember } from "./origins.ts"

/** Asked only when something has leaked; an engine that does not answer must not hold up the report. */
const below = (process: Process<unknown>): Promise<ReadonlyMap<number, string>> =>
  process.descendants.pipe(
    Effect.timeout("500 millis"),
    Effect.map((rows) => new Map(rows.map(({ commandLine, pid }) => [pid, commandLine]))),
    Effect.catchAllCause(() => Effect.succeed(new Map<number, string>())),
    Effect.runPromise
  )

/**
 * A spawner whose commands are remembered, with the test that ran them.
 *
 * @internal
 */
export const recorded = (
  spawner: Context.Tag.Service<ProcessSpawner>,
  test: string
): Context.Tag.Service<ProcessSpawner> => ({
  ...spawner,
  spawn: (command) =>
    Effect.tap(spawner.spawn(command), (process) =>
      Effect.sync(() => {
        const text = String(command)
        remember({ pid: process.pid, at: clock.now(), command: { text, test, below: () => below(process) } })
      }))
})
