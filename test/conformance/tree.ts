/** Scenarios 1 to 14: what is below a leader, and how it ends. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Command } from "effect-process"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as fixtures from "../support/fixtures.ts"
import * as observer from "../support/observer.ts"
import { gone } from "../support/owners.ts"
import { type Scenario, type Suite, timed, until, untilRunning, within } from "../support/scenario.ts"

export const tree = ({ bounds: { d, e, g, k }, scenario }: Suite): void => {
  scenario("1: a tree that obeys is gone at once, without waiting out the grace period", (t) =>
    Effect.gen(function*() {
      within(yield* t.interrupt(t.sh("sleep 100 & exec sleep 100"), t.seeAlive(2)), e)
    }))

  scenario(
    "2: a member that ignores TERM is killed after the grace period, and the exit stays the leader's",
    (t) =>
      Effect.gen(function*() {
        const process = yield* Command.start(t.sh("(trap '' TERM; exec sleep 101) & exec sleep 100"))
        // The subshell has set its trap before it became a sleep.
        yield* t.seeRunning("sleep 100", "sleep 101")
        const [elapsed, exit] = yield* timed(process.terminate())
        assert.deepInclude(exit, { _tag: "Killed", signal: "SIGTERM" })
        assert.isAtLeast(elapsed, g)
        within(elapsed, g + e)
        yield* t.isEmpty
      })
  )

  scenario("3: a leader that ignores TERM is killed when the grace period ends", (t) =>
    Effect.gen(function*() {
      const process = yield* Command.start(t.sh("trap '' TERM; echo; while :; do sleep 1; done"))
      yield* t.seeAlive(2)
      const [elapsed, exit] = yield* timed(process.terminate())
      assert.deepInclude(exit, { _tag: "Killed", signal: "SIGKILL" })
      assert.isAtLeast(elapsed, g)
      within(elapsed, g + e)
    }))

  scenario("6: what a leader leaves running when it exits with 0 is listed, and ended", (t) =>
    Effect.gen(function*() {
      const result = yield* Command.run(t.sh(`nohup sleep 100 >/dev/null 2>&1 & ${untilRunning("sleep 100")}; exit 0`))
      assert.deepInclude(result.exit, { _tag: "Exited", code: 0 })
      assert.deepStrictEqual(result.leaked.map(({ commandLine }) => commandLine), ["sleep 100"])
      yield* t.isEmpty
    }))

  scenario("a process whose main thread has exited lives: it is listed, and ended", (t) =>
    Effect.gen(function*() {
      const threads = fixtures.program("threads")
      const result = yield* Command.run(t.sh(`"$1" "$0" & while ! grep -q ' Z ' /proc/$!/stat; do :; done`, threads))
      assert.deepInclude(result.exit, { _tag: "Exited", code: 0 })
      assert.lengthOf(result.leaked, 1)
      yield* t.isEmpty
    }))

  scenario("8: a tree of 31 processes is gone at once", (t) =>
    Effect.gen(function*() {
      const script = "t() { if [ $1 -gt 0 ]; then t $(($1 - 1)) & t $(($1 - 1)) & fi; exec sleep 100; }; t 4"
      within(yield* t.interrupt(t.sh(script), t.seeAlive(31)), e)
    }))

  if (fixtures.isOpenToOthers(64_123)) {
    const bomb = (t: Scenario) =>
      t.mark(Command.make(fixtures.program("bomb"), t.token)).pipe(
        // The limit of processes holds for users other than root.
        Command.user({ uid: 64_123, gid: 64_123 })
      )

    scenario("9: a fork bomb within the group is over right after SIGKILL", (t) =>
      Effect.gen(function*() {
        const job = yield* Command.start(bomb(t))
        yield* t.seeAlive(50)
        const [elapsed] = yield* timed(job.terminate({ signal: "SIGKILL" }))
        within(elapsed, 100 + e)
        yield* t.isEmpty
      }))

    scenario("9: a fork bomb that ignores TERM is over within the bound of a release", (t) =>
      Effect.gen(function*() {
        const elapsed = yield* t.interrupt(bomb(t), t.seeAlive(50))
        assert.isAtLeast(elapsed, g)
        within(elapsed, g + k + e)
      }))

    scenario(
      "13: what belongs to another user and cannot be killed is reported within the bound",
      (t) =>
        Effect.gen(function*() {
          const folder = yield* fixtures.temporaryDirectory
          const stubborn = path.join(folder, "stubborn")
          fs.copyFileSync(fixtures.program("stubborn"), stubborn)
          fs.chmodSync(folder, 0o755)
          fs.chmodSync(stubborn, 0o4755)
          const owner = yield* fixtures.start(process.execPath, [
            fixtures.script("owner"),
            t.engine,
            "stubborn",
            t.token
          ], {
            uid: 64_123,
            gid: 64_123,
            env: { PATH: process.env["PATH"], STUBBORN: stubborn }
          })
          yield* t.seeRunning(stubborn)
          const report = yield* until("the owner's report", () =>
            owner.lines.find((line) => /^(Unkillable|ended) /.test(line)))
          assert.match(report, /^Unkillable /)
          within(Number(report.split(" ")[1]), 300 + k + e)
          for (const { commandLine, pid } of observer.alive(t.token)) {
            if (commandLine.startsWith(stubborn)) {
              observer.kill(pid, "SIGKILL")
            }
          }
          yield* gone(t.token)
          yield* until("the owner's end", () =>
            owner.hasExited() || undefined)
        })
    )
  }

  scenario(
    "10: a leader killed from outside leaves a grandchild, which the handle shows and the scope ends",
    (t) =>
      Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const job = yield* Command.start(t.sh("sh -c 'sleep 100; :' sub; :"))
          yield* t.seeRunning("sh -c sleep 100; : sub", "sleep 100")
          process.kill(job.pid, "SIGKILL")
          const [elapsed, exit] = yield* timed(job.exit)
          assert.deepInclude(exit, { _tag: "Killed", signal: "SIGKILL" })
          within(elapsed, e)
          const left = yield* job.descendants
          assert.deepStrictEqual(left.map(({ commandLine }) => commandLine).sort(), [
            "sh -c sleep 100; : sub",
            "sleep 100"
          ])
          assert.isTrue(left.every(({ pgid, state }) => pgid === job.processGroupId && "RSD".includes(state)))
          assert.isFalse(yield* job.isRunning)
        }))
        yield* t.isEmpty
      })
  )

  scenario("11: a stopped process dies of TERM", (t) =>
    Effect.gen(function*() {
      const job = yield* Command.start(t.sh("kill -STOP $$; sleep 100"))
      yield* until("stopped", () => observer.isStopped(job.pid) || undefined)
      const [elapsed, exit] = yield* timed(job.terminate())
      assert.deepInclude(exit, { _tag: "Killed", signal: "SIGTERM" })
      within(elapsed, e)
    }))

  scenario("12: a child that kills its own group does not reach the owner", (t) =>
    Effect.gen(function*() {
      const result = yield* Command.run(Command.acceptExitCodes(t.sh("sleep 100 & kill -KILL 0"), "any"))
      assert.deepInclude(result.exit, { _tag: "Killed", signal: "SIGKILL" })
      yield* t.isEmpty
    }))

  scenario("14: a process that the owner started otherwise lives through all of it", (t) =>
    Effect.gen(function*() {
      const sibling = yield* Effect.acquireRelease(
        Effect.sync(() => spawn("sleep", ["100"], { stdio: "ignore" })),
        (child) =>
          Effect.async<void>((resume) => {
            child.once("exit", () => resume(Effect.void))
            child.kill("SIGKILL")
          })
      )
      const pid = sibling.pid ?? 0
      yield* t.interrupt(t.sh("trap '' TERM; sleep 100 & sleep 100"), t.seeAlive(3))
      yield* Effect.either(Command.run(t.sh("kill -TERM 0; sleep 100")))
      assert.isTrue(observer.isAlive(pid), "the sibling was killed")
    }))

  scenario("a shell with a timeout gives its output so far and leaves nothing", (t) =>
    Effect.gen(function*() {
      const [elapsed, error] = yield* timed(Effect.flip(
        Command.run(t.sh("echo begun; sleep 100; echo hello").pipe(Command.timeout(1_000)))
      ))
      assert.deepInclude(error, { _tag: "TimedOut", stdoutTail: "begun\n" })
      assert.isAtLeast(elapsed, 1_000)
      within(elapsed, 1_000 + d + e)
      yield* t.isEmpty
    }))

  scenario("concurrent terminations, the closing scope among them, are one", (t) =>
    Effect.gen(function*() {
      yield* Effect.scoped(Effect.gen(function*() {
        const job = yield* Command.start(t.sh("trap 'echo TERM' TERM; while :; do sleep 0.01; done"))
        const exit = yield* Effect.fork(job.exit)
        // With a sleep among them the trap is set.
        yield* t.seeRunning("sleep")
        const exits = yield* Effect.all([job.terminate(), job.terminate(), job.terminate()], {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(new Set([...exits, yield* Fiber.join(exit)].map(String)), new Set(["SIGKILL"]))
      }))
      yield* t.isEmpty
    }))

  scenario("scopes end their jobs last started first, and in parallel when told so", (t) =>
    Effect.gen(function*() {
      const stubborn = t.sh("trap '' TERM; while :; do sleep 1; done")
      const three = Effect.zipRight(Effect.replicateEffect(Command.start(stubborn), 3), t.seeAlive(6))
      const toEnd = Effect.map(three, () => performance.now())
      const inTurn = yield* Effect.map(Effect.scoped(toEnd), (began) => performance.now() - began)
      assert.isAtLeast(inTurn, 3 * g)
      const parallel = yield* Effect.map(
        Effect.scoped(Effect.parallelFinalizers(toEnd)),
        (began) => performance.now() - began
      )
      assert.isBelow(parallel, inTurn)
      yield* t.isEmpty
    }))
}
