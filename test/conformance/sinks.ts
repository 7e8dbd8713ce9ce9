/** Sinks as outputs: with back-pressure, done early, slow, failing. */
import { assert } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { Command, type ProcessSpawner } from "effect-process"
import { createHash, type Hash } from "node:crypto"
import * as observer from "../support/observer.ts"
import { type Suite, timed, until, within } from "../support/scenario.ts"

const hashing = (hash: Hash) => Sink.forEach((bytes: Uint8Array) => Effect.sync(() => void hash.update(bytes)))

const counting = Sink.foldLeft(0, (sum: number, bytes: Uint8Array) => sum + bytes.length)

const failing = Sink.forEach(() => Effect.fail("boom" as const))

type Runner = (command: Command.Command<"boom">) => Effect.Effect<unknown, unknown, ProcessSpawner>

const runners: Readonly<Record<string, Runner>> = {
  run: Command.run,
  exitCode: Command.exitCode,
  success: Command.success,
  string: Command.string,
  lines: Command.lines,
  stream: (command) => Stream.runDrain(Command.stream(command)),
  streamLines: (command) => Stream.runDrain(Command.streamLines(command)),
  events: (command) => Stream.runDrain(Command.events(command)),
  through: (command) => Stream.runDrain(Stream.make(new Uint8Array(1)).pipe(Command.through(command))),
  sink: (command) => Stream.run(Stream.make(new Uint8Array(1)), Command.sink(command))
}

export const sinks = ({ bounds: { e, g }, scenario, subject: { guarantees } }: Suite): void => {
  scenario("tee: two Sinks get the same bytes, and the command their pace", (t) =>
    Effect.gen(function*() {
      const [one, other] = [createHash("sha256"), createHash("sha256")]
      const expected = createHash("sha256").update(new Uint8Array(20_000_000)).digest("hex")
      const both = Sink.zip(hashing(one), hashing(other), { concurrent: true })
      const result = yield* Command.run(t.sh("head -c 20000000 /dev/zero").pipe(Command.stdout(both)))
      assert.strictEqual(result.stdoutText, "")
      assert.deepStrictEqual([one.digest("hex"), other.digest("hex")], [expected, expected])
    }))

  scenario("each output of each stage may have a Sink of its own", (t) =>
    Effect.gen(function*() {
      const sizes = yield* Ref.make<ReadonlyArray<number>>([])
      const size = Sink.mapEffect(counting, (n) => Ref.update(sizes, (all) => [...all, n]))
      const loud = t.sh("head -c 100000 /dev/zero >&2; cat; echo x").pipe(Command.stderr(size))
      const command = loud.pipe(Command.pipeTo(loud), Command.stdout(size))
      yield* Command.run(command)
      assert.deepStrictEqual([...yield* Ref.get(sizes)].sort((a, b) => a - b), [4, 100_000, 100_000])
    }))

  for (const [name, runner] of Object.entries(runners)) {
    scenario(`a Sink that fails ends the job, and ${name} fails with its error`, (t) =>
      Effect.gen(function*() {
        const command = t.sh("echo x; echo x >&2; exec sleep 100").pipe(Command.stderr(failing))
        const [elapsed, error] = yield* timed(Effect.flip(runner(command)))
        assert.strictEqual(error, "boom")
        within(elapsed, 2 * e)
        yield* t.isEmpty
      }))
  }

  scenario("a Sink that fails fails the exit of a handle", (t) =>
    Effect.gen(function*() {
      const job = yield* Command.start(t.sh("echo x; exec sleep 100").pipe(Command.stdout(failing)))
      assert.strictEqual(yield* Effect.flip(job.exit), "boom")
      yield* job.empty
      yield* t.isEmpty
    }))

  scenario(
    "a Sink that fails on the last bytes of a command that has exited fails the runner",
    (t) =>
      Effect.gen(function*() {
        const slow = Sink.forEach(() => Effect.delay(Effect.fail("boom" as const), 300))
        const command = t.sh("echo x").pipe(Command.stdout(slow))
        assert.strictEqual(yield* Effect.flip(Command.run(command)), "boom")
      })
  )

  scenario("a Sink of a middle stage that fails ends the whole pipeline", (t) =>
    Effect.gen(function*() {
      const wait = t.sh("exec sleep 100")
      const middle = t.sh("echo x >&2; exec sleep 100").pipe(Command.stderr(failing))
      const error = yield* Effect.flip(Command.run(wait.pipe(Command.pipeTo(middle), Command.pipeTo(wait))))
      assert.strictEqual(error, "boom")
      yield* t.isEmpty
    }))

  scenario("a slow Sink gets every byte, also what is left when the job has gone", (t) =>
    Effect.gen(function*() {
      const bytes = 150_000
      const seen = createHash("sha256")
      const slow = Sink.forEach((chunk: Uint8Array) => Effect.delay(Effect.sync(() => void seen.update(chunk)), 120))
      yield* Command.run(t.sh(`head -c ${bytes} /dev/zero | tr '\\0' x`).pipe(Command.stdout(slow)))
      assert.strictEqual(seen.digest("hex"), createHash("sha256").update("x".repeat(bytes)).digest("hex"))
    }))

  scenario("a slow Sink keeps the command waiting, and not the bytes in our memory", (t) =>
    Effect.gen(function*() {
      const before = process.memoryUsage().rss
      const begun = yield* Deferred.make<void>()
      const stuck = Sink.forEach(() => Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never))
      const command = t.mark(Command.make("head", "-c", "1G", "/dev/zero")).pipe(Command.stdout(stuck))
      const blocked = Effect.zipRight(
        Deferred.await(begun),
        until("blocked", () => observer.alive(t.token).find(({ state }) => state === "S"))
      )
      within(yield* t.interrupt(command, blocked), g + e)
      assert.isBelow(process.memoryUsage().rss - before, 64 * 1024 * 1024)
    }))

  scenario("a Sink that is done closes its pipe, which the command can tell", (t) =>
    Effect.gen(function*() {
      const script = "trap '' PIPE; while echo x 2>/dev/null; do :; done; echo end >&2; exit 0"
      const [elapsed, result] = yield* timed(Command.run(t.sh(script).pipe(Command.stdout(Sink.take(1)))))
      assert.strictEqual(result.stderrText, "end\n")
      within(elapsed, 4 * e)
    }))

  // The pipes of Node are sockets: a writer finds a reset connection where a shell's finds SIGPIPE.
  if (guarantees.engine !== "child-process") {
    scenario("a command that dies of SIGPIPE because its Sink is done has not failed", (t) =>
      Effect.gen(function*() {
        const yes = t.mark(Command.make("yes"))
        const result = yield* Command.run(Command.stdout(yes, Sink.take(1)))
        assert.deepInclude(result.exit, { signal: "SIGPIPE" })
        const piped = Command.pipeTo(yes, t.mark(Command.make("cat"))).pipe(Command.stdout(Sink.take(1)))
        assert.deepStrictEqual((yield* Command.run(piped)).stages.map(({ exit }) => String(exit)), [
          "SIGPIPE",
          "SIGPIPE"
        ])
      }))
  }

  scenario("a Sink that never reads, and is interrupted with its job", (t) =>
    Effect.gen(function*() {
      const ended = yield* Ref.make(false)
      const never = Sink.unwrapScoped(
        Effect.as(Effect.addFinalizer(() => Ref.set(ended, true)), Sink.fromEffect(Effect.never))
      )
      within(yield* t.interrupt(t.sh("exec sleep 100").pipe(Command.stdout(never)), t.seeAlive(1)), g + e)
      assert.isTrue(yield* Ref.get(ended))
    }))
}
