/** Tests that start processes. Whatever a test has started is gone when it has ended; if something is not, the test fails and names it. */
import { expect, it } from "@effect-process/vitest"
import { Effect, Schema, Stream } from "effect"
import { Command } from "effect-process"
import { spawn } from "node:child_process"
import { once } from "node:events"

it.process("counts the lines of a file", () =>
  Effect.gen(function*() {
    const lines = yield* Command.lines(Command.make("wc", "-l").pipe(Command.feed("one\ntwo\n")))
    expect(lines.map(Number)).toEqual([2])
  }))

it.process("a job that never ends ends with its test", () =>
  Effect.gen(function*() {
    const clock = yield* Command.start(Command.shell`while :; do date; sleep 0.05; done`)
    const two = yield* clock.stdout.pipe(Stream.decodeText(), Stream.splitLines, Stream.take(2), Stream.runCollect)
    expect(two.length).toBe(2)
  }))

it.process.each([[1, 2, 3], [40, 2, 42]])("adds %i and %i", ([a = 0, b = 0, sum]) =>
  Effect.gen(function*() {
    expect(yield* Command.json(Command.make("expr", String(a), "+", String(b)), Schema.Number)).toBe(sum)
  }))

/** Code under test that knows nothing of Effect, and forgets the process that it started. */
const forgetful = async () => {
  const child = spawn("sleep", ["60"], { stdio: "ignore" })
  await once(child, "spawn")
}

// Without `fails` the report has the process, its age, and this file with the line of the spawn.
it.process.fails("finds what code under test has left", () => Effect.promise(forgetful))
