/** How combinators distribute over the stages of a pipeline, what reaches the engine of it, and which stage fails it. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { inspect } from "node:util"
import { describe } from "vitest"
import { Command, type CommandError, Engine, ExitStatus, type ProcessSpawner, Stdio } from "../src/index.ts"
import * as FakeEngine from "./support/fakeEngine.ts"
import { notFound } from "./support/fates.ts"

const [a, b, c] = [Command.make("a"), Command.make("b"), Command.make("c")] as const
const three = a.pipe(Command.pipeTo(b), Command.pipeTo(c))

const requestOf = (command: Command.Command<unknown>) =>
  Effect.scoped(Effect.gen(function*() {
    const engine = yield* FakeEngine.make()
    yield* engine.provide(Command.start(command))
    return engine.job.request
  }))

/** Each redirection as `fd to` with the pipe's number. */
const wiring = ({ stages }: Engine.SpawnRequest) =>
  stages.map(({ redirects }) =>
    redirects.map((redirect) =>
      `${redirect.fd} ${redirect.to}${
        redirect.to === "pipe" ? ` ${redirect.pipe}` : redirect.to === "file" ? ` ${redirect.path}` : ""
      }`
    )
  )

describe("pipeTo", () => {
  it.effect("joins the stages by pipes without an owner, and the ends by the owner's", () =>
    Effect.gen(function*() {
      const request = yield* requestOf(three)
      assert.deepStrictEqual(request.stages.map(({ file }) => file), ["a", "b", "c"])
      const [one, two, last] = wiring(request)
      assert.deepStrictEqual(one, ["0 pipe 0", "1 pipe 1", "2 pipe 2"])
      assert.deepStrictEqual(two, ["0 pipe 1", "1 pipe 3", "2 pipe 4"])
      assert.deepStrictEqual(last, ["0 pipe 3", "1 pipe 5", "2 pipe 6"])
      assert.deepStrictEqual(request.pipes.map(({ owner }) => owner), [
        "writes",
        "none",
        "reads",
        "none",
        "reads",
        "reads",
        "reads"
      ])
    }))

  it.effect("pipes on stderr, or both, when told to", () =>
    Effect.gen(function*() {
      const stderr = wiring(yield* requestOf(Command.pipeTo(a, b, { from: "stderr" })))
      assert.deepStrictEqual(stderr, [["0 pipe 0", "1 pipe 2", "2 pipe 1"], ["0 pipe 1", "1 pipe 3", "2 pipe 4"]])
      const all = wiring(yield* requestOf(Command.pipeTo(a, b, { from: "all" })))
      assert.deepStrictEqual(all, [["0 pipe 0", "1 pipe 1", "2 pipe 1"], ["0 pipe 1", "1 pipe 2", "2 pipe 3"]])
    }))

  it.effect("is associative: in what reaches the engine, and in how it prints", () =>
    Effect.gen(function*() {
      const options = { from: "all" } as const
      const first = a.pipe(Command.env({ A: "1" }), Command.timeout("1 second"), Command.label("one"))
      const second = b.pipe(Command.stderr("ignore"), Command.timeout("2 seconds"), Command.gracePeriod("3 seconds"))
      const third = c.pipe(Command.gracePeriod("4 seconds"), Command.killSignal("SIGINT"), Command.maxOutput(5))
      const left = first.pipe(Command.pipeTo(second, options), Command.pipeTo(third))
      const right = first.pipe(Command.pipeTo(Command.pipeTo(second, third), options))
      assert.deepStrictEqual(yield* requestOf(left), yield* requestOf(right))
      assert.deepStrictEqual(left.toJSON(), right.toJSON())
      assert.strictEqual(String(left), "a |& b | c")
    }))

  it.effect("lets a stage's own redirection win on either side", () =>
    Effect.gen(function*() {
      const quiet = wiring(yield* requestOf(Command.pipeTo(Command.stdout(a, "ignore"), b)))
      assert.deepStrictEqual(quiet[0], ["0 pipe 0", "1 null", "2 pipe 2"])
      assert.deepStrictEqual(quiet[1]?.[0], "0 pipe 1")
      const fed = wiring(yield* requestOf(Command.pipeTo(a, Command.stdin(b, Stdio.file("in")))))
      assert.deepStrictEqual(fed[1]?.[0], "0 file in")
      const merged = yield* requestOf(Command.pipeTo(Command.stderr(a, Stdio.toStdout), b))
      assert.deepStrictEqual(merged.stages[0].redirects[2], { fd: 2, to: "descriptor", of: 1 })
    }))
})

