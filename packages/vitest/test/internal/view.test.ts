/** Each way to look at the process table sees the same. */
import { assert, it } from "@effect-process/vitest"
import * as Effect from "effect/Effect"
import { Command } from "effect-process"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { lookAtFiles, lookAtRows, lookByPs, type View } from "../../src/internal/view.ts"

const ways: ReadonlyArray<readonly [string, () => View]> = [
  ["by the lists of children", lookAtFiles],
  ["by all rows of /proc", lookAtRows],
  ["by ps", lookByPs]
]

for (const [way, look] of ways) {
  it.process(`a child is seen ${way}`, () =>
    Effect.gen(function*() {
      const child = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const child = spawn("sh", ["-c", "sleep 60 & echo $!; wait"], {
            env: { ...process.env, VIEW: "some mark" },
            stdio: ["ignore", "pipe", "ignore"],
            detached: true
          })
          const [line] = await once(child.stdout, "data") as [Buffer]
          return { child, pid: child.pid ?? 0, below: Number(line) }
        }),
        ({ child, pid }) =>
          Effect.promise(() => {
            process.kill(-pid, "SIGKILL")
            return once(child, "exit")
          })
      )
      const view = look()
      assert.include(view.own, child.pid)
      assert.notInclude(view.own, child.below)
      assert.deepStrictEqual(view.childrenOf(child.pid), [child.below])
      assert.include(view.pids(), child.below)
      const row = view.row(child.below)
      assert(row !== undefined)
      assert.deepStrictEqual([row.ppid, row.pgid, row.sid], [child.pid, child.pid, child.pid])
      assert.isAbove(row.start, 0)
      assert.isUndefined(view.row(2 ** 30))
      if (look !== lookByPs) assert.isTrue(view.bears(child.below, "some mark"))
      assert.isFalse(view.bears(process.pid, "some mark"))
      // Whatever a spawner of ours started is below its server.
      const job = yield* Command.start(Command.make("sleep", "60"))
      assert.notInclude(look().own, job.pid)
    }))
}
