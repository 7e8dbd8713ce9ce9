/** Who is an orphan, and how orphans are ended: over processes that are only told of, under a virtual clock. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { Orphans, type Signal } from "effect-process"
import { fromSource, type OrphanSource, type Seen } from "effect-process/Orphans"
import { processInfo } from "./support/fakeEngine.ts"

const self = 100
const uid = 1000

type Owner = NonNullable<Seen["owner"]>

const dead = (pid: number, more: Partial<Owner> = {}): Owner => ({
  pid,
  mark: `${pid}:1:boot:${uid}`,
  uid,
  isAlive: false,
  ...more
})

const living = (pid: number): Owner => dead(pid, { isAlive: true })

type Reaction = (signal: Signal.Signal, world: World) => "ends" | "ignores" | "denied"

interface Fake extends Seen {
  /** What a signal does; ends it when nothing is said. */
  readonly on?: Reaction
}

const seen = (pid: number, ppid: number, more: Partial<Fake> = {}): Fake => ({
  pid,
  ppid,
  startTime: 1_000 + pid,
  isDead: false,
  isStopped: false,
  isKeeper: false,
  keeps: undefined,
  owner: undefined,
  ...more
})

class World {
  readonly processes: Map<number, Fake>
  readonly sent: Array<string> = []

  constructor(processes: ReadonlyArray<Fake>) {
    this.processes = new Map(processes.map((one) => [one.pid, one]))
  }

  add(one: Fake): void {
    this.processes.set(one.pid, one)
  }

  source(clock: Clock.Clock): OrphanSource {
    const info = ({ pid, ppid, startTime }: Fake) => ({ ...processInfo(pid, `job \u001b[31m${pid}`), ppid, startTime })
    const same = (row: { readonly pid: number; readonly startTime: number }) =>
      this.processes.get(row.pid)?.startTime === row.startTime
    return {
      clock,
      look: Effect.sync(() => ({ self, uid, processes: [...this.processes.values()] })),
      describe: (pids) =>
        Effect.sync(() =>
          pids.flatMap((pid) => {
            const one = this.processes.get(pid)
            return one === undefined ? [] : [info(one)]
          })
        ),
      living: (rows) => Effect.sync(() => rows.filter(same)),
      signal: (rows, signal) =>
        Effect.sync(() =>
          rows.filter(same).filter(({ pid }) => {
            this.sent.push(`${signal} ${pid}`)
            const what = this.processes.get(pid)?.on?.(signal, this) ??
              (signal === "SIGSTOP" || signal === "SIGCONT" ? "ignores" : "ends")
            if (what === "ends") this.processes.delete(pid)
            return what === "denied"
          })
        )
    }
  }
}

const orphansOf = (world: World) => Effect.map(Effect.clock, (clock) => fromSource(world.source(clock)))

const found = (...processes: ReadonlyArray<Fake>) =>
  Effect.gen(function*() {
    const orphans = yield* orphansOf(new World(processes))
    return (yield* orphans.find).map(({ pid }) => pid)
  })

const us = [seen(1, 0), seen(50, 1), seen(self, 50)]

