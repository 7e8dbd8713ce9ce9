import { it } from "@effect/vitest"
import type { PipeWriter } from "@effect-process/spawn-server"
import { Effect } from "effect"
import { describe, expect } from "vitest"
import { RawInput } from "../../src/internal/rawPipes.ts"

/** Nothing fits, the rest is soon written, and the fiber gives way to the event loop before it waits for that. */
const write = (error?: NodeJS.ErrnoException) =>
  Effect.suspend(() => {
    let givesWay = false
    const writer = {
      write: (_: Uint8Array, done: (error?: NodeJS.ErrnoException) => void) => {
        process.nextTick(done, error)
        givesWay = true
        return false
      }
    }
    const scheduler = {
      shouldYield: () => {
        if (!givesWay) return false
        givesWay = false
        return 0
      },
      scheduleTask: (task: () => void) => void setTimeout(task, 0)
    }
    const input = new RawInput(writer as unknown as PipeWriter)
    return Effect.withScheduler(input.write(new Uint8Array(1)), scheduler)
  })

describe("an input", () => {
  it.live("a write that is done before its fiber waits for it is not waited for for ever", () =>
    Effect.gen(function*() {
      expect(yield* write()).toBe(true)
    }))

  it.live("nor is one that nobody reads", () =>
    Effect.gen(function*() {
      expect(yield* write(Object.assign(new Error(), { code: "EPIPE" }))).toBe(false)
      expect(yield* Effect.flip(write(Object.assign(new Error(), { code: "EIO" })))).toMatchObject({
        errno: "EIO"
      })
    }))
})
