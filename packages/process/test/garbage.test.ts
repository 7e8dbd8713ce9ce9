/** What is left of a run when it is over: nothing that only a full collection would free. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as v8 from "node:v8"
import * as vm from "node:vm"
import type * as Engine from "../src/Engine.ts"
import { Command, ExitStatus } from "../src/index.ts"
import { dryRun } from "../src/internal/dryRun.ts"
import { noUsage } from "../src/ProcessInfo.ts"
import * as ProcessSpawner from "../src/ProcessSpawner.ts"

v8.setFlagsFromString("--expose-gc")
const gc = vm.runInNewContext("gc") as (options: { readonly type: "major" | "minor" }) => void

const turn = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))

/** As often as it takes to bring what lives into old space: what is left of the young is what somebody refers to. */
const collectYoung: Effect.Effect<void> = Effect.gen(function*() {
  for (let i = 0; i < 3; i++) {
    gc({ type: "minor" })
    yield* turn
  }
})

const mebibytes = () => process.memoryUsage().arrayBuffers / 1024 / 1024

/**
 * Prints 64 KiB on each output and exits a turn later. The engine of other tests refers to its jobs from Effects, which is what this one
 * looks for.
 */
const printing = (code: number): Layer.Layer<ProcessSpawner.ProcessSpawner> => {
  const output = (): Engine.OutputPipe => {
    let left: Uint8Array | null = new Uint8Array(65536)
    return {
      poll: () => {
        const bytes = left
        left = null
        return bytes
      },
      listen: (listener) => listener?.(),
      holdsData: () => left !== null,
      cut: () => undefined,
      close: () => undefined
    }
  }
  const observe: Engine.EngineJob["observe"] = ({ emptied, exited }) => {
    setImmediate(() => {
      exited(Exit.succeed([{ pid: 4242, exit: ExitStatus.exited(code), usage: noUsage, order: 0 }]))
      emptied(Exit.void)
    })
  }
  return Layer.sync(ProcessSpawner.ProcessSpawner, () =>
    ProcessSpawner.fromEngine({
      ...dryRun,
      spawn: (request) => Effect.map(dryRun.spawn(request), (job) => ({ ...job, output, observe }))
    }))
}

const command = Command.make("a")

const runs: Readonly<Record<string, Effect.Effect<unknown, unknown, ProcessSpawner.ProcessSpawner>>> = {
  string: Command.string(command),
  run: Command.run(command),
  exitCode: Command.exitCode(command),
  failing: Effect.flip(Command.run(command))
}

for (const [name, run] of Object.entries(runs)) {
  it.live(`what a run leaves goes with a collection of the young: ${name}`, () =>
    Effect.gen(function*() {
      const some = Effect.zipRight(Effect.repeatN(run, 63), collectYoung)
      yield* some
      // What is dead in old space, of other files' tests too, would keep the young that it refers to.
      gc({ type: "major" })
      yield* turn
      const before = mebibytes()
      yield* some
      // What a collection found is freed by a thread beside us, which may be held up, and is counted then.
      for (let turns = 0; turns < 200 && mebibytes() - before >= 1; turns++) yield* turn
      // Of 8 MiB. One function in old space that refers to the job would keep all of it until a full collection.
      assert.isBelow(mebibytes() - before, 1)
    }).pipe(Effect.provide(printing(name === "failing" ? 3 : 0))))
}
