/** Commands that start nothing: which rule is for which, their pipes and files, and what is remembered. */
import { assert, describe, it } from "@effect/vitest"
import { ScriptedSpawner } from "@effect-process/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { Command, ExitStatus, ProcessSpawner, Stdio } from "effect-process"
import { output, script } from "./support/script.ts"

const { answers, answersWith, any, anyCommand, inDirectory, layer, on, once, rest, runs, times, where, withEnv } =
  ScriptedSpawner

describe("rules", () => {
  it.effect("match the program and exactly its arguments; rest takes any more, any takes one", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* output("git", "status"), "exact")
      assert.strictEqual(yield* output("git", "push"), "rest")
      assert.strictEqual(yield* output("git", "push", "origin", "main"), "rest")
      assert.strictEqual(yield* output("tar", "-xf", "a.tgz"), "expression")
      assert.strictEqual(yield* output("cp", "a", "b"), "any")
      assert.strictEqual(yield* output("ls", "-l"), "function")
    }).pipe(script(
      on("git", "status").pipe(answers({ stdout: "exact" })),
      on("git", "push", rest).pipe(answers({ stdout: "rest" })),
      on("tar", "-xf", /\.tgz$/g).pipe(answers({ stdout: "expression" })),
      on("cp", any, any).pipe(answers({ stdout: "any" })),
      on("ls", (word) => word.startsWith("-")).pipe(answers({ stdout: "function" }))
    )))

  it.effect("are asked in order, and one that is used up leaves the rest to those below", () =>
    Effect.gen(function*() {
      const seen = yield* Effect.replicateEffect(output("date"), 5)
      assert.deepStrictEqual(seen, ["one", "two", "two", "ever", "ever"])
    }).pipe(script(
      on("date").pipe(answers({ stdout: "one" }), once),
      on("date").pipe(answers({ stdout: "two" }), times(2)),
      anyCommand.pipe(answers({ stdout: "ever" }))
    )))

  it.effect("look at directory, environment, and whatever a predicate wants", () =>
    Effect.gen(function*() {
      const make = Command.make("make")
      assert.strictEqual(yield* Command.string(Command.workingDirectory(make, "/srv")), "there")
      assert.strictEqual(yield* Command.string(Command.env(make, { CC: "clang", PATH: undefined })), "with clang")
      assert.strictEqual(yield* Command.string(Command.env(make, { A: "1", B: "2" })), "three")
      assert.strictEqual(yield* Command.string(make), "any")
    }).pipe(script(
      on("make").pipe(inDirectory("/srv"), answers({ stdout: "there" })),
      on("make").pipe(withEnv({ CC: /clang/, PATH: undefined }), answers({ stdout: "with clang" })),
      on("make").pipe(
        where("three variables", ({ env }) => Object.keys(env).length === 3),
        answers({ stdout: "three" })
      ),
      on("make").pipe(answers({ stdout: "any" }))
    )))

  it("are pipeable and data-first, and say what is no number of times", () => {
    const rule = answers(on("true"), {})
    assert.strictEqual(times(rule, 3).times, 3)
    assert.throws(() => times(rule, 0), /write a whole number/)
  })
})

