/** The engine on `node:child_process` of a program that has no descriptors left. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { layerChildProcess } from "@effect-process/node/NodeProcess"
import { Command, ProcessSpawner } from "effect-process"
import * as fs from "node:fs"

/** Takes all descriptors that this process may have; with the scope they are free again. */
const exhausted: Effect.Effect<void, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    const taken: Array<number> = []
    try {
      for (;;) taken.push(fs.openSync("/dev/null", "r"))
    } catch {
      return taken
    }
  }),
  (taken) => Effect.sync(() => taken.forEach((fd) => fs.closeSync(fd)))
)

/** Lets everything else have its turn after so many steps of a fiber, and again; a yield takes some steps itself. */
const slow = (steps: number) =>
  Effect.withScheduler({
    shouldYield: (fiber) => fiber.currentOpCount > steps ? 0 : false,
    scheduleTask: (task) => void setImmediate(task)
  })

it.scopedLive("a failure that Node tells of in a later turn is heard, however slow the fiber is", () =>
  Effect.gen(function*() {
    const failing = Effect.flip(Command.exitCode(Command.make("true")))
    for (let steps = 20; steps < 44; steps++) {
      const error = yield* Effect.scoped(Effect.zipRight(exhausted, slow(steps)(failing)))
      assert.deepInclude(error, { _tag: "SpawnError", reason: "ResourceExhausted", errno: "EMFILE" })
    }
    assert.strictEqual(yield* Command.exitCode(Command.make("true")), 0)
  }).pipe(Effect.provide(layerChildProcess)))

/** Also when it goes while we look: it is not ours to wait for. */
const isDead = (pid: number): boolean => {
  try {
    return /\) Z/.test(fs.readFileSync(`/proc/${pid}/stat`, "latin1"))
  } catch {
    return true
  }
}

/** Those of all layers of this thread. */
const watchdogs = (): ReadonlyArray<number> =>
  fs.readFileSync("/proc/thread-self/children", "latin1").split(" ").map(Number).filter((pid) =>
    pid > 0 && fs.readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("effect-process watchdog") && !isDead(pid)
  )

const until = (holds: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => holds() ? Effect.void : Effect.zipRight(Effect.sleep(5), until(holds)))

it.scopedLive("a watchdog that cannot be started again is started with the next spawn", () =>
  Effect.gen(function*() {
    const before = watchdogs()
    yield* Effect.scoped(
      Effect.gen(function*() {
        yield* ProcessSpawner
        const own = () => watchdogs().filter((pid) => !before.includes(pid))
        // In the middle of its exec it has no arguments yet.
        yield* until(() => own().length === 1)
        const [watchdog] = own()
        assert.isDefined(watchdog)
        yield* Effect.scoped(Effect.gen(function*() {
          yield* exhausted
          process.kill(watchdog, "SIGKILL")
          // Node has waited for it, and so heard of its exit, while nothing could be started.
          yield* until(() => !fs.existsSync(`/proc/${watchdog}`))
        }))
        assert.strictEqual(yield* Command.exitCode(Command.make("true")), 0)
        yield* until(() => own().length === 1)
      }).pipe(Effect.provide(layerChildProcess))
    )
    assert.deepStrictEqual(watchdogs(), before)
  }))

it.scopedLive("what a leader leaves behind is looked after while nothing can be looked at, and ended afterwards", () =>
  Effect.gen(function*() {
    const left = Command.shell("sleep 100 & echo $!; exec sleep 100").pipe(
      Command.stdin("ignore"),
      Command.stderr("ignore"),
      Command.killSignal("SIGKILL")
    )
    const pid = yield* Effect.scoped(Effect.gen(function*() {
      const job = yield* Command.start(left)
      const line = yield* job.stdout.pipe(Stream.decodeText(), Stream.splitLines, Stream.take(1), Stream.runCollect)
      yield* Effect.scoped(Effect.gen(function*() {
        yield* exhausted
        yield* job.signal("SIGKILL", { to: "leader" })
        yield* job.exit
        assert.deepStrictEqual(yield* job.descendants, [])
      }))
      assert.lengthOf(yield* job.descendants, 1)
      return Number([...line][0])
    }))
    assert.isTrue(isDead(pid))
  }).pipe(Effect.provide(layerChildProcess)))

it.scopedLive("without descriptors the layer fails as a layer does", () =>
  Effect.gen(function*() {
    const error = yield* Effect.scoped(Effect.zipRight(
      exhausted,
      Effect.flip(Effect.provide(ProcessSpawner, layerChildProcess))
    ))
    assert.strictEqual(error._tag, "EngineUnavailable")
    assert.include(error.message, "EMFILE")
  }))

it.scopedLive("nobody listens on what is no port", () =>
  Effect.gen(function*() {
    const { connect } = yield* ProcessSpawner
    for (const port of [0, -1, 65_536, 1.5, Number.NaN]) assert.isFalse(yield* connect(port, "localhost"))
  }).pipe(Effect.provide(layerChildProcess)))
