/** What is left when owner, server and supervisors, or owner and watchdog, are killed together, and how a later owner ends it. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Command, type Orphan, Orphans, ProcessTable } from "effect-process"
import { spawn } from "node:child_process"
import * as fixtures from "../support/fixtures.ts"
import * as observer from "../support/observer.ts"
import { gone, keepersOf, killTogether, startReady } from "../support/owners.ts"
import { type Suite, timed, until, within } from "../support/scenario.ts"

const of = (pid: number) => (orphan: Orphan): boolean => orphan.owner.pid === pid

const words = (orphans: ReadonlyArray<{ readonly commandLine: string }>) =>
  orphans.map(({ commandLine }) => commandLine).filter((line) => line.startsWith("sleep")).sort()

const left = ["sleep 1011", "sleep 1012", "sleep 1013", "sleep 1014", "sleep 1015"]

const isRunning = (commandLine: string, token: string) =>
  observer.alive(token).some((one) => one.commandLine === commandLine)

/** `sleep 1014` comes to be only when its parent goes on. */
const allStarted = (pid: number) =>
  Effect.repeat(ProcessTable.descendantsOf(pid), {
    until: (rows) => words(rows).length === 4 && rows.some(({ state }) => state === "T")
  })

export const orphans = ({ bounds: { e, g, k }, scenario }: Suite): void => {
  scenario(
    "owner and all that could act are killed together: reap finds and ends exactly what was left",
    (t) =>
      Effect.gen(function*() {
        const other = yield* startReady(t, "one", `${t.token}-other`)
        const byHand = yield* Effect.acquireRelease(
          Effect.sync(() => spawn("sleep", ["1021"])),
          (child) =>
            Effect.async<void>((resume) => {
              child.once("exit", () => resume(Effect.void))
              child.kill("SIGKILL")
            })
        )
        const own = yield* Command.start(t.mark(Command.make("sleep", "1022")))
        const owner = yield* startReady(t, "orphans")
        const below = yield* allStarted(owner.pid)
        yield* until("the other's job", () => isRunning("sleep 1001", `${t.token}-other`) || undefined)
        assert.deepStrictEqual(yield* Effect.map(Orphans.find, (all) => all.filter(of(owner.pid))), [])

        const keepers = keepersOf(owner.pid)
        assert.isAtLeast(keepers.length, 2)
        yield* killTogether(keepers)
        const survivors = below.map(({ pid }) => pid).filter((pid) => observer.isAlive(pid) && !keepers.includes(pid))
        const found = (yield* Orphans.find).filter(of(owner.pid))
        assert.deepStrictEqual(found.map(({ pid }) => pid), survivors.toSorted((a, b) => a - b))
        assert.deepStrictEqual(words(found), left.filter((one) => one !== "sleep 1014"))
        // What has lost its environment is known by its parent.
        assert.deepStrictEqual(
          found.filter(({ isMarked }) => !isMarked).map(({ commandLine }) => commandLine),
          ["sleep 1015"]
        )
        const [elapsed, ended] = yield* timed(Orphans.reap({ gracePeriod: g, only: of(owner.pid) }))
        within(elapsed, g + k + e)
        assert.isAtLeast(elapsed, g - 50)
        assert.includeMembers(ended.map(({ pid }) => pid), survivors)
        for (const { pid } of ended) assert.isFalse(observer.isAlive(pid), `${pid} lives`)
        assert.deepStrictEqual((yield* Orphans.find).filter(of(owner.pid)), [])
        assert.deepStrictEqual(yield* Orphans.reap({ only: of(owner.pid) }), [])

        assert.isTrue(observer.isAlive(byHand.pid ?? 0), "what a person started is gone")
        assert.isTrue(isRunning("sleep 1001", `${t.token}-other`), "another owner's job is gone")
        assert.isTrue(yield* own.isRunning)
        yield* own.terminate({ signal: "SIGKILL" })
        process.kill(other.pid, "SIGKILL")
        yield* gone(t.token)
      })
  )

  scenario("two owners reap at the same time: both succeed", (t) =>
    Effect.gen(function*() {
      const owner = yield* startReady(t, "orphans")
      yield* allStarted(owner.pid)
      yield* killTogether(keepersOf(owner.pid))
      const reap = Orphans.reap({ gracePeriod: g, only: of(owner.pid) })
      const another = fixtures.script("reaper")
      const reaper = yield* fixtures.start(process.execPath, [another, t.engine, String(owner.pid), String(g)])
      const here = yield* Effect.fork(reap)
      yield* Effect.all([reap, reap], { concurrency: "unbounded" })
      yield* Fiber.join(here)
      yield* until("the other owner's end", () => reaper.status())
      assert.deepStrictEqual(reaper.status(), { code: 0, signal: null })
      assert.match(reaper.lines.join(), /^reaped \d+$/)
      assert.deepStrictEqual(observer.alive(t.token), [])
    }))

  scenario(
    "what ends politely is not waited for longer, and what forks meanwhile ends too",
    (t) =>
      Effect.gen(function*() {
        const owner = yield* startReady(t, "forking")
        yield* t.seeRunning("sleep 1031")
        yield* killTogether(keepersOf(owner.pid))
        const before = yield* t.seeAlive(2)
        const [elapsed, ended] = yield* timed(Orphans.reap({ gracePeriod: "30 seconds", only: of(owner.pid) }))
        within(elapsed, 5_000)
        // It is there only once its parent has been told to end.
        const later = ended.filter(({ pid }) => !before.some((seen) => seen.pid === pid))
        assert.isAtLeast(later.length, 1)
        assert.deepStrictEqual(observer.alive(t.token), [])
      })
  )

  scenario("while a supervisor or a watchdog lives, its jobs are not orphans", (t) =>
    Effect.gen(function*() {
      const owner = yield* startReady(t, "tree")
      yield* t.seeRunning("sleep 1003", "sleep 1004")
      process.kill(owner.pid, "SIGKILL")
      yield* until("the owner's end", () => !observer.isAlive(owner.pid) || undefined)
      const found = yield* Orphans.find
      // One ignores TERM, so that there are some for a whole grace period.
      assert.isTrue(isRunning("sleep 1003", t.token))
      assert.deepStrictEqual(found.filter(of(owner.pid)), [])
      yield* gone(t.token)
    }))
}
