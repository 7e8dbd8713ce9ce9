/** Scenarios 15 to 20: the owner dies, or is busy, or extends a deadline. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Command } from "effect-process"
import * as fixtures from "../support/fixtures.ts"
import * as observer from "../support/observer.ts"
import { gone, kill, ready, startReady } from "../support/owners.ts"
import { type Suite, timed, until, within } from "../support/scenario.ts"

const jobsOf = (token: string, ownerPid: number) =>
  observer.alive(token).filter(({ commandLine, pid }) => pid !== ownerPid && !commandLine.includes("watchdog"))

export const ownerScenarios = ({ bounds: { e, g, k }, scenario }: Suite): void => {
  scenario("15: kill -9 of the owner ends its jobs, those that ignore TERM too", (t) =>
    Effect.gen(function*() {
      const started = yield* startReady(t, "tree")
      yield* t.seeRunning("sleep 1001", "sleep 1002", "sleep 1003", "sleep 1004")
      const { atLeast, atMost } = yield* kill(started, t.token)
      assert.isAtLeast(atLeast, g - 50)
      within(atMost, g + e)
    }))

  scenario("16: only the jobs of the owner that died end", (t) =>
    Effect.gen(function*() {
      const first = yield* startReady(t, "one", `${t.token}-a`)
      const second = yield* startReady(t, "one", `${t.token}-b`)
      yield* t.seeAlive(4)
      process.kill(first.pid, "SIGKILL")
      within(yield* gone(`${t.token}-a`), g + e)
      assert.lengthOf(jobsOf(`${t.token}-b`, second.pid), 1)
      process.kill(second.pid, "SIGKILL")
      within(yield* gone(`${t.token}-b`), g + e)
    }))

  for (
    const [what, mode, act] of [
      ["process.exit", "exit", () => {}],
      ["an uncaught exception", "throw", () => {}],
      ["SIGTERM", "one", (pid: number) => process.kill(pid, "SIGTERM")],
      ["SIGHUP", "one", (pid: number) => process.kill(pid, "SIGHUP")]
    ] as const
  ) {
    scenario(`18: ${what} ends the owner and its jobs`, (t) =>
      Effect.gen(function*() {
        const started = yield* startReady(t, mode)
        if (mode === "one") yield* t.seeRunning("sleep 1001")
        act(started.pid)
        yield* until("the owner's end", () => started.hasExited() || undefined)
        within(yield* gone(t.token), g + e)
      }))
  }

  scenario("18: Ctrl-C in a terminal ends the owner and its jobs", (t) =>
    Effect.gen(function*() {
      // script(1) runs a command in a pseudo-terminal and hands it what it reads itself.
      const command = `exec "${process.execPath}" "${fixtures.script("owner")}" ${t.engine} one ${t.token}`
      const terminal = yield* fixtures.start("script", ["-qfec", command, "/dev/null"])
      yield* t.seeRunning("sleep 1001")
      yield* ready(terminal)
      terminal.write("\u0003")
      yield* until("the end of the terminal", () => terminal.hasExited() || undefined)
      within(yield* gone(t.token), g + e)
    }))

  scenario("19: a worker that is terminated takes its own processes and no others", (t) =>
    Effect.gen(function*() {
      const started = yield* startReady(t, "worker")
      yield* t.seeRunning("sleep 1001", "sleep 1005")
      started.write("go\n")
      yield* until("terminated", () => started.lines.includes("terminated") || undefined)
      const running = (words: string) => observer.alive(t.token).some(({ commandLine }) => commandLine === words)
      const [elapsed] = yield* timed(until("its process gone", () => !running("sleep 1001") || undefined))
      within(elapsed, g + k + e)
      assert.isTrue(running("sleep 1005"), "the other scope's process is gone")
      process.kill(started.pid, "SIGKILL")
      within(yield* gone(t.token), g + e)
    }))

  scenario(
    "a deadline that passes while the spawn is under way is a deadline like any other",
    (t) =>
      Effect.gen(function*() {
        for (let i = 0; i < 50; i++) {
          const command = t.mark(Command.make("sleep", "100")).pipe(Command.timeout(i % 5))
          assert.strictEqual((yield* Effect.flip(Command.run(command)))._tag, "TimedOut")
        }
      })
  )

  scenario("20: a deadline can be moved while the process runs, and then fires", (t) =>
    Effect.gen(function*() {
      // A third of it is slept at a time, and two thirds are for what holds us up.
      const step = 1_000 + e
      const [elapsed, error] = yield* timed(Effect.gen(function*() {
        const job = yield* Command.start(t.sh("exec sleep 100").pipe(Command.timeout(step)))
        for (let extended = 0; extended < 4; extended++) {
          yield* Effect.sleep(step / 3)
          assert.isTrue(yield* job.isRunning)
          yield* job.extendDeadline(step / 3)
        }
        return yield* Effect.flip(job.exit)
      }))
      assert.strictEqual(error._tag, "TimedOut")
      // Beyond the first deadline, and in time for it by two thirds of a step: the sleeps add up what they are late.
      const deadline = step + 4 * step / 3
      assert.isAtLeast(elapsed, deadline - 1)
      within(elapsed, deadline + e)
      yield* t.isEmpty
    }))

  scenario("20: a deadline can be taken away", (t) =>
    Effect.gen(function*() {
      const job = yield* Command.start(t.sh("exec sleep 100").pipe(Command.timeout(1_000)))
      yield* job.extendDeadline(Infinity)
      yield* Effect.sleep(1_500)
      assert.isTrue(yield* job.isRunning)
    }))

  scenario("a deadline that is never moved holds also for what a leader left behind", (t) =>
    Effect.gen(function*() {
      const job = yield* Command.start(t.sh("sleep 100 & exit 0").pipe(Command.timeout(1_000)))
      assert.deepInclude(yield* job.exit, { _tag: "Exited", code: 0 })
      const [elapsed] = yield* timed(job.empty)
      within(elapsed, 1_000 + e)
      assert.isTrue(Option.isNone(Option.fromNullable(observer.alive(t.token)[0])))
    }))
}
