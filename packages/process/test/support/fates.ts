/** What happens to a fake command, in more than one file of tests. */
import * as Effect from "effect/Effect"
import { Engine } from "../../src/index.ts"
import type { FakeJob } from "./fakeEngine.ts"

/** Neither the first signal nor SIGKILL ends it. */
export const unkillable = (job: FakeJob): Effect.Effect<void> =>
  Effect.sync(() => {
    job.onSignal = () => Effect.void
    job.diesOfKill = false
  })

/** Its program is not there. `stage` of a pipeline, counted from 0. */
export const notFound = (path: string, stage?: number): Engine.SpawnFailure =>
  new Engine.SpawnFailure({
    reason: "NotFound",
    stage: "exec",
    errno: "ENOENT",
    path,
    detail: "no such program",
    ...(stage === undefined ? {} : { index: stage })
  })
