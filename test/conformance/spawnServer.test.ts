import { NodeProcess } from "@effect-process/node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { Command, ProcessSpawner } from "effect-process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll } from "vitest"
import * as cgroups from "../support/cgroups.ts"
import * as engines from "../support/engines.ts"
import type { Subject } from "../support/scenario.ts"
import { descendants } from "./descendants.ts"
import { everyEngine } from "./everyEngine.ts"
import { pseudoTerminal } from "./pseudoTerminal.ts"
import { stageSettings } from "./stageSettings.ts"
import { terminal } from "./terminal.ts"

const subject: Subject = {
  name: "spawn-server",
  layer: engines.spawnServer,
  guarantees: {
    engine: "spawn-server",
    reach: "descendants",
    ownerDeath: "supervisor",
    deadline: "external",
    statuses: "exact",
    usage: "exact",
    backstop: cgroups.canMake() ? "cgroup" : "none"
  }
}

everyEngine(subject, {
  further: {
    "descendants": descendants,
    "settings of stages": stageSettings,
    "terminals": terminal,
    "pseudo-terminals": pseudoTerminal
  },
  trees: [descendants]
})

describe("42: a spawn server that does not start", () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "effect-process-"))
  afterAll(() => fs.rmSync(dir, { recursive: true }))
  const file = (name: string, content: Buffer | string, mode: number) => {
    fs.writeFileSync(path.join(dir, name), content, { mode })
    return path.join(dir, name)
  }
  const foreign = Buffer.from(fs.readFileSync(process.execPath).subarray(0, 4096))
  foreign.writeUInt16LE(process.arch === "x64" ? 183 : 62, 18)
  const cases = {
    "missing": path.join(dir, "absent"),
    "not executable": file("plain", "#!/bin/sh\n", 0o644),
    "of another architecture": file("foreign", foreign, 0o755),
    "another program": file("other", "#!/bin/sh\nexit 3\n", 0o755)
  }
  for (const [what, binary] of Object.entries(cases)) {
    it.live(
      `${what}: its layer fails, the best one falls back, says so once and tells the truth`,
      () =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(
            Effect.provide(ProcessSpawner, NodeProcess.layerSpawnServerWith({ binary }))
          )
          assert.deepInclude(error, { _tag: "EngineUnavailable", engine: "spawn-server" })
          const said: Array<string> = []
          const logger = Logger.replace(
            Logger.defaultLogger,
            Logger.make(({ message }) => {
              said.push(String(message))
            })
          )
          const engine = yield* Effect.gen(function*() {
            assert.strictEqual(yield* Command.string(Command.make("echo", "hi")), "hi\n")
            return (yield* ProcessSpawner).guarantees.engine
          }).pipe(Effect.provide(NodeProcess.layerWith({ binary })), Effect.provide(logger))
          assert.strictEqual(engine, "child-process")
          assert.lengthOf(said, 1)
          assert.include(said[0], "weaker")
        }),
      30_000
    )
  }

  it.live("the control: one that starts is the best one", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* ProcessSpawner).guarantees.engine, "spawn-server")
    }).pipe(Effect.provide(NodeProcess.layerWith({}))))
})
