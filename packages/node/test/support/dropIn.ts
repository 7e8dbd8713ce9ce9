/** What the tests of the drop-in share: both engines, scripts, and what they printed. */
import { it } from "@effect/vitest"
import { NodeCommandExecutor, NodeProcess } from "@effect-process/node"
import * as Command from "@effect/platform/Command"
import type { CommandExecutor } from "@effect/platform/CommandExecutor"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type { EngineUnavailable, ProcessSpawner } from "effect-process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

export const script = (text: string, ...args: ReadonlyArray<string>) => Command.make("sh", "-c", text, "sh", ...args)

export const join = Sink.foldLeft(new Uint8Array(), (all: Uint8Array, next: Uint8Array) => Buffer.concat([all, next]))

export const textOf = <E, R>(stream: Stream.Stream<Uint8Array, E, R>) => Effect.map(Stream.run(stream, join), String)

export const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-process-executor-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

export const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => condition() ? Effect.void : Effect.zipRight(Effect.sleep(10), until(condition)))

export const engines: Readonly<Record<string, Layer.Layer<ProcessSpawner, EngineUnavailable>>> = {
  "spawn server": NodeProcess.layerSpawnServer,
  "node:child_process": NodeProcess.layerChildProcess
}

/** A test of the drop-in on an engine. */
export const tester = (spawner: Layer.Layer<ProcessSpawner, EngineUnavailable>) => {
  const layer = Layer.provideMerge(NodeCommandExecutor.layerSpawner, spawner)
  return (name: string, body: Effect.Effect<unknown, unknown, CommandExecutor | ProcessSpawner>): void =>
    it.scopedLive(name, () => Effect.provide(body, layer), 60_000)
}