describe("Orphans.find", () => {
  it.effect("finds what has the mark of an owner that is gone, and tells whose it was", () =>
    Effect.gen(function*() {
      const orphans = yield* orphansOf(
        new World([...us, seen(200, 1, { owner: dead(7) }), seen(201, 1, { owner: living(8) }), seen(202, 1)])
      )
      const all = yield* Effect.provideService(Orphans.find, Orphans, orphans)
      assert.lengthOf(all, 1)
      assert.deepInclude(all[0], {
        pid: 200,
        isMarked: true,
        owner: { pid: 7, mark: "7:1:boot:1000" },
        commandLine: "job \\u{1b}[31m200"
      })
    }))

  it.effect("finds the descendants of an orphan that lost the mark, not those of an owner that lives", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* found(
          ...us,
          seen(200, 1, { owner: dead(7) }),
          seen(201, 200),
          seen(202, 201),
          seen(203, 200, { owner: living(200) }),
          seen(204, 203)
        ),
        [200, 201, 202]
      )
    }))

  it.effect("does not take a process for the child of a younger one, which has got its parent's pid", () =>
    Effect.gen(function*() {
      const orphan = seen(200, 1, { owner: dead(7), startTime: 5_000 })
      assert.deepStrictEqual(
        yield* found(...us, orphan, seen(201, 200, { startTime: 4_999 }), seen(202, 200, { startTime: 5_000 })),
        [200, 202]
      )
    }))

  it.effect("leaves alone what another user's owner started, also where root could end it", () =>
    Effect.gen(function*() {
      const theirs = seen(200, 1, { owner: dead(7, { uid: 1001 }) })
      assert.deepStrictEqual(yield* found(...us, theirs, seen(201, 200)), [])
    }))

  it.effect("leaves alone the dead, ourselves, what runs us and what we run, whatever they carry", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* found(
          seen(1, 0, { owner: dead(7) }),
          seen(50, 1, { owner: dead(8) }),
          seen(self, 50),
          seen(150, self, { owner: dead(9) }),
          seen(151, 150, { owner: dead(9) }),
          seen(152, 1, { owner: dead(9), isDead: true })
        ),
        []
      )
    }))

  it.effect("leaves alone what was left behind together with us", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* found(
          seen(1, 0),
          seen(self, 1, { owner: dead(7) }),
          seen(200, 1, { owner: dead(7) }),
          seen(201, 1, { owner: dead(8) })
        ),
        [201]
      )
    }))

  it.effect("leaves alone what a server, a supervisor or a watchdog looks after, unless that is stopped", () =>
    Effect.gen(function*() {
      const job = [seen(201, 200, { owner: dead(7) }), seen(202, 201)]
      assert.deepStrictEqual(yield* found(...us, seen(200, 1, { isKeeper: true }), ...job), [])
      assert.deepStrictEqual(
        yield* found(...us, seen(200, 1, { isKeeper: true, isStopped: true }), ...job),
        [201, 202]
      )
      const watchdog = seen(300, 1, { isKeeper: true, keeps: dead(7).mark })
      assert.deepStrictEqual(yield* found(...us, watchdog, ...job, seen(400, 1, { owner: dead(8) })), [400])
      // An owner that was left behind: it is ended, and those that look after its jobs do that.
      assert.deepStrictEqual(
        yield* found(
          ...us,
          seen(200, 1, { owner: dead(7) }),
          seen(201, 200, { isKeeper: true }),
          seen(202, 201, { isKeeper: true }),
          seen(203, 202, { owner: living(200) }),
          seen(204, 203)
        ),
        [200]
      )
    }))

  it.effect("finds what is below a supervisor that also runs us: it does not end it before we end", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* found(
          seen(1, 0),
          seen(50, 1, { isKeeper: true }),
          seen(self, 50, { owner: living(10) }),
          seen(200, 50, { owner: dead(7) })
        ),
        [200]
      )
    }))

  it.effect("is not led in circles", () =>
    Effect.gen(function*() {
      const at = { startTime: 5_000 }
      assert.deepStrictEqual(
        yield* found(...us, seen(200, 201, { owner: dead(7), ...at }), seen(201, 200, at), seen(202, 202, at)),
        [200, 201]
      )
    }))
})

