/** Cassettes that are there: which recording answers a command, what is said of one that was not recorded, and when they are used. */
import { assert, describe, it } from "@effect/vitest"
import { Recorder, ScriptedSpawner } from "@effect-process/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import { Command, ProcessSpawner } from "effect-process"
import * as fs from "node:fs"
import * as path from "node:path"
import { vi } from "vitest"
import { cassetteIn, messageOf, none, sh } from "./support/cassettes.ts"

/** A cassette written by hand. */
const written = (interactions: ReadonlyArray<object>) =>
  Effect.tap(cassetteIn, (cassette) =>
    Effect.sync(() => {
      fs.mkdirSync(path.dirname(cassette), { recursive: true })
      fs.writeFileSync(cassette, JSON.stringify({ version: 1, interactions }))
    }))

describe("a replay", () => {
  it.scoped("gives the recordings of a command in their order, and each once", () =>
    Effect.gen(function*() {
      const date = (stdout: string) => ({ stages: [{ file: "date", args: [] }], events: [{ stdout }, { exit: 0 }] })
      const cassette = yield* written([
        date("one"),
        { stages: [{ file: "id", args: [] }], events: [{ exit: 0 }] },
        date("two")
      ])
      const program = Effect.gen(function*() {
        assert.deepStrictEqual(yield* Effect.replicateEffect(Command.string(Command.make("date")), 2), ["one", "two"])
        const { mode, unused, verify } = yield* Recorder.Recorder
        assert.strictEqual(mode, "replay")
        assert.deepStrictEqual(yield* unused, ["recording 2: id (in the owner's directory)"])
        assert.strictEqual((yield* Effect.flip(verify))._tag, "ScriptNotFollowed")
        yield* Command.run(Command.make("date"))
      })
      const exit = yield* Effect.exit(Effect.provide(program, Recorder.layer({ cassette })))
      assert.match(messageOf(exit), /recording 1 of 3 is for it and has answered once already/)
    }))

  it.scoped("explains a command that was not recorded by the nearest one", () =>
    Effect.gen(function*() {
      const cassette = yield* written([{
        stages: [{ file: "git", args: ["push", "--tags", "<redacted>"] }],
        events: [{ exit: 0 }]
      }])
      const push = Command.run(Command.make("git", "push", "--all", Redacted.make("s3cret")))
      const exit = yield* Effect.exit(Effect.provide(push, Recorder.layer({ cassette })))
      assert.strictEqual(
        messageOf(exit),
        `the cassette ${cassette} has no recording of the command

  git push --all <redacted>

nearest is recording 1 of 1:

  command    git push --all  <redacted>
  recording  git push --tags <redacted>
                      ^^^^^^

  - argument 2 is --all, the recording has --tags

Record the cassette anew with mode: "record", or mend the command.
`
      )
    }))

  it.scoped("explains another stdin", () =>
    Effect.gen(function*() {
      const cassette = yield* written([{
        stages: [{ file: "psql", args: [] }],
        events: [{ stdin: "drop a;" }, { stdinEnd: true }, { exit: 0 }]
      }])
      const psql = (input: string) =>
        Effect.exit(Effect.provide(
          Command.run(Command.make("psql").pipe(Command.feed(input))),
          Recorder.layer({ cassette })
        ))
      assert.isTrue(Exit.isSuccess(yield* psql("drop a;")))
      for (const input of ["drop b;", "drop", "drop a; drop b;"]) {
        assert.include(
          messageOf(yield* psql(input)),
          `recording 1 of 1 was given\n\n  "drop a;"\n\nand this was given\n\n  "${input}"`
        )
      }
    }))

  it.scoped("takes the recorded times on the test's clock when it is told to", () =>
    Effect.gen(function*() {
      const cassette = yield* written([{
        stages: [{ file: "build", args: [] }],
        events: [{ after: 1000, stdout: "a" }, { after: 60_000, exit: 0 }]
      }])
      const build = Command.string(Command.make("build"))
      assert.strictEqual(yield* Effect.provide(build, Recorder.layer({ cassette })), "a")
      const fiber = yield* Effect.fork(Effect.provide(build, Recorder.layer({ cassette, timing: "recorded" })))
      yield* TestClock.adjust("60 seconds")
      assert.isNull(fiber.unsafePoll())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), "a")
    }))
})

describe("which mode", () => {
  const build = (options: Recorder.Options) =>
    Effect.flip(Effect.scoped(Layer.build(Recorder.layerWith(none, options))))
  const inCI = (value: string) =>
    Effect.acquireRelease(Effect.sync(() => vi.stubEnv("CI", value)), () => Effect.sync(() => vi.unstubAllEnvs()))

  it.scopedLive("auto records what is not there and replays what is, and in CI only replays", () =>
    Effect.gen(function*() {
      const cassette = yield* cassetteIn
      const modes: Array<string> = []
      const run = Effect.gen(function*() {
        modes.push((yield* Recorder.Recorder).mode)
        return yield* Command.string(sh("echo $$"))
      }).pipe(Effect.provide(Recorder.layer({ cassette })))
      yield* inCI("true")
      const error = yield* Effect.flip(run)
      assert(error._tag === "CassetteError")
      assert.deepStrictEqual([error.reason, error.cassette], ["Missing", cassette])
      assert.include(error.message, "in CI nothing is recorded")
      yield* inCI("")
      const first = yield* run
      yield* inCI("true")
      assert.strictEqual(yield* run, first)
      assert.deepStrictEqual(modes, ["record", "replay"])
    }))

  it.scopedLive("replay needs a cassette, and one of this version", () =>
    Effect.gen(function*() {
      const cassette = yield* cassetteIn
      assert.strictEqual((yield* build({ cassette, mode: "replay" })).reason, "Missing")
      fs.mkdirSync(path.dirname(cassette), { recursive: true })
      const cases: ReadonlyArray<readonly [string, RegExp]> = [
        ["no json", /Invalid: it is no JSON/],
        ["{\"version\":2,\"interactions\":[]}", /it is of version 2, and this release reads version 1; update/],
        ["{\"version\":1,\"interactions\":[{\"stages\":[]}]}", /interactions\.0\.stages/],
        [
          "{\"version\":1,\"interactions\":[{\"stages\":[{\"file\":\"a\",\"args\":[]}],\"events\":[{\"exit\":300}]}]}",
          /interactions\.0\.events\.0/
        ]
      ]
      for (const [text, message] of cases) {
        fs.writeFileSync(cassette, text)
        const error = yield* build({ cassette })
        assert.strictEqual(error.reason, "Invalid")
        assert.match(error.message, message)
      }
      assert.strictEqual((yield* build({ cassette: path.dirname(cassette) })).reason, "Unusable")
    }))

  it.scopedLive("a spawner without an engine cannot be recorded", () =>
    Effect.gen(function*() {
      const cassette = yield* cassetteIn
      const foreign = Layer.map(ScriptedSpawner.layer([]), (context) => context).pipe(
        Layer.flatMap((context) => Layer.succeed(ProcessSpawner, { ...context.unsafeMap.get(ProcessSpawner.key) }))
      )
      const error = yield* Effect.flip(
        Effect.scoped(Layer.build(Recorder.layerWith(foreign, { cassette, mode: "record" })))
      )
      assert.strictEqual(error.reason, "NoEngine")
    }))
})