describe("a combinator applied to a pipeline", () => {
  it.effect("applies to every stage: env merges, the later call wins", () =>
    Effect.gen(function*() {
      const command = Command.env(a, { A: "a", ALL: "a" }).pipe(
        Command.pipeTo(b.pipe(Command.workingDirectory("/b"), Command.nice(1))),
        Command.env({ ALL: "all", HOME: undefined }),
        Command.workingDirectory("/tmp"),
        Command.nice(2),
        Command.umask(0o77),
        Command.limits({ core: 0 }),
        Command.user({ uid: 1, gid: 2 }),
        Command.argv0("zero"),
        Command.fd(5, "ignore")
      )
      const [one, two] = (yield* requestOf(command)).stages
      assert.deepStrictEqual(one.env, { PATH: "/bin", A: "a", ALL: "all" })
      assert.deepStrictEqual(two?.env, { PATH: "/bin", ALL: "all" })
      for (const stage of [one, two]) {
        assert.deepInclude(stage, {
          workingDirectory: "/tmp",
          nice: 2,
          umask: 0o77,
          limits: { core: 0 },
          user: { uid: 1, gid: 2 },
          argv0: "zero"
        })
        assert.deepStrictEqual(stage?.redirects.at(-1), { fd: 5, to: "null" })
      }
    }))

  it.effect("changes neither the pipeline that it was applied to nor the commands in it", () =>
    Effect.gen(function*() {
      const before = yield* requestOf(three)
      Command.env(three, { X: "1" })
      Command.pipeTo(three, a)
      Command.stdout(b, "ignore")
      assert.deepStrictEqual(yield* requestOf(three), before)
    }))

  it.effect("gives stdin to the first, stdout to the last, stderr to all that do not pipe theirs on", () =>
    Effect.gen(function*() {
      const command = a.pipe(
        Command.pipeTo(b, { from: "stderr" }),
        Command.pipeTo(c),
        Command.stdin("ignore"),
        Command.stdout(Stdio.file("out")),
        Command.stderr(Stdio.file("err"))
      )
      const request = yield* requestOf(command)
      assert.deepStrictEqual(wiring(request), [
        ["0 null", "1 pipe 1", "2 pipe 0"],
        ["0 pipe 0", "1 pipe 2", "2 file err"],
        ["0 pipe 2", "1 file out", "2 file err"]
      ])
    }))

  it.effect("makes settings of the job: the left-most stage's, until a later call replaces them", () =>
    Effect.gen(function*() {
      const command = Command.pipeTo(
        a.pipe(Command.killSignal("SIGINT")),
        b.pipe(Command.killSignal("SIGHUP"), Command.gracePeriod("2 seconds"), Command.timeout("3 seconds"))
      )
      const millis = ({ gracePeriod, killSignal, timeout }: Engine.SpawnRequest) => [
        killSignal,
        String(gracePeriod),
        String(timeout)
      ]
      assert.deepStrictEqual(millis(yield* requestOf(command)), ["SIGINT", "Duration(2s)", "Duration(3s)"])
      const later = command.pipe(Command.killSignal("SIGQUIT"), Command.timeout("1 second"))
      assert.deepStrictEqual(millis(yield* requestOf(later)), ["SIGQUIT", "Duration(2s)", "Duration(1s)"])
    }))

  it.effect("acceptExitCodes is for every stage", () =>
    Effect.gen(function*() {
      const program = (job: FakeEngine.FakeJob) => {
        job.statuses = [[ExitStatus.exited(1), 0], [ExitStatus.exited(2), 1]]
        return job.exit(0)
      }
      const engine = yield* FakeEngine.make({ program })
      yield* engine.provide(Command.run(Command.pipeTo(a, b).pipe(Command.acceptExitCodes(1, 2))))
      const own = Command.pipeTo(Command.acceptExitCodes(a, 1), Command.acceptExitCodes(b, 2))
      yield* engine.provide(Command.run(own))
      const error = yield* Effect.flip(engine.provide(Command.run(own.pipe(Command.acceptExitCodes(1)))))
      assert.deepInclude(error, { _tag: "NonZeroExit", exitCode: 2, command: "b" })
    }))
})

