/** What only engines that reach every descendant promise: escapees, daemons, bombs, lost supervisors, exact statuses. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Command, type Signal } from "effect-process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as fixtures from "../support/fixtures.ts"
import * as observer from "../support/observer.ts"
import { gone, kill, start } from "../support/owners.ts"
import { type Suite, timed, until, untilRunning, within } from "../support/scenario.ts"

/** The supervisor of a job and the server, its parent. */
const above = (pid: number) => {
  const supervisor = observer.see(pid)?.ppid ?? 0
  return { supervisor, server: observer.see(supervisor)?.ppid ?? 0 }
}

export const descendants = ({ bounds: { e, g, k }, scenario, subject }: Suite): void => {
  const { guarantees } = subject
  if (guarantees.reach !== "descendants") return

  scenario("4: an escapee ends with the scope", (t) =>
    Effect.gen(function*() {
      within(yield* t.interrupt(t.sh("(setsid sleep 101 &); sleep 100"), t.seeRunning("sleep 100", "sleep 101")), g + e)
    }))

  scenario("5: an escapee of a leader that exited with 0 is listed, and ended", (t) =>
    Effect.gen(function*() {
      const job = t.sh(`setsid sleep 100 >/dev/null 2>&1 & ${untilRunning("sleep 100")}; exit 0`)
      const result = yield* Command.run(job)
      assert.deepInclude(result.exit, { _tag: "Exited", code: 0 })
      assert.deepStrictEqual(result.leaked.map(({ commandLine }) => commandLine), ["sleep 100"])
      yield* t.isEmpty
    }))

  scenario(
    "7: a daemon that has left group, session, descriptors and environment is listed, and ended",
    (t) =>
      Effect.gen(function*() {
        const daemon = fixtures.program("daemon")
        const result = yield* Command.run(t.mark(Command.make(daemon, t.token)))
        assert.deepInclude(result.exit, { _tag: "Exited", code: 0 })
        assert.lengthOf(result.leaked, 1)
        const [left] = result.leaked
        assert.notStrictEqual(left?.sid, left?.ppid)
        assert.isFalse(observer.isAlive(left?.pid ?? 0))
        yield* t.isEmpty
      })
  )

  if (process.getuid?.() === 0) {
    scenario("9: a fork bomb whose children leave the group is over within the bound", (t) =>
      Effect.gen(function*() {
        const bomb = t.mark(Command.make(fixtures.program("bomb"), t.token, "setsid")).pipe(
          Command.user({ uid: 64_124, gid: 64_124 })
        )
        const job = yield* Command.start(bomb)
        yield* t.seeAlive(50)
        const [elapsed] = yield* timed(job.terminate({ signal: "SIGKILL" }))
        within(elapsed, 500 + e)
        yield* t.isEmpty
      }))
  }

  scenario(
    "12: a child that kills its supervisor ends, the owner is told, and the next spawn works",
    (t) =>
      Effect.gen(function*() {
        const job = yield* Command.start(t.sh("read line; kill -KILL $PPID; sleep 100"))
        yield* t.seeAlive(1)
        observer.kill(above(job.pid).supervisor, "SIGKILL")
        const [elapsed, error] = yield* timed(Effect.flip(job.exit))
        assert.strictEqual(error._tag, "SpawnServerLost")
        within(elapsed, e)
        within(yield* gone(t.token), e)
        const [, own] = yield* timed(Effect.flip(Command.run(t.sh("kill -KILL $PPID; sleep 100"))))
        assert.strictEqual(own._tag, "SpawnServerLost")
        yield* t.isEmpty
        assert.strictEqual(yield* Command.string(t.sh("echo again")), "again\n")
      })
  )

  scenario("12: a supervisor that is stopped does not stop the deadline", (t) =>
    Effect.gen(function*() {
      const [elapsed, exit] = yield* timed(Effect.exit(
        Command.run(t.sh("kill -STOP $PPID; sleep 100").pipe(Command.timeout(500)))
      ))
      assert.strictEqual(exit._tag, "Failure")
      assert.isAtLeast(elapsed, 499)
      within(elapsed, 500 + k + e)
      yield* t.isEmpty
    }))

  scenario(
    "12: a server that is killed takes fifty stubborn jobs with it in one grace period",
    (t) =>
      Effect.gen(function*() {
        const jobs = yield* Effect.replicateEffect(
          Command.start(t.sh("trap '' TERM; echo; while :; do sleep 1; done")),
          50
        )
        yield* t.seeAlive(100)
        observer.kill(above(jobs[0]?.pid ?? 0).server, "SIGKILL")
        const [elapsed, errors] = yield* timed(
          Effect.forEach(jobs, (job) => Effect.flip(job.exit), { concurrency: "unbounded" })
        )
        assert.deepStrictEqual(new Set(errors.map(({ _tag }) => _tag)), new Set(["SpawnServerLost"]))
        within(elapsed, e)
        // In one grace period and not in fifty: the whole of what is promised.
        within(elapsed + (yield* gone(t.token)), g + k + e)
        assert.strictEqual(yield* Command.string(t.sh("echo again")), "again\n")
      })
  )

  scenario("12: a server that hangs is lost, and the next spawn works", (t) =>
    Effect.gen(function*() {
      const job = yield* Command.start(t.sh("exec sleep 100"))
      yield* t.seeAlive(1)
      observer.kill(above(job.pid).server, "SIGSTOP")
      const [found, error] = yield* timed(Effect.flip(job.exit))
      assert.strictEqual(error._tag, "SpawnServerLost")
      // Asked every half second, and given two to answer; from then on it is as if it had been killed.
      within(found, 2_500 + e)
      within(yield* gone(t.token), g + k + e)
      assert.strictEqual(yield* Command.string(t.sh("echo again")), "again\n")
    }))

  scenario("15: kill -9 of the owner ends its escapees too", (t) =>
    Effect.gen(function*() {
      const started = yield* start(t, "escapees")
      yield* t.seeRunning("sleep 1002", "sleep 1006", "sleep 1007", "sleep 1008")
      const { atLeast, atMost } = yield* kill(started, t.token)
      assert.isAtLeast(atLeast, g - 50)
      within(atMost, g + e)
    }))

  if (guarantees.deadline === "external") {
    scenario("17: a deadline fires while the event loop is blocked", (t) =>
      Effect.gen(function*() {
        const started = yield* start(t, "blocked")
        const line = yield* until("the report", () => started.lines.find((line) => line.startsWith("gone")))
        within(Number(line.split(" ")[1]), 500 + e)
        yield* until("the owner's end", () => started.hasExited() || observer.alive(t.token).length === 1 || undefined)
      }))
  }

  if (guarantees.statuses === "exact") {
    scenario("36: death by every real-time signal, and a core dump", (t) =>
      Effect.gen(function*() {
        for (let number = 34; number <= 64; number++) {
          const error = yield* Effect.flip(Command.run(t.mark(Command.make(fixtures.program("crash"), String(number)))))
          const signal: Signal.Signal = number === 34 ? "SIGRTMIN" : `SIGRTMIN+${number - 34}`
          assert.deepInclude(error, { _tag: "Signaled", signal, coreDumped: false })
        }
        const job = yield* Command.start(t.sh("exec sleep 100").pipe(Command.killSignal("SIGRTMIN+3")))
        assert.deepInclude(yield* job.terminate(), { _tag: "Killed", signal: "SIGRTMIN+3" })
        if (!fs.readFileSync("/proc/sys/kernel/core_pattern", "utf8").startsWith("|")) {
          const dir = yield* fixtures.temporaryDirectory
          const dump = t.sh("ulimit -c unlimited; exec sleep 100").pipe(Command.workingDirectory(dir))
          const dumping = yield* Effect.fork(Effect.flip(Command.run(dump)))
          yield* t.seeRunning("sleep 100")
          for (const { pid } of observer.alive(t.token)) process.kill(pid, "SIGQUIT")
          assert.deepInclude(yield* Fiber.join(dumping), { _tag: "Signaled", signal: "SIGQUIT", coreDumped: true })
        }
      }))
  }

  scenario(
    "38: a job that waits for a FIFO nobody opens meets its deadline, and can be interrupted",
    (t) =>
      Effect.gen(function*() {
        const dir = yield* fixtures.temporaryDirectory
        const fifo = path.join(dir, "fifo")
        yield* Command.run(t.mark(Command.make("mkfifo", fifo)))
        const waiting = t.sh(`exec cat < ${fifo}`)
        const [elapsed, error] = yield* timed(Effect.flip(Command.run(waiting.pipe(Command.timeout(300)))))
        assert.strictEqual(error._tag, "TimedOut")
        within(elapsed, 300 + e)
        within(yield* t.interrupt(waiting, t.seeAlive(1)), e)
      })
  )

  scenario("limits, niceness, umask and groups are what the command says", (t) =>
    Effect.gen(function*() {
      const limited = t.sh("ulimit -n; ulimit -Hn").pipe(Command.limits({ openFiles: 40 }))
      assert.deepStrictEqual(yield* Command.lines(limited), ["40", "40"])
      assert.strictEqual(yield* Command.string(t.sh("nice").pipe(Command.nice(5))), "5\n")
      assert.strictEqual(yield* Command.string(t.sh("umask").pipe(Command.umask(0o77))), "0077\n")
      if (process.getuid?.() === 0) {
        const id = t.sh("id -G").pipe(Command.user({ uid: 64_123, gid: 64_124, groups: [64_125] }))
        assert.strictEqual(yield* Command.string(id), "64124 64125\n")
      }
    }))

  scenario("the usage is the kernel's count", (t) =>
    Effect.gen(function*() {
      const { usage } = yield* Command.run(t.sh("i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done"))
      assert.isAbove(usage.maxRss, 100_000)
      assert.isAbove(usage.minorPageFaults, 0)
    }))
}
