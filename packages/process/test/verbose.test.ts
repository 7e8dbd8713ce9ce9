/** What `Command.verbose` prints: what a shell would. */
import { assert, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import { describe } from "vitest"
import { Command } from "../src/index.ts"
import { noUsage } from "../src/ProcessInfo.ts"
import * as Console from "./support/console.ts"
import * as FakeEngine from "./support/fakeEngine.ts"

const printedBy = (command: Command.Command, millis = 0) =>
  Effect.gen(function*() {
    const console = yield* Console.collect
    const engine = yield* FakeEngine.make({ program: (job) => Effect.delay(job.exit(1), `${millis} millis`) })
    engine.usage = { ...noUsage, userTime: Duration.millis(61_234.6), systemTime: Duration.millis(7) }
    const fiber = yield* Effect.fork(console.provide(engine.provide(Command.success(command))))
    yield* FakeEngine.settle
    const before = [...console.printed]
    yield* FakeEngine.adjust(millis)
    yield* Fiber.join(fiber)
    return { before, after: console.printed.slice(before.length) }
  })

describe("verbose", () => {
  it.effect("prints the command before it runs, and the times of bash when the job is over", () =>
    Effect.gen(function*() {
      const { after, before } = yield* printedBy(
        Command.make("grep", "two words", "it's").pipe(Command.verbose),
        3_599_999
      )
      assert.deepStrictEqual(before, ["+ grep 'two words' 'it'\\''s'"])
      assert.deepStrictEqual(after, ["\nreal\t59m59.999s\nuser\t1m1.235s\nsys\t0m0.007s"])
    }))

  it.effect("prints a line for each stage, with its directory and variables; redacted values are hidden", () =>
    Effect.gen(function*() {
      const login = Command.make("login", "--token", Redacted.make("s3cret")).pipe(
        Command.workingDirectory("/srv/my app"),
        Command.env({ KEY: Redacted.make("k3y"), LANG: "C", EMPTY: "", PAGER: undefined })
      )
      const sort = Command.make("sort").pipe(Command.env({ TMPDIR: "/x y" }, { extendEnv: false }))
      const { before } = yield* printedBy(login.pipe(Command.pipeTo(sort), Command.verbose))
      assert.deepStrictEqual(before[0]?.split("\n"), [
        "+ cd '/srv/my app'",
        "+ env -u PAGER KEY=<redacted> LANG=C EMPTY='' login --token <redacted>",
        "+ env -i TMPDIR='/x y' sort"
      ])
    }))

  it.effect("without it nothing is printed", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* printedBy(Command.make("x")), { before: [], after: [] })
    }))

  it.effect("prints the line of a command that does not start, without a time", () =>
    Effect.gen(function*() {
      const console = yield* Console.collect
      const engine = yield* FakeEngine.make()
      yield* Effect.ignore(console.provide(engine.provide(Command.run(Command.make("").pipe(Command.verbose)))))
      assert.deepStrictEqual(console.printed, ["+ ''"])
    }))
})
