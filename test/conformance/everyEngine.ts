/** What every engine is put to, and beside it what only some promise. */
import { describe } from "@effect/vitest"
import { spawn } from "node:child_process"
import { afterAll, beforeAll } from "vitest"
import { bounds, type Subject, type Suite, suite } from "../support/scenario.ts"
import { hostileChildren } from "./hostile.ts"
import { hygiene } from "./hygiene.ts"
import { operators } from "./operators.ts"
import { orphans } from "./orphans.ts"
import { ownerScenarios } from "./owner.ts"
import { pipelineBytes } from "./pipelineBytes.ts"
import { pipelines } from "./pipelines.ts"
import { readiness } from "./readiness.ts"
import { redirections } from "./redirections.ts"
import { sinks } from "./sinks.ts"
import { spawnErrors } from "./spawnErrors.ts"
import { streams } from "./streams.ts"
import { tree } from "./tree.ts"

type Scenarios = (suite: Suite) => void

const scenarios: Readonly<Record<string, Scenarios>> = {
  // First: a fork by Node takes the longer the more memory its program has come to hold, and none forks more than this.
  "hygiene and load": hygiene,
  "tree": tree,
  "owner": ownerScenarios,
  "orphans": orphans,
  "streams": streams,
  "pipelines": pipelines,
  "bytes of pipelines": pipelineBytes,
  "redirections": redirections,
  "Sinks": sinks,
  "through and sink": operators,
  "readiness": readiness,
  "spawn errors and statuses": spawnErrors,
  "a hostile child": hostileChildren
}

/** `further` are the engine's own; those in `trees` are held on a busy machine as well. */
export const everyEngine = (
  subject: Subject,
  { further, trees = [] }: {
    readonly further: Readonly<Record<string, Scenarios>>
    readonly trees?: ReadonlyArray<Scenarios>
  }
): void => {
  for (const [name, run] of Object.entries({ ...scenarios, ...further })) describe(name, () => run(suite(subject)))

  describe("40: tree, on a busy machine", () => {
    const busy: Array<ReturnType<typeof spawn>> = []
    beforeAll(() => {
      for (let core = 0; core < 2; core++) busy.push(spawn("sh", ["-c", "while :; do :; done"], { stdio: "ignore" }))
    })
    afterAll(() => {
      for (const child of busy) child.kill("SIGKILL")
    })
    for (const run of [tree, ...trees]) run(suite(subject, { ...bounds, e: 1_500 }))
  })
}