describe("how it prints", () => {
  const secret = Redacted.make("s3cret")
  const command = Command.make("a", secret).pipe(
    Command.pipeTo(Command.make("b", "two words").pipe(Command.env({ TOKEN: secret })), { from: "stderr" }),
    Command.pipeTo(Command.make("c", "-p", secret), { from: "all" }),
    Command.pipeTo(Command.make("d"))
  )

  it("shows every stage and hides the secrets of each", () => {
    assert.strictEqual(String(command), "a <redacted> 2>| b 'two words' |& c -p <redacted> | d")
    for (const shown of [JSON.stringify(command), inspect(command)]) {
      assert.notInclude(shown, "s3cret")
      assert.include(shown, "two words")
    }
  })

  it.effect("hides a secret of one stage in what another one printed", () =>
    Effect.gen(function*() {
      const program = (job: FakeEngine.FakeJob) => {
        job.statuses = [0, 0, 3, 0].map((code, i) => [ExitStatus.exited(code), i])
        return Effect.all([job.errs[2]?.write("it was s3cret\n") ?? Effect.void, job.exit(0)])
      }
      const engine = yield* FakeEngine.make({ program })
      const quiet = Command.make("a", secret).pipe(
        Command.pipeTo(b),
        Command.pipeTo(Command.make("c")),
        Command.pipeTo(Command.make("d"))
      )
      const error = yield* Effect.flip(engine.provide(Command.run(quiet)))
      assert.strictEqual(error.message, "c: exit code 3: it was <redacted>")
      assert.notInclude(JSON.stringify(error), "s3cret")
      assert.notInclude(inspect(error), "s3cret")
    }))
})

