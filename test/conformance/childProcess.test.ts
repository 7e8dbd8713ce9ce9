import { NodeProcess } from "@effect-process/node"
import type { Subject } from "../support/scenario.ts"
import { everyEngine } from "./everyEngine.ts"
import { unsupportedSettings } from "./stageSettings.ts"

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

everyEngine(subject, { further: { "settings of stages": unsupportedSettings } })
