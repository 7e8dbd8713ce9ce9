/** What a test of `it.process` finds around it. What happens when one fails or leaks is the subject of the meta-suite. */
import { assert, describe, expect, it, layer } from "@effect-process/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Command, type Process, ProcessSpawner } from "effect-process"
import * as fs from "node:fs"

const parentOf = (pid: number): number =>
  Number(fs.readFileSync(`/proc/${pid}/stat`, "latin1").replace(/^.*\) /, "").split(" ")[1])

let servers: ReadonlyArray<number> = []

describe("it.process", () => {
  it.process("provides a spawner and a scope", () =>
    Effect.gen(function*() {
      const job = yield* Command.start(Command.make("sleep", "60"))
      expect(yield* job.isRunning).toBe(true)
      expect(yield* Command.string(Command.make("echo", "hi"))).toBe("hi\n")
    }))

  it.process("runs on the real clock", () =>
    Effect.gen(function*() {
      const before = Date.now()
      assert.isAtLeast(yield* Clock.currentTimeMillis, before)
      yield* Effect.sleep(20)
      assert.isAtLeast(Date.now() - before, 19)
    }))

  it.process("gives its commands the environment, with the mark of the worker", () =>
    Effect.gen(function*() {
      const mark = process.env["EFFECT_PROCESS_TEST"] ?? ""
      assert.isNotEmpty(mark)
      expect(yield* Command.string(Command.make("printenv", "EFFECT_PROCESS_TEST"))).toBe(`${mark}\n`)
    }))

  for (const time of ["first", "second"]) {
    it.process.runIf(process.platform === "linux")(
      `shares its server among the tests of a file: ${time}`,
      () =>
        Effect.gen(function*() {
          if ((yield* ProcessSpawner).guarantees.engine !== "spawn-server") return
          const job = yield* Command.start(Command.make("sleep", "60"))
          servers = [...servers, parentOf(parentOf(job.pid))]
          expect(new Set(servers).size).toBe(1)
        })
    )
  }

  it.process("a test may bring a spawner of its own", () =>
    Effect.gen(function*() {
      const { connect } = yield* ProcessSpawner
      expect(yield* connect(1, "example.invalid")).toBe(true)
    }).pipe(Effect.provide(Layer.map(Layer.context<ProcessSpawner>(), (context) =>
      Context.add(context, ProcessSpawner, {
        ...Context.get(context, ProcessSpawner),
        connect: () => Effect.succeed(true)
      })))))
})

class Job extends Context.Tag("Job")<Job, Process.Process>() {
  static readonly layer = Layer.scoped(Job, Command.start(Command.make("sleep", "60")))
}

let pid = 0

layer(Job.layer)("layer", (it) => {
  for (const time of ["first", "second"]) {
    it.process(`is shared among its tests: ${time}`, () =>
      Effect.gen(function*() {
        const job = yield* Job
        expect(yield* job.isRunning).toBe(true)
        expect(job.pid).toBe(pid = pid === 0 ? job.pid : pid)
      }))
  }
})

it.process("is released after them", () => Effect.sync(() => expect(fs.existsSync(`/proc/${pid}`)).toBe(false)))