describe("which stage fails a pipeline", () => {
  type Status = readonly [ExitStatus.ExitStatus | number, number]
  const pipefail = (command: Command.Command, ...statuses: ReadonlyArray<Status>) =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => {
          job.statuses = statuses.map(([status, order]) => [
            typeof status === "number" ? ExitStatus.exited(status) : status,
            order
          ])
          const prints = job.errs.map((err, i) => err.write(`stderr of ${i}\n`))
          return Effect.all([...prints, job.out.write("out"), job.exit(0)])
        }
      })
      return yield* Effect.either(engine.provide(Command.run(command)))
    })
  const failed = (result: Effect.Effect.Success<ReturnType<typeof pipefail>>) =>
    result._tag === "Right" ? undefined : result.left.message
  const sigpipe = ExitStatus.killed("SIGPIPE")

  it.effect("the last one that did, with its own name, status and stderr", () =>
    Effect.gen(function*() {
      assert.isUndefined(failed(yield* pipefail(three, [0, 0], [0, 1], [0, 2])))
      const middle = yield* pipefail(three, [0, 0], [3, 1], [0, 2])
      assert.strictEqual(failed(middle), "b: exit code 3: stderr of 1")
      if (middle._tag === "Right" || middle.left._tag !== "NonZeroExit") return assert.fail("it failed")
      assert.deepStrictEqual(middle.left.stages.map(({ command, exit, pid }) => [command, String(exit), pid]), [
        ["a", "exit code 0", 1000],
        ["b", "exit code 3", 1001],
        ["c", "exit code 0", 1002]
      ])
      assert.strictEqual(new TextDecoder().decode(middle.left.stdout), "out")
      assert.strictEqual(failed(yield* pipefail(three, [1, 0], [2, 1], [0, 2])), "b: exit code 2: stderr of 1")
      const killed = yield* pipefail(three, [1, 0], [0, 1], [ExitStatus.killed("SIGKILL"), 2])
      assert.strictEqual(failed(killed), "c: killed by SIGKILL: stderr of 2")
    }))

  it.effect("not a writer that died of SIGPIPE after its reader, or when it cannot be told", () =>
    Effect.gen(function*() {
      assert.isUndefined(failed(yield* pipefail(three, [sigpipe, 2], [sigpipe, 1], [0, 0])))
      assert.isUndefined(failed(yield* pipefail(three, [sigpipe, 0], [sigpipe, 0], [0, 0])))
      assert.strictEqual(
        failed(yield* pipefail(three, [sigpipe, 0], [0, 1], [0, 2])),
        "a: killed by SIGPIPE: stderr of 0"
      )
      // Of another signal, or with a code that says the same, it has failed.
      assert.match(failed(yield* pipefail(three, [ExitStatus.killed("SIGTERM"), 1], [0, 0], [0, 0])) ?? "", /SIGTERM/)
      assert.match(failed(yield* pipefail(three, [141, 1], [0, 0], [0, 0])) ?? "", /exit code 141/)
    }))

  it.effect("nor one whose reader reads something else", () =>
    Effect.gen(function*() {
      const own = Command.pipeTo(a, Command.feed(b, "own"))
      assert.isUndefined(failed(yield* pipefail(own, [sigpipe, 0], [0, 1])))
    }))

  it.effect("the last stage's death by SIGPIPE counts while we read on", () =>
    Effect.gen(function*() {
      assert.match(failed(yield* pipefail(three, [0, 0], [0, 1], [sigpipe, 2])) ?? "", /^c: killed by SIGPIPE/)
    }))

  it.effect("every runner fails alike; exitCode and success tell the same stage's status", () =>
    Effect.gen(function*() {
      const program = (job: FakeEngine.FakeJob) => {
        job.statuses = [[ExitStatus.exited(0), 0], [ExitStatus.exited(3), 1], [ExitStatus.exited(0), 2]]
        return Effect.all([job.out.write("out\n"), job.exit(0)])
      }
      const engine = yield* FakeEngine.make({ program })
      const runners: ReadonlyArray<Effect.Effect<unknown, CommandError, ProcessSpawner>> = [
        Command.run(three),
        Command.string(three),
        Command.lines(three),
        Stream.runDrain(Command.stream(three)),
        Stream.runDrain(Command.streamLines(three)),
        Stream.runDrain(Stream.empty.pipe(Command.through(three))),
        Stream.run(Stream.empty, Command.sink(three))
      ]
      for (const runner of runners) {
        assert.strictEqual((yield* Effect.flip(engine.provide(runner))).message, "b: exit code 3")
      }
      assert.strictEqual(yield* engine.provide(Command.exitCode(three)), 3)
      assert.isFalse(yield* engine.provide(Command.success(three)))
      const events = [...yield* engine.provide(Stream.runCollect(Command.events(three)))]
      assert.deepInclude(events.at(-1), { _tag: "Ended" })
      const last = events.at(-1)
      assert.strictEqual(last?._tag === "Ended" ? String(last.exit) : "", "exit code 3")
    }))

  it.effect("a spawn that fails names the stage that could not be started", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      engine.beforeAnswer = notFound("b", 1)
      const error = yield* Effect.flip(engine.provide(Command.run(three)))
      assert.strictEqual(error.message, "b: NotFound: no such program (ENOENT)")
    }))

  it.effect("stderr of all stages is captured, and the tails are each stage's own", () =>
    Effect.gen(function*() {
      const result = yield* pipefail(three, [0, 0], [0, 1], [0, 2])
      if (result._tag === "Left") return assert.fail(result.left.message)
      const lines = result.right.stderrText.trim().split("\n").sort()
      assert.deepStrictEqual(lines, ["stderr of 0", "stderr of 1", "stderr of 2"])
      assert.deepStrictEqual(result.right.stages.map(({ stderrTail }) => stderrTail.trim()), lines)
    }))
})

describe("several outputs in one", () => {
  it.effect("one that has ended wakes nobody while the others are waited for", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) => Effect.zipRight(job.errs[0]?.end ?? Effect.void, Effect.never)
      })
      yield* Effect.scoped(Effect.gen(function*() {
        const process = yield* engine.provide(Command.start(three))
        const reading = yield* Effect.fork(Stream.runFold(process.stderr, 0, (sum, bytes) => sum + bytes.length))
        yield* FakeEngine.settle
        yield* engine.job.errs[2]?.write("12345") ?? Effect.void
        yield* FakeEngine.settle
        yield* engine.job.exit(0)
        assert.strictEqual(yield* reading, 5)
      }))
    }))
})