describe("pipelines and redirections", () => {
  it.effect("bytes flow from stage to stage, and each stage is a call", () =>
    Effect.gen(function*() {
      const line = Command.make("git", "log").pipe(
        Command.pipeTo(Command.make("grep", "fix")),
        Command.pipeTo(Command.make("wc", "-l"))
      )
      assert.strictEqual(yield* Command.string(line), "2\n")
      const calls = yield* ScriptedSpawner.calls
      assert.deepStrictEqual(calls.map(({ command, job, stage, stdin }) => [command, job, stage, stdin]), [
        ["git log", 0, 0, ""],
        ["grep fix", 0, 1, "fix a\nadd b\nfix c\n"],
        ["wc -l", 0, 2, "fix a\nfix c\n"]
      ])
    }).pipe(script(
      on("git", "log").pipe(answers({ stdout: "fix a\nadd b\nfix c\n" })),
      on("grep", any).pipe(
        answersWith(({ args, stdinText }) => ({
          stdout: stdinText.split("\n").filter((line) => line.includes(args[0] ?? "")).map((line) => `${line}\n`).join(
            ""
          )
        }))
      ),
      on("wc", "-l").pipe(answersWith(({ stdinText }) => ({ stdout: `${stdinText.split("\n").length - 1}\n` })))
    )))

  it.effect("a stage that fails fails the pipeline; a writer whose reader has gone does not", () =>
    Effect.gen(function*() {
      const failing = Command.make("dump").pipe(Command.pipeTo(Command.make("gzip")))
      const error = yield* Effect.flip(Command.run(failing))
      assert.strictEqual(error.message, "dump: exit code 2: no such table")
      const head = Command.make("yes").pipe(Command.pipeTo(Command.make("head")))
      assert.strictEqual(yield* Command.string(head), "y\n")
    }).pipe(script(
      on("dump").pipe(answers({ stdout: "half", stderr: "no such table\n", exit: 2 })),
      on("gzip").pipe(answers({})),
      on("yes").pipe(runs((child) => Effect.forever(child.stdout("y\n")))),
      on("head").pipe(answers({ stdout: "y\n", stdin: "leave" }))
    )))

  it.effect("2>&1, Sinks and further descriptors lead where the command says", () =>
    Effect.gen(function*() {
      const both = Command.make("noisy").pipe(Command.stderr(Stdio.toStdout))
      assert.strictEqual(yield* Command.string(both), "outerr")
      const parts: Array<Uint8Array> = []
      const status = Sink.forEach((bytes: Uint8Array) => Effect.sync(() => parts.push(bytes)))
      yield* Command.run(Command.make("gpg").pipe(Command.fd(3, Stream.make("s3cret")), Command.fd(4, status)))
      assert.strictEqual(Buffer.concat(parts).toString(), "[GNUPG:]")
      const call = (yield* ScriptedSpawner.calls)[1]
      assert.strictEqual(Buffer.from(call?.reveal().inputs.get(3) ?? []).toString(), "s3cret")
    }).pipe(script(
      on("noisy").pipe(answers({ stdout: "out", stderr: "err" })),
      on("gpg").pipe(answers({ descriptors: { 4: "[GNUPG:]" } }))
    )))

  it.effect("files are those of the script, and what is written is there to read", () =>
    Effect.gen(function*() {
      yield* Command.run(Command.make("dump").pipe(Command.stdout(Stdio.file("/srv/shop.sql"))))
      yield* Command.run(Command.make("dump").pipe(Command.stdout(Stdio.file("/srv/shop.sql", { append: true }))))
      const sorted = Command.make("cat").pipe(Command.stdin(Stdio.file("/srv/shop.sql")))
      assert.strictEqual(yield* Command.string(sorted), "data;data;")
      assert.strictEqual(
        yield* Command.string(Command.make("cat").pipe(Command.stdin(Stdio.file("/etc/given")))),
        "given"
      )
      const missing = yield* Effect.flip(Command.run(Command.make("cat").pipe(Command.stdin(Stdio.file("/srv/none")))))
      assert(missing._tag === "SpawnError")
      assert.deepStrictEqual([missing.reason, missing.stage, missing.path], ["NotFound", "open", "/srv/none"])
      const { files } = yield* ScriptedSpawner.ScriptedSpawner
      assert.strictEqual(Buffer.from((yield* files).get("/srv/shop.sql") ?? []).toString(), "data;data;")
    }).pipe(Effect.provide(layer([
      on("dump").pipe(answers({ stdout: "data;" })),
      on("cat").pipe(answersWith(({ stdin }) => ({ stdout: stdin })))
    ], { files: { "/etc/given": "given" } }))))
})

