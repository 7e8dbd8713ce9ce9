/** Whose a process is, as /proc has it: marks that name owners in every way in which one can be gone, and users. */
import { assert, describe, it } from "@effect/vitest"
import { NodeProcess } from "@effect-process/node"
import * as Effect from "effect/Effect"
import { Command, type Orphan, Orphans } from "effect-process"
import { execFileSync, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as fixtures from "../support/fixtures.ts"
import * as observer from "../support/observer.ts"
import { until } from "../support/scenario.ts"

const isRoot = process.getuid?.() === 0
const boot = fs.readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim()
const uid = process.geteuid?.() ?? 0

const startOf = (pid: number): string => {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1")
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? ""
}

/** A pid that was a process's, and is nobody's now. */
const formerPid = () => spawnSync("true").pid

/** A process that is not ours, with a mark: it has been left by the shell that started it. Ends with the scope. */
const left = (mark: string | undefined, command = "exec sleep 1041", user: { uid?: number; gid?: number } = {}) =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      const env = { PATH: process.env["PATH"], ...(mark === undefined ? {} : { EFFECT_PROCESS_OWNER: mark }) }
      const script = `setsid sh -c '${command}' >/dev/null 2>&1 & echo $!`
      const pid = Number(execFileSync("sh", ["-c", script], { encoding: "utf8", env, ...user }))
      return Effect.as(until("it runs", () => observer.see(pid)?.commandLine.startsWith("sleep") || undefined), pid)
    }),
    (pid) => Effect.sync(() => observer.kill(pid, "SIGKILL"))
  )

const found = (...pids: ReadonlyArray<number>) =>
  Effect.map(Orphans.find, (all) => all.filter(({ pid }) => pids.includes(pid)).map(({ pid }) => pid))

const only = (...pids: ReadonlyArray<number>) => (orphan: Orphan): boolean => pids.includes(orphan.pid)

const provided = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provide(effect, NodeProcess.layer)

