import { assert, it } from "@effect/vitest"
import { command, SpawnServer } from "@effect-process/spawn-server"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { SpawnServerLost } from "effect-process"
import type { StageExit } from "effect-process/Engine"
import { exited } from "effect-process/ExitStatus"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { make } from "../src/internal/spawnServerJob.ts"

const server = Effect.acquireRelease(
  Effect.promise(() => SpawnServer.start()),
  (self) => Effect.promise(() => self.close())
)

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-process-late-"))),
  (self) => Effect.sync(() => fs.rmSync(self, { recursive: true }))
)

it.scopedLive("38: a command that hangs before its exec and then fails has exited with 127, and it is said why", () =>
  Effect.gen(function*() {
    const fifo = path.join(yield* directory, "fifo")
    assert.strictEqual(spawnSync("mkfifo", [fifo]).status, 0)
    const client = yield* server
    const request = command("/nonexistent/program", [], {
      stdin: { path: fifo, mode: "read" },
      stdout: "ignore",
      stderr: "ignore"
    })
    const started = yield* Effect.promise(() => client.spawn(request))
    assert.isTrue(started.pending)
    const said: Array<string> = []
    const job = make(started, Clock.make(), {
      onLateFailure: (message) => said.push(message),
      onStopped: () => assert.fail("nobody stops it")
    })
    const exits = yield* Deferred.make<ReadonlyArray<StageExit>, SpawnServerLost>()
    const empty = yield* Deferred.make<void, SpawnServerLost>()
    job.observe({
      exited: (exit) => Deferred.unsafeDone(exits, exit),
      emptied: (exit) => Deferred.unsafeDone(empty, exit),
      deadlinePassed: () => assert.fail("it has no deadline")
    })
    // The other end of its stdin: from here on it comes to its exec.
    fs.closeSync(fs.openSync(fifo, "w"))
    const [stage] = yield* Deferred.await(exits)
    assert.deepStrictEqual(stage?.exit, exited(127))
    yield* Deferred.await(empty)
    assert.deepStrictEqual(said, ["exec ENOENT: /nonexistent/program"])
  }))