describe("what is remembered", () => {
  it.effect("program, arguments, changed environment, directory, times and status", () =>
    Effect.gen(function*() {
      const command = Command.make("deploy", "a b").pipe(
        Command.env({ STAGE: "test", PATH: undefined }),
        Command.workingDirectory("/srv")
      )
      yield* TestClock.adjust("1 second")
      const fiber = yield* Effect.fork(Command.run(command))
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(fiber)
      const [call] = yield* ScriptedSpawner.calls
      const { reveal, ...fields } = call!
      assert.deepStrictEqual(fields, {
        command: "deploy 'a b'",
        file: "deploy",
        args: ["a b"],
        env: { STAGE: "test", PATH: undefined },
        workingDirectory: "/srv",
        job: 0,
        stage: 0,
        rule: 1,
        pid: 1000,
        startedAt: 1000,
        endedAt: 4000,
        stdin: "",
        stdout: "done\n",
        stderr: "",
        signals: [],
        exit: ExitStatus.exited(0)
      })
      assert.deepStrictEqual(reveal().env, { STAGE: "test" })
    }).pipe(script(on("deploy", any).pipe(answers({ stdout: "done\n", takes: Duration.seconds(3) })))))

  it.effect("a secret is there for an assertion that asks for it, and nowhere else", () =>
    Effect.gen(function*() {
      const login = Command.make("login", "--token", Redacted.make("s3cret")).pipe(
        Command.env({ KEY: Redacted.make("k3y"), OPEN: "x" }),
        Command.feed("s3cret\n")
      )
      yield* Command.run(login)
      const [call] = yield* ScriptedSpawner.calls
      assert.strictEqual(call?.command, "login --token <redacted>")
      assert.deepStrictEqual([call?.args, call?.env], [["--token", "<redacted>"], { KEY: "<redacted>", OPEN: "x" }])
      assert.notMatch(JSON.stringify(call), /s3cret|k3y/)
      const { args, env, stdin } = call!.reveal()
      assert.deepStrictEqual([args[1], env["KEY"], stdin], ["s3cret", "k3y", "s3cret\n"])
    }).pipe(script(on("login", "--token", Redacted.make("s3cret")).pipe(answers({ stdout: "welcome, s3cret" })))))

  it.effect("unused rules, and verify", () =>
    Effect.gen(function*() {
      yield* output("a")
      assert.deepStrictEqual(yield* ScriptedSpawner.unused, ["rule 2: a x ... (0 of 1 times)", "rule 3: b (with C=1)"])
      const error = yield* Effect.flip(ScriptedSpawner.verify)
      assert.strictEqual(
        error.message,
        "these rules were not used, or not as often as they say:\n  rule 2: a x ... (0 of 1 times)\n  rule 3: b (with C=1)"
      )
      yield* output("a", "x", "y")
      yield* Command.run(Command.make("b").pipe(Command.env({ C: "1" })))
      yield* ScriptedSpawner.verify
    }).pipe(script(
      on("a").pipe(answers({})),
      on("a", "x", rest).pipe(answers({}), once),
      on("b").pipe(withEnv({ C: "1" }), answers({}))
    )))
})

