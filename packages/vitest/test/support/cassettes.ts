/** Where cassettes are, and what is recorded. */
import { assert } from "@effect/vitest"
import { ScriptedSpawner } from "@effect-process/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { Command, ProcessSpawner } from "effect-process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

export const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "cassettes-"))),
  (made) => Effect.sync(() => fs.rmSync(made, { recursive: true }))
)

export const cassetteIn = Effect.map(directory, (made) => path.join(made, "deep/er/cassette.json"))

export const none = Layer.effect(ProcessSpawner, Effect.die("a replay builds no spawner"))

export const sh = (script: string) => Command.make("sh", "-c", script)

/** What a replay says of a command that it has no recording of. */
export const messageOf = (exit: Exit.Exit<unknown, unknown>): string => {
  assert(Exit.isFailure(exit))
  const [defect] = Cause.defects(exit.cause)
  assert.instanceOf(defect, ScriptedSpawner.UnmatchedCommand)
  return defect.message
}