describe("Orphans", () => {
  it.scopedLive("knows an owner that is gone in every way, and one that lives", () =>
    provided(Effect.gen(function*() {
      const gone = yield* left(`${formerPid()}:1:${boot}:${uid}:layer`)
      const reused = yield* left(`${process.pid}:1:${boot}:${uid}:layer`)
      const before = yield* left(`${process.pid}:${startOf(process.pid)}:${boot.replaceAll(/[0-9a-f]/g, "0")}:${uid}`)
      const alive = yield* left(`${process.pid}:${startOf(process.pid)}:${boot}:${uid}:layer`)
      const unmarked = yield* left(undefined)
      const broken = [
        yield* left(""),
        yield* left("1:2"),
        yield* left("here:1:2:3"),
        yield* left(`${formerPid()}:1:${boot}:`)
      ]
      const all = [gone, reused, before, alive, unmarked, ...broken]
      assert.sameMembers([...yield* found(...all)], [gone, reused, before])
      const ended = yield* Orphans.reap({ only: only(...all) })
      assert.sameMembers(ended.map(({ pid }) => pid), [gone, reused, before])
      for (const pid of [alive, unmarked, ...broken]) assert.isTrue(observer.isAlive(pid))
    })))

  it.scopedLive("takes an owner that is a zombie for gone", () =>
    provided(Effect.gen(function*() {
      // bash is told of its child's end only when the shell after it asks.
      const parent = yield* Effect.acquireRelease(
        Effect.sync(() => spawn("sh", ["-c", "sleep 0.1 & echo $!; exec sleep 1042"])),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const text = yield* Effect.async<string>((resume) => {
        parent.stdout.once("data", (chunk: Buffer) => resume(Effect.succeed(chunk.toString())))
      })
      const zombie = Number(text)
      const mark = `${zombie}:${startOf(zombie)}:${boot}:${uid}`
      const pid = yield* left(mark)
      yield* until("a zombie", () => observer.see(zombie)?.state === "Z" || undefined)
      assert.deepStrictEqual(yield* found(pid), [pid])
      assert.lengthOf(yield* Orphans.reap({ only: only(pid) }), 1)
    })))

  it.scopedLive("finds one whose main thread has exited, and ends it", () =>
    provided(Effect.gen(function*() {
      const program = fixtures.program("threads")
      const mark = `${formerPid()}:1:${boot}:${uid}`
      const script = `EFFECT_PROCESS_OWNER=${mark} setsid "$0" >/dev/null 2>&1 & echo $!`
      const pid = Number(execFileSync("sh", ["-c", script, program], { encoding: "utf8" }))
      yield* until("a zombie by its stat", () => observer.see(pid)?.state === "Z" || undefined)
      assert.deepStrictEqual(yield* found(pid), [pid])
      yield* Orphans.reap({ only: only(pid) })
      assert.isFalse(observer.isAlive(pid))
    })))

  it.scopedLive.skipIf(!isRoot)(
    "says nothing of what is in another pid namespace, whose pids mean others",
    () =>
      provided(Effect.gen(function*() {
        const mark = `EFFECT_PROCESS_OWNER=${formerPid()}:1:${boot}:${uid}`
        const end = (pid: number) => Effect.sync(() => observer.kill(pid, "SIGKILL"))
        const inNamespace = (outside: string, inside: string, seconds: number) =>
          Effect.gen(function*() {
            const unshared = `setsid unshare --pid --fork sh -c '${inside} sleep ${seconds}; true'`
            const script = `${outside} ${unshared} >/dev/null 2>&1 & echo $!`
            const outer = Number(execFileSync("sh", ["-c", script], { encoding: "utf8" }))
            yield* Effect.addFinalizer(() => end(outer))
            const pid = yield* until("it runs", () =>
              fs.readdirSync("/proc").map(Number).find((one) =>
                one > 0 && observer.see(one)?.commandLine === `sleep ${seconds}`
              ))
            yield* Effect.addFinalizer(() => end(pid))
            return { outer, pid }
          })
        const container = yield* inNamespace("", mark, 1047)
        const job = yield* inNamespace(mark, "", 1048)
        const rows = yield* Orphans.find
        assert.isUndefined(rows.find(({ pid }) =>
          pid === container.pid
        ))
        // What was started here is ours, and with it what is below.
        assert.strictEqual(rows.find(({ pid }) => pid === job.outer)?.isMarked, true)
        assert.strictEqual(rows.find(({ pid }) => pid === job.pid)?.isMarked, false)
        yield* Orphans.reap({ only: ({ owner }) => mark.includes(`=${owner.mark}`), gracePeriod: 300 })
        assert.isFalse(observer.isAlive(job.pid))
        assert.isTrue(observer.isAlive(container.pid))
      }))
  )

  it.scopedLive.skipIf(!isRoot)(
    "leaves alone what another user's owner left, also as root",
    () =>
      provided(Effect.gen(function*() {
        const user = { uid: 64_123, gid: 64_123 }
        const theirs = yield* left(`${formerPid()}:1:${boot}:64123:layer`, "exec sleep 1044", user)
        // Root's owner may run a job as somebody else, by Command.user.
        const ours = yield* left(`${formerPid()}:1:${boot}:0:layer`, "exec sleep 1045", user)
        assert.deepStrictEqual(yield* found(theirs, ours), [ours])
        assert.lengthOf(yield* Orphans.reap({ only: only(theirs, ours) }), 1)
        assert.isTrue(observer.isAlive(theirs))
        assert.isFalse(observer.isAlive(ours))
      }))
  )

  it.scopedLive.skipIf(!fixtures.isOpenToOthers(64_123))(
    "of another user's processes it says and ends nothing",
    () =>
      Effect.gen(function*() {
        const owner = formerPid()
        const roots = yield* left(`${owner}:1:${boot}:64123:layer`)
        const theirs = yield* left(`${owner}:1:${boot}:64123:layer`, "exec sleep 1046", { uid: 64_123, gid: 64_123 })
        const reaper = yield* fixtures.start(
          process.execPath,
          [fixtures.script("reaper"), "child-process", String(owner), "300"],
          { uid: 64_123, gid: 64_123 }
        )
        yield* until("its end", () => reaper.status())
        yield* until("what it said", () => reaper.lines[0])
        assert.deepStrictEqual(reaper.lines, ["reaped 1"])
        assert.isTrue(observer.isAlive(roots))
        assert.isFalse(observer.isAlive(theirs))
      })
  )

  it.scopedLive("finds nothing where the layer leaves the mark out", () =>
    Effect.gen(function*() {
      for (
        const layer of [
          NodeProcess.layerSpawnServerWith({ markOwner: false }),
          NodeProcess.layerChildProcessWith({ markOwner: false })
        ]
      ) {
        const env = yield* Effect.provide(Command.string(Command.make("env")), layer)
        assert.notInclude(env, "EFFECT_PROCESS_OWNER")
      }
    }))
})
