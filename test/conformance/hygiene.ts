/** Scenarios 37 to 40: descriptors, handles that nobody awaits, many at once, a busy machine. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { Command, ProcessSpawner, Stdio } from "effect-process"
import * as fixtures from "../support/fixtures.ts"
import * as observer from "../support/observer.ts"
import { noDescriptorBut, type Suite, until, within } from "../support/scenario.ts"

export const hygiene = ({ bounds: { e }, scenario, subject }: Suite): void => {
  scenario("37: a child has the descriptors 0 to 2, whatever its owner had inherited", (t) =>
    Effect.gen(function*() {
      const owner = `exec 9</dev/null 21</dev/null 1000</dev/null; exec "$0" "$@"`
      const started = yield* fixtures.start("bash", [
        "-c",
        owner,
        process.execPath,
        fixtures.script("descriptors"),
        t.engine,
        t.token
      ])
      yield* until("the owner's end", () => started.hasExited() || undefined)
      assert.deepInclude(started.status(), { code: 0 })
      // 3 is the directory that ls reads; the last of a pipeline was given 5 as well.
      assert.deepStrictEqual(started.lines, ["0", "1", "2", "3", "0", "1", "2", "3", "5"])
    }))

  scenario(
    "37: the owner's descriptors are the same after pipelines that ran, failed to start and were interrupted",
    (t) =>
      Effect.gen(function*() {
        const cat = t.mark(Command.make("cat"))
        const three = (middle: Command.Command, first = t.sh("echo x")) =>
          first.pipe(Command.pipeTo(middle), Command.pipeTo(cat), Command.fd(5, Stream.make("five")))
        yield* Command.string(three(cat))
        const before = observer.descriptors()
        const times = (count: number, effect: Effect.Effect<unknown, unknown, ProcessSpawner>) =>
          Effect.forEach(Array.from({ length: count }), () => effect, { concurrency: 8 })
        yield* times(60, Command.string(three(cat)))
        yield* times(32, Effect.flip(Command.run(three(t.mark(Command.make("no-such"))))))
        yield* times(32, Effect.flip(Command.run(three(cat.pipe(Command.stderr(Stdio.file("/no/such/file")))))))
        const waiting = Command.run(three(cat, t.sh("exec sleep 100")))
        yield* times(40, Effect.flatMap(Effect.fork(waiting), (fiber) => Fiber.interrupt(fiber)))
        yield* noDescriptorBut(before)
      })
  )

  scenario("37: signals are at their defaults and none is blocked", (t) =>
    Effect.gen(function*() {
      const status = yield* Command.lines(t.mark(Command.make("grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status")))
      assert.deepStrictEqual(status, ["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"])
    }))

  scenario(
    "37: the owner's descriptors are the same after 500 runs, 64 failures and 200 interruptions",
    (t) =>
      Effect.gen(function*() {
        yield* Command.string(t.sh("echo warm"))
        const before = observer.descriptors()
        yield* Effect.forEach(Array.from({ length: 500 }), () => Command.string(t.sh("echo x")), { concurrency: 8 })
        yield* Effect.forEach(
          Array.from({ length: 64 }),
          () => Effect.flip(Command.run(t.mark(Command.make("no-such")))),
          {
            concurrency: 8
          }
        )
        yield* Effect.forEach(
          Array.from({ length: 200 }),
          () => Effect.flatMap(Effect.fork(Command.run(t.sh("exec sleep 100"))), (fiber) => Fiber.interrupt(fiber)),
          { concurrency: 8 }
        )
        yield* noDescriptorBut(before)
      })
  )

  scenario(
    "38: a hundred handles that nobody awaits leave no zombie, descriptor or timer",
    (t) =>
      Effect.gen(function*() {
        yield* Command.string(t.sh("echo warm"))
        const before = observer.descriptors()
        yield* Effect.replicateEffect(Command.start(t.sh("echo unread; echo unread >&2")), 100)
        yield* until("all gone", () => observer.alive(t.token).length + observer.zombies().length === 0 || undefined)
        yield* noDescriptorBut(before)
      })
  )

  scenario("39: two thousand runs, two hundred at once", (t) =>
    Effect.gen(function*() {
      const codes = yield* Effect.forEach(Array.from({ length: 2_000 }), () =>
        Command.exitCode(t.mark(Command.make("true"))), {
        concurrency: 200
      })
      assert.lengthOf(
        codes.filter((code) =>
          code === 0
        ),
        2_000
      )
    }))

  scenario("39: five hundred exits at the same moment", (t) =>
    Effect.gen(function*() {
      const jobs = yield* Effect.forEach(Array.from({ length: 500 }), (_, index) =>
        Command.start(t.sh(`read line; exit ${index % 256}`)))
      yield* Effect.forEach(jobs, (job) =>
        Stream.run(Stream.empty, job.stdin), { concurrency: "unbounded" })
      const codes = yield* Effect.forEach(jobs, (job) => job.exitCode, { concurrency: "unbounded" })
      assert.deepStrictEqual(codes, jobs.map((_, index) => index % 256))
    }))

  scenario("a tree of a hundred polite processes is gone in milliseconds", (t) =>
    Effect.gen(function*() {
      const script = "i=0; while [ $i -lt 99 ]; do sleep 100 & i=$((i + 1)); done; exec sleep 100"
      within(yield* t.interrupt(t.sh(script), t.seeAlive(100)), e)
    }))

  scenario("the guarantees are those of the engine", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* ProcessSpawner).guarantees, subject.guarantees)
    }))
}
