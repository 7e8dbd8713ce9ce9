import { NodeProcess } from "@effect-process/node"
import { describe } from "@effect/vitest"
import { spawn } from "node:child_process"
import { afterAll, beforeAll } from "vitest"
import { bounds, type Subject, suite } from "../support/scenario.ts"
import { hygiene } from "./hygiene.ts"
import { operators } from "./operators.ts"
import { ownerScenarios } from "./owner.ts"
import { pipelineBytes } from "./pipelineBytes.ts"
import { pipelines } from "./pipelines.ts"
import { redirections } from "./redirections.ts"
import { sinks } from "./sinks.ts"
import { spawnErrors } from "./spawnErrors.ts"
import { unsupportedSettings } from "./stageSettings.ts"
import { streams } from "./streams.ts"
import { tree } from "./tree.ts"

const subject: Subject = {
  name: "child-process",
  layer: NodeProcess.layerChildProcess,
  guarantees: {
    engine: "child-process",
    reach: "group",
    ownerDeath: "watchdog",
    deadline: "event-loop",
    statuses: "node",
    usage: "sampled",
    backstop: "none"
  }
}

describe("tree", () => tree(suite(subject)))
describe("owner", () => ownerScenarios(suite(subject)))
describe("streams", () => streams(suite(subject)))
describe("pipelines", () => pipelines(suite(subject)))
describe("bytes of pipelines", () => pipelineBytes(suite(subject)))
describe("settings of stages", () => unsupportedSettings(suite(subject)))
describe("redirections", () => redirections(suite(subject)))
describe("Sinks", () => sinks(suite(subject)))
describe("through and sink", () => operators(suite(subject)))
describe("spawn errors and statuses", () => spawnErrors(suite(subject)))
describe("hygiene and load", () => hygiene(suite(subject)))

describe("40: tree, on a busy machine", () => {
  const busy: Array<ReturnType<typeof spawn>> = []
  beforeAll(() => {
    for (let core = 0; core < 2; core++) busy.push(spawn("sh", ["-c", "while :; do :; done"], { stdio: "ignore" }))
  })
  afterAll(() => {
    for (const child of busy) child.kill("SIGKILL")
  })
  tree(suite(subject, { ...bounds, e: 1_500 }))
})