describe("Orphans.reap", () => {
  it.effect("does nothing where there is nothing", () =>
    Effect.gen(function*() {
      const world = new World(us)
      assert.deepStrictEqual(yield* (yield* orphansOf(world)).reap(), [])
      assert.deepStrictEqual(world.sent, [])
    }))

  it.effect("sends the first signal, and SIGKILL to what is left when the grace period is over", () =>
    Effect.gen(function*() {
      const stubborn: Reaction = (signal) => signal === "SIGKILL" ? "ends" : "ignores"
      const world = new World([
        ...us,
        seen(200, 1, { owner: dead(7) }),
        seen(201, 200, { on: stubborn })
      ])
      const orphans = yield* orphansOf(world)
      const fiber = yield* Effect.fork(orphans.reap({ signal: "SIGINT", gracePeriod: "2 seconds" }))
      yield* TestClock.adjust("1999 millis")
      assert.deepStrictEqual(world.sent, ["SIGINT 200", "SIGINT 201", "SIGCONT 201"])
      yield* TestClock.adjust("10 millis")
      const ended = yield* Fiber.join(fiber)
      assert.deepStrictEqual(world.sent.slice(3), ["SIGSTOP 201", "SIGKILL 201"])
      assert.deepStrictEqual(ended.map(({ isMarked, pid }) => [pid, isMarked]), [[200, true], [201, false]])
    }))

  it.effect("ends what is started meanwhile, and stops what forks before it kills", () =>
    Effect.gen(function*() {
      let next = 300
      const forks: Reaction = (signal, world) => {
        if (signal === "SIGKILL") return "ends"
        if (signal === "SIGTERM" || (signal === "SIGSTOP" && next < 304)) {
          world.add(seen(next++, 1, { owner: dead(7), on: forks }))
        }
        return "ignores"
      }
      const world = new World([...us, seen(200, 1, { owner: dead(7), on: forks })])
      const orphans = yield* orphansOf(world)
      const fiber = yield* Effect.fork(orphans.reap({ gracePeriod: "1 second" }))
      yield* TestClock.adjust("1100 millis")
      assert.deepStrictEqual((yield* Fiber.join(fiber)).map(({ pid }) => pid), [200, 300, 301, 302, 303])
      assert.isAbove(world.sent.indexOf("SIGKILL 200"), world.sent.indexOf("SIGSTOP 303"))
      assert.deepStrictEqual([...world.processes.keys()], us.map(({ pid }) => pid))
    }))

  it.effect("never signals who has got the pid of an orphan that ended", () =>
    Effect.gen(function*() {
      const world = new World([
        ...us,
        seen(200, 1, {
          owner: dead(7),
          on: (_, all) => {
            all.add(seen(200, 1, { startTime: 9_999, on: () => assert.fail("a stranger was signalled") }))
            return "ignores"
          }
        })
      ])
      const ended = yield* (yield* orphansOf(world)).reap()
      assert.deepStrictEqual(ended.map(({ pid }) => pid), [200])
      assert.deepStrictEqual(world.sent, ["SIGTERM 200"])
    }))

  it.effect("fails at once with what it may not signal, without waiting out the bounds", () =>
    Effect.gen(function*() {
      const world = new World([
        ...us,
        seen(200, 1, { owner: dead(7) }),
        seen(201, 200, { on: () => "denied" })
      ])
      const error = yield* Effect.flip((yield* orphansOf(world)).reap({ gracePeriod: "1 hour" }))
      assert.strictEqual(error._tag, "Unkillable")
      assert.deepStrictEqual(error.pids, [201])
      assert.strictEqual(
        error.message,
        "orphans: could not be killed: pid 201 (job \\u{1b}[31m201) of root is in state S"
      )
      assert.isFalse(world.processes.has(200))
    }))

  it.effect("fails after grace period and kill bound with what does not end", () =>
    Effect.gen(function*() {
      const world = new World([...us, seen(200, 1, { owner: dead(7), on: () => "ignores" })])
      const fiber = yield* Effect.fork(Effect.flip((yield* orphansOf(world)).reap({ gracePeriod: "1 second" })))
      yield* TestClock.adjust("1999 millis")
      assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual((yield* Fiber.join(fiber)).pids, [200])
    }))

  it.effect("ends those only that it is told to", () =>
    Effect.gen(function*() {
      const world = new World([...us, seen(200, 1, { owner: dead(7) }), seen(201, 1, { owner: dead(8) })])
      const ended = yield* (yield* orphansOf(world)).reap({ only: ({ owner }) => owner.pid === 8 })
      assert.deepStrictEqual(ended.map(({ pid }) => pid), [201])
      assert.isTrue(world.processes.has(200))
    }))

  it.effect("with SIGKILL waits out no grace period", () =>
    Effect.gen(function*() {
      const world = new World([...us, seen(200, 1, { owner: dead(7) })])
      yield* (yield* orphansOf(world)).reap({ signal: "SIGKILL", gracePeriod: "1 hour" })
      assert.deepStrictEqual(world.sent, ["SIGSTOP 200", "SIGKILL 200"])
    }))

  it.effect("may run twice at the same time", () =>
    Effect.gen(function*() {
      const world = new World([...us, seen(200, 1, { owner: dead(7) }), seen(201, 1, { owner: dead(7) })])
      const { reap } = yield* orphansOf(world)
      yield* Effect.all([reap(), reap(), reap()], { concurrency: "unbounded" })
      assert.lengthOf([...world.processes], us.length)
    }))
})
