/** The suite that is measured, in a vitest of its own: as many tests as it is told, of the kind that it is told. */
import { NodeProcess } from "@effect-process/node"
import { beforeAll, expect, it } from "@effect-process/vitest"
import { Effect, ManagedRuntime } from "effect"
import { Command } from "effect-process"
import * as fs from "node:fs"

const { BENCH_BODY: body, BENCH_COUNT: count, BENCH_RESULT: result = "", BENCH_TESTER: tester } = process.env

const echo = Effect.map(Command.string(Command.make("echo", "hi")), (text) => expect(text).toBe("hi\n"))

// The first hook: what it returns runs after everything else of the file.
beforeAll(() => {
  const began = performance.now()
  return () => fs.writeFileSync(result, String(performance.now() - began))
})

const names = Array.from({ length: Number(count) }, (_, i) => `test ${i}`)

if (tester === "process") {
  for (const name of names) it.process(name, () => body === "echo" ? echo : Effect.void)
} else if (body === "echo") {
  // What one would write without the harness: an engine for the file.
  const runtime = ManagedRuntime.make(NodeProcess.layer)
  beforeAll(() => () => runtime.dispose())
  for (const name of names) it.scopedLive(name, () => Effect.provide(echo, runtime))
} else {
  for (const name of names) it.scopedLive(name, () => Effect.void)
}