describe("a command that no rule is for", () => {
  const unmatched = (command: Command.Command, ...rules: ReadonlyArray<ScriptedSpawner.Rule>) =>
    Effect.map(Effect.exit(script(...rules)(Command.run(command))), (exit) => {
      assert(Exit.isFailure(exit))
      const [defect, ...more] = Cause.defects(exit.cause)
      assert.lengthOf(more, 0)
      assert.instanceOf(defect, ScriptedSpawner.UnmatchedCommand)
      return defect
    })

  const ok = answers({})

  it.effect("is shown beside the nearest rule, with what differs marked", () =>
    Effect.gen(function*() {
      const error = yield* unmatched(
        Command.make("git", "push", "--force", "origin", "main").pipe(Command.workingDirectory("/srv/app")),
        on("git", "status").pipe(ok),
        on("git", "push", "origin", /^release/).pipe(ok)
      )
      assert.strictEqual(error.nearest, "git push origin /^release/")
      assert.strictEqual(
        error.message,
        `no rule matches the command

  git push --force origin main

in directory /srv/app

nearest is rule 2 of 2:

  command  git push --force origin main
  rule     git push         origin /^release/
                    ^^^^^^^        ^^^^^^^^^^

  - argument 2 is --force, which the rule does not have
  - argument 4 is main, the rule has /^release/

Add a rule with ScriptedSpawner.on, or mend the command. ScriptedSpawner.rest takes any further arguments.
`
      )
    }))

  it.effect("is told which argument is missing and which condition does not hold", () =>
    Effect.gen(function*() {
      const missing = yield* unmatched(Command.make("cp", "a"), on("cp", any, "b", rest).pipe(ok))
      assert.include(missing.message, "  command  cp a\n  rule     cp <any> b ...\n                    ^")
      assert.include(missing.message, "b is missing as argument 2")
      const directory = yield* unmatched(
        Command.make("make").pipe(Command.workingDirectory("/tmp")),
        on("make").pipe(inDirectory("/srv"), ok)
      )
      assert.include(directory.message, "the condition (in directory /srv) does not hold: it is /tmp")
      const variable = yield* unmatched(
        Command.make("make").pipe(Command.env({ KEY: Redacted.make("s3cret") })),
        on("make").pipe(withEnv({ KEY: "other" }), ok)
      )
      assert.include(variable.message, "the condition (with KEY=other) does not hold: KEY is \"<redacted>\"")
    }))

  it.effect("is told of a rule that has been used up, and of a script without rules", () =>
    Effect.gen(function*() {
      const usedUp = yield* unmatched(Command.make("a").pipe(Command.pipeTo(Command.make("a"))), on("a").pipe(ok, once))
      assert.include(usedUp.message, "stage 2 of a pipeline of 2")
      assert.include(
        usedUp.message,
        "rule 1 of 1 is for it and has answered once already, as it was told to (once):\n\n  a\n"
      )
      assert.include((yield* unmatched(Command.make("a"))).message, "there is no rule at all")
    }))

  it.effect("shows no secret", () =>
    Effect.gen(function*() {
      const secret = Redacted.make("s3cret")
      const error = yield* unmatched(
        Command.make`login --token=${secret} ${secret}`,
        on("login", "--token=s3cret").pipe(ok)
      )
      assert.notInclude(JSON.stringify(error) + error.message, "s3cret")
      assert.include(error.message, "<redacted>")
    }))

  it.effect("is told even when the program swallows it", () =>
    Effect.gen(function*() {
      const swallowed = script()(Effect.catchAllCause(Command.run(Command.make("rm", "-r", "x")), () => Effect.void))
      const exit = yield* Effect.exit(swallowed)
      assert(Exit.isFailure(exit))
      assert.match(Cause.pretty(exit.cause), /no rule matches the command\s+rm -r x/)
    }))

  it.effect("is a mistake in a function of the script as well", () =>
    Effect.gen(function*() {
      const fails = (rule: ScriptedSpawner.Rule) =>
        Effect.map(Effect.exit(script(rule)(Command.run(Command.make("a")))), (exit) =>
          Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "")
      assert.match(yield* fails(on("a").pipe(answersWith(() => ({ exit: 300 })))), /exit: 300 is no exit code/)
      assert.match(
        yield* fails(
          on("a").pipe(runs(() =>
            Effect.succeed(-1)
          ))
        ),
        /exit: -1 is no exit code/
      )
      assert.match(yield* fails(on("a").pipe(runs(() => Effect.die(new Error("oops"))))), /oops/)
    }))
})

it.effect("the spawner says what it is, and what the option says of ports", () =>
  Effect.gen(function*() {
    const spawner = yield* ProcessSpawner
    assert.strictEqual(spawner.guarantees.engine, "scripted")
    assert.isTrue(yield* spawner.connect(8080, "localhost"))
    assert.isFalse(yield* spawner.connect(80, "localhost"))
  }).pipe(Effect.provide(layer([], { connect: (port) => port === 8080 }))))
