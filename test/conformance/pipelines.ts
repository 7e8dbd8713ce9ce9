/** Pipelines: scenarios 25 and 29 with more than one stage, and what a pipeline promises beyond its commands. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Command, type CommandError, type CommandResult, type NonZeroExit, type ProcessSpawner } from "effect-process"
import * as fs from "node:fs"
import * as path from "node:path"
import { temporaryDirectory } from "../support/fixtures.ts"
import * as observer from "../support/observer.ts"
import { noDescriptorBut, type Suite, timed, until, within } from "../support/scenario.ts"

const codes = ({ stages }: Pick<CommandResult, "stages">) => stages.map(({ exit }) => String(exit))

type Failing = Effect.Effect<unknown, CommandError, ProcessSpawner>

/** Every runner that fails when a stage does. */
const failing = (command: Command.Command): Readonly<Record<string, Failing>> => {
  const input = Stream.make(Buffer.from("input\n"))
  return {
    run: Command.run(command),
    string: Command.string(command),
    lines: Command.lines(command),
    json: Command.json(command, Schema.String) as Failing,
    stream: Stream.runDrain(Command.stream(command)),
    streamLines: Stream.runDrain(Command.streamLines(command)),
    through: Stream.runDrain(input.pipe(Command.through(command))),
    sink: Stream.run(input, Command.sink(command))
  }
}

