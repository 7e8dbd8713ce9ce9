/** What a test of `it.process` finds around it. What happens when one fails or leaks is the subject of the meta-suite. */
import { expect, it } from "@effect-process/vitest"
import * as Effect from "effect/Effect"
import { Command } from "effect-process"

it.process("provides a spawner and a scope", () =>
  Effect.gen(function*() {
    const job = yield* Command.start(Command.make("sleep", "60"))
    expect(yield* job.isRunning).toBe(true)
    expect(yield* Command.string(Command.make("echo", "hi"))).toBe("hi\n")
  }))