export const pipelines = ({ bounds: { e, g }, scenario, subject: { guarantees } }: Suite): void => {
  scenario("25: yes | head -1 succeeds, and in three stages too", (t) =>
    Effect.gen(function*() {
      const yes = t.mark(Command.make("yes"))
      const head = t.mark(Command.make("head", "-1"))
      const [elapsed, result] = yield* timed(Command.run(Command.pipeTo(yes, head)))
      within(elapsed, 2 * e)
      assert.strictEqual(result.stdoutText, "y\n")
      assert.strictEqual(String(result.exit), "exit code 0")
      assert.deepStrictEqual(codes(result), ["SIGPIPE", "exit code 0"])
      const three = yes.pipe(Command.pipeTo(t.mark(Command.make("cat"))), Command.pipeTo(head))
      assert.deepStrictEqual(codes(yield* Command.run(three)), ["SIGPIPE", "SIGPIPE", "exit code 0"])
      assert.isTrue(yield* Command.success(three))
    }))

  // The kernel closes what a reader had open before it can be waited for; sed closes its stdin by itself, and before its exit.
  for (const reader of ["exec head -1", "exec sed 1q", "read x; echo y; exec 0<&-; sleep 0.02"]) {
    scenario(
      `25: no death of a writer by SIGPIPE is a failure, fifty times over: ${reader}`,
      (t) =>
        Effect.gen(function*() {
          const command = t.mark(Command.make("yes")).pipe(
            Command.pipeTo(t.mark(Command.make("cat"))),
            Command.pipeTo(t.sh(reader))
          )
          const all = Effect.forEach(Array.from({ length: 50 }), () => Command.string(command), { concurrency: 4 })
          assert.deepStrictEqual(new Set(yield* all), new Set(["y\n"]))
        })
    )
  }

  scenario(
    "25: a pipeline ends with its own stdin, whatever was spawned in the same turn",
    (t) =>
      Effect.gen(function*() {
        const cat = t.mark(Command.make("cat"))
        const [pipeline, alone, piped] = yield* Effect.all([
          Command.start(Command.pipeTo(cat, cat)),
          Command.start(t.sh("exec sleep 100")),
          Command.start(Command.pipeTo(t.sh("exec sleep 100"), cat))
        ], { concurrency: "unbounded" })
        yield* Stream.run(Stream.empty, pipeline.stdin)
        assert.strictEqual(yield* pipeline.exitCode, 0)
        assert.deepStrictEqual([yield* alone.isRunning, yield* piped.isRunning], [true, true])
      })
  )

  scenario("a writer that dies of SIGPIPE while its reader reads on has failed", (t) =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const [pid, go] = [path.join(directory, "pid"), path.join(directory, "go")]
      const writer = t.sh("echo $$ > pid; kill -PIPE $$")
      const reader = t.sh("until [ -e go ]; do sleep 0.01; done")
      const pipeline = t.sh(":").pipe(
        Command.pipeTo(writer),
        Command.pipeTo(reader),
        Command.workingDirectory(directory)
      )
      const running = yield* Effect.fork(Effect.flip(Command.run(pipeline)))
      // Whoever waits for the writer looks at its reader then; on Node later than that, but before any code of ours runs.
      yield* until("the writer has been waited for", () => {
        const written = fs.existsSync(pid) ? Number(fs.readFileSync(pid, "utf8")) : 0
        return written > 0 && observer.see(written) === undefined || undefined
      })
      fs.writeFileSync(go, "")
      const error = yield* Fiber.join(running)
      assert.deepInclude(error, { _tag: "Signaled", signal: "SIGPIPE", command: String(writer) })
    }))

  scenario("29: ten megabytes of stderr in any stage stop nothing", (t) =>
    Effect.gen(function*() {
      const loud = t.sh("head -c 10000000 /dev/zero >&2; cat; echo done")
      const quiet = t.mark(Command.make("cat"))
      for (const stages of [[loud, quiet, quiet], [quiet, loud, quiet], [loud, loud, loud]] as const) {
        const [first, second, third] = stages
        const command = first.pipe(Command.pipeTo(second), Command.pipeTo(third))
        const expected = "done\n".repeat(stages.filter((stage) => stage === loud).length)
        assert.strictEqual(yield* Command.string(command), expected)
        assert.strictEqual(yield* Stream.mkString(Stream.decodeText(Command.stream(command))), expected)
        assert.strictEqual(yield* Command.exitCode(command), 0)
      }
    }))

  scenario("29: stderr holds that of every stage", (t) =>
    Effect.gen(function*() {
      const stage = (name: string, before = "") => t.sh(`${before}echo ${name} >&2; cat`)
      const command = stage("one").pipe(Command.pipeTo(stage("two")), Command.pipeTo(stage("three")))
      const result = yield* Command.run(command)
      assert.deepStrictEqual(result.stderrText.trim().split("\n").sort(), ["one", "three", "two"])
      assert.deepStrictEqual(result.stages.map(({ stderrTail }) => stderrTail), ["one\n", "two\n", "three\n"])
    }))

  scenario(
    "pipefail: every runner fails with the stage that failed, its name and the end of its stderr",
    (t) =>
      Effect.gen(function*() {
        const middle = t.sh("cat >/dev/null; echo middle >&2; exit 3")
        const command = t.sh("echo first >&2; echo x").pipe(
          Command.pipeTo(middle),
          Command.pipeTo(t.sh("cat; echo last >&2"))
        )
        for (const [runner, effect] of Object.entries(failing(command))) {
          const error = yield* Effect.flip(effect)
          assert.strictEqual(error._tag, "NonZeroExit", runner)
          const { command: name, exitCode, message, stages, stderrTail } = error as NonZeroExit
          assert.deepStrictEqual([exitCode, name, stderrTail], [3, String(middle), "middle\n"], runner)
          assert.match(message, /exit code 3: middle$/, runner)
          assert.deepStrictEqual(codes({ stages }), ["exit code 0", "exit code 3", "exit code 0"], runner)
        }
        assert.strictEqual(yield* Command.exitCode(command), 3)
        assert.isFalse(yield* Command.success(command))
      })
  )

  scenario(
    "pipefail: of several that failed it is the last one, and each stage has its own accepted codes",
    (t) =>
      Effect.gen(function*() {
        const [two, four, fine] = [t.sh("exit 2"), t.sh("exit 4"), t.sh("cat")]
        const command = two.pipe(Command.pipeTo(four), Command.pipeTo(fine))
        assert.deepInclude(yield* Effect.flip(Command.run(command)), { exitCode: 4, command: String(four) })
        const lenient = two.pipe(Command.pipeTo(Command.acceptExitCodes(four, 4)), Command.pipeTo(fine))
        assert.deepInclude(yield* Effect.flip(Command.run(lenient)), { exitCode: 2, command: String(two) })
        const any = Command.acceptExitCodes(command, "any")
        assert.deepStrictEqual(codes(yield* Command.run(any)), ["exit code 2", "exit code 4", "exit code 0"])
      })
  )

  scenario("statuses by stage: names, pids, death by a signal", (t) =>
    Effect.gen(function*() {
      const stages = [t.sh("exit 5"), t.sh("kill -KILL $$"), t.sh("exit 7")] as const
      const command = stages[0].pipe(Command.pipeTo(stages[1]), Command.pipeTo(stages[2]))
      const job = yield* Command.start(command)
      yield* Effect.fork(Stream.runDrain(job.stdout))
      const results = yield* job.stages
      assert.deepStrictEqual(results.map((stage) => stage.command), stages.map(String))
      assert.deepStrictEqual(codes({ stages: results }), ["exit code 5", "SIGKILL", "exit code 7"])
      assert.lengthOf(new Set(results.map(({ pid }) => pid)), 3)
      assert.strictEqual(results[0]?.pid, job.pid)
      assert.strictEqual(String(yield* job.exit), "exit code 7")
    }))

  for (const at of [0, 1, 2]) {
    scenario(
      `a stage that cannot be spawned fails the whole and ends the others: stage ${at}`,
      (t) =>
        Effect.gen(function*() {
          const before = observer.descriptors()
          const stages = [0, 1, 2].map((i) => i === at ? t.mark(Command.make("no-such-program")) : t.sh("sleep 100; :"))
          const [first, second, third] = stages
          if (first === undefined || second === undefined || third === undefined) return
          const command = first.pipe(Command.pipeTo(second), Command.pipeTo(third))
          const [elapsed, error] = yield* timed(Effect.flip(Command.run(command)))
          assert.deepInclude(error, {
            _tag: "SpawnError",
            reason: "NotFound",
            stage: "exec",
            errno: "ENOENT",
            command: "no-such-program"
          })
          within(elapsed, 2 * e)
          yield* t.isEmpty
          yield* noDescriptorBut(before)
        })
    )
  }

  scenario("sixty-four stages pass on what the first is fed", (t) =>
    Effect.gen(function*() {
      const cat = t.mark(Command.make("cat"))
      const command = Array.from({ length: 63 }).reduce<Command.Command>((self) => Command.pipeTo(self, cat), cat)
      assert.strictEqual(yield* Command.string(Command.feed(command, "far\n")), "far\n")
    }))

  scenario("a stage with a bad directory fails the whole, and the error is its own", (t) =>
    Effect.gen(function*() {
      const bad = t.sh("cat").pipe(Command.workingDirectory("/no/such/directory"))
      const error = yield* Effect.flip(Command.run(Command.pipeTo(t.sh("sleep 100; :"), bad)))
      assert.deepInclude(error, { reason: "BadWorkingDirectory", stage: "chdir", path: "/no/such/directory" })
      assert.deepInclude(error, { command: String(bad) })
      yield* t.isEmpty
    }))

  scenario("from: stdout, stderr, or both in the order of writing", (t) =>
    Effect.gen(function*() {
      const upper = t.mark(Command.make("tr", "a-z", "A-Z"))
      const both = t.sh("echo out; echo err >&2")
      assert.strictEqual((yield* Command.run(Command.pipeTo(both, upper))).stdoutText, "OUT\n")
      const fromStderr = yield* Command.run(Command.pipeTo(both, upper, { from: "stderr" }))
      assert.deepStrictEqual(fromStderr.stdoutText.split("\n").sort(), ["", "ERR", "out"])
      assert.strictEqual(fromStderr.stderrText, "")
      const alternating = t.sh("i=0; while [ $i -lt 2000 ]; do printf o; printf e >&2; i=$((i + 1)); done")
      const all = yield* Command.string(Command.pipeTo(alternating, upper, { from: "all" }))
      assert.strictEqual(all, "OE".repeat(2000))
    }))

  scenario("a stage's own redirection wins over the pipe", (t) =>
    Effect.gen(function*() {
      const cat = t.mark(Command.make("cat"))
      const ignoring = t.sh("echo out; echo err >&2").pipe(Command.stdout("ignore"))
      assert.strictEqual(yield* Command.string(Command.pipeTo(ignoring, cat)), "")
      const own = cat.pipe(Command.feed("mine\n"))
      const result = yield* Command.run(Command.pipeTo(t.mark(Command.make("yes")), own))
      assert.strictEqual(result.stdoutText, "mine\n")
      assert.deepStrictEqual(codes(result), ["SIGPIPE", "exit code 0"])
    }))

  scenario("each stage keeps its own environment and directory", (t) =>
    Effect.gen(function*() {
      const stage = (name: string, directory: string) =>
        t.sh("cat; echo $NAME $BOTH $(pwd)").pipe(Command.env({ NAME: name }), Command.workingDirectory(directory))
      const command = stage("one", "/").pipe(
        Command.pipeTo(stage("two", "/usr")),
        Command.pipeTo(stage("three", "/dev")),
        Command.env({ BOTH: "both" }),
        Command.feed("")
      )
      assert.deepStrictEqual(yield* Command.lines(command), ["one both /", "two both /usr", "three both /dev"])
    }))

  scenario(
    "interrupting a pipeline ends every stage, without waiting out the grace period",
    (t) =>
      Effect.gen(function*() {
        const stage = t.sh("sleep 100 & exec sleep 100")
        const command = stage.pipe(Command.pipeTo(stage), Command.pipeTo(stage))
        within(yield* t.interrupt(command, t.seeAlive(6)), e)
      })
  )

  scenario(
    "interrupting a pipeline whose middle ignores TERM ends it within the grace period",
    (t) =>
      Effect.gen(function*() {
        const stage = t.sh("exec sleep 100")
        const stubborn = t.sh("trap \"\" TERM; while :; do sleep 1; done")
        const command = stage.pipe(Command.pipeTo(stubborn), Command.pipeTo(stage), Command.gracePeriod(g))
        const elapsed = yield* t.interrupt(command, t.seeAlive(4))
        assert.isAtLeast(elapsed, g)
        within(elapsed, g + e)
      })
  )

  scenario("a deadline of a pipeline ends every stage and tells what was printed", (t) =>
    Effect.gen(function*() {
      const command = t.sh("echo early; exec sleep 100").pipe(
        Command.pipeTo(t.sh("cat; sleep 100")),
        Command.pipeTo(t.mark(Command.make("cat"))),
        // By then it has come through all of them, on a busy machine too.
        Command.timeout(1_000)
      )
      const [elapsed, error] = yield* timed(Effect.flip(Command.run(command)))
      assert.deepInclude(error, { _tag: "TimedOut", stdoutTail: "early\n" })
      within(elapsed, 1_000 + e)
      yield* t.isEmpty
    }))

  scenario("a signal to the group reaches every stage", (t) =>
    Effect.gen(function*() {
      const stage = t.sh("trap 'exit 9' USR1; echo ready >&2; while :; do sleep 0.05; done")
      const job = yield* Command.start(Command.pipeTo(stage, stage))
      let ready = ""
      // Read on: the shell says on stderr what became of its sleep.
      yield* Effect.fork(Stream.runForEach(Stream.decodeText(job.stderr), (text) => Effect.sync(() => ready += text)))
      yield* until("both are ready", () => ready.split("ready").length > 2 || undefined)
      yield* job.signal("SIGUSR1")
      assert.deepStrictEqual(codes({ stages: yield* job.stages }), ["exit code 9", "exit code 9"])
    }))

  scenario("what a middle stage leaves in its group is listed and ended", (t) =>
    Effect.gen(function*() {
      const cat = t.mark(Command.make("cat"))
      const leaky = t.sh("sleep 100 >/dev/null 2>&1 <&- & cat")
      const { leaked, stdoutText } = yield* Command.run(
        t.sh("echo x").pipe(Command.pipeTo(leaky), Command.pipeTo(cat))
      )
      assert.strictEqual(stdoutText, "x\n")
      assert.isAtMost(leaked.length, 1)
      if (guarantees.reach === "descendants") assert.lengthOf(leaked, 1)
      yield* t.isEmpty
    }))

  if (guarantees.reach === "descendants") {
    scenario("an escapee of a middle stage is gone when the scope has closed", (t) =>
      Effect.gen(function*() {
        const cat = t.mark(Command.make("cat"))
        const escaping = t.sh("setsid sleep 101 >/dev/null 2>&1 & cat")
        const waiting = t.sh("exec sleep 100").pipe(Command.pipeTo(escaping), Command.pipeTo(cat))
        within(yield* t.interrupt(waiting, t.seeRunning("sleep 100", "sleep 101", "cat")), g + e)
        const { leaked } = yield* Command.run(t.sh("echo x").pipe(Command.pipeTo(escaping), Command.pipeTo(cat)))
        assert.lengthOf(leaked, 1)
        yield* t.isEmpty
      }))

    scenario("all stages are in one process group", (t) =>
      Effect.gen(function*() {
        const stage = t.sh("exec sleep 100")
        const job = yield* Command.start(stage.pipe(Command.pipeTo(stage), Command.pipeTo(stage)))
        const seen = yield* t.seeAlive(3)
        assert.deepStrictEqual(new Set(seen.map(({ pgid }) => pgid)), new Set([job.processGroupId]))
      }))
  }
}
