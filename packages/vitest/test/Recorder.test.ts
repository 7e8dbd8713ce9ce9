/** What real programs did is written, without secrets, and is done again without them. */
import { assert, describe, it } from "@effect/vitest"
import { NodeProcess } from "@effect-process/node"
import { Recorder, ScriptedSpawner } from "@effect-process/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { Command, ExitStatus, ProcessSpawner, Stdio } from "effect-process"
import * as fs from "node:fs"
import * as path from "node:path"
import { cassetteIn, directory, messageOf, none, sh } from "./support/cassettes.ts"

/** Records a program with real processes, then replays it without, and returns both outcomes with what was written. */
const twice = <A, E>(
  program: Effect.Effect<A, E, ProcessSpawner>,
  options: Omit<Recorder.Options, "cassette" | "mode"> = {}
) =>
  Effect.gen(function*() {
    const cassette = yield* cassetteIn
    const recorder = (mode: "record" | "replay") =>
      Recorder.layerWith(mode === "record" ? NodeProcess.layer : none, { ...options, cassette, mode })
    const recorded = yield* Effect.provide(program, recorder("record"))
    const text = fs.readFileSync(cassette, "utf8")
    const verified = Effect.zipLeft(program, Effect.flatMap(Recorder.Recorder, ({ verify }) => verify))
    const replayed = yield* Effect.provide(verified, recorder("replay"))
    return { recorded, replayed, text, events: JSON.parse(text).interactions as Array<any>, cassette }
  })

const withoutTime = (event: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(event).filter(([key]) => key !== "after"))

describe("a replay does what the program did", () => {
  it.scopedLive("output, exit codes, signals and failed spawns", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const out = yield* Command.run(sh("echo out; echo err >&2"))
        const failed = yield* Effect.flip(Command.run(sh("echo no luck >&2; exit 3")))
        const killed = yield* Effect.flip(Command.run(sh("kill -USR1 $$")))
        const missing = yield* Effect.flip(Command.run(Command.make("no-such-program", "-x")))
        const lines = yield* Command.lines(sh("printf 'a\\nb\\n'"))
        return { out: [out.stdoutText, out.stderrText], failed: failed.message, killed: killed.message, missing, lines }
      })
      const { events, recorded, replayed } = yield* twice(program)
      assert.deepStrictEqual(replayed, recorded)
      assert.deepStrictEqual(recorded.failed, "sh -c 'echo no luck >&2; exit 3': exit code 3: no luck")
      assert.deepStrictEqual(events[1].stages, [{ file: "sh", args: ["-c", "echo no luck >&2; exit 3"] }])
      assert.deepStrictEqual(events[1].events.map(withoutTime), [{ stderr: "no luck\n" }, { exit: 3 }])
      assert.deepStrictEqual(events[2].events.map(withoutTime), [{ killedBy: "SIGUSR1" }])
      assert.strictEqual(events[3].spawnError.reason, "NotFound")
      assert.deepStrictEqual(events[4].events.map(withoutTime), [{ stdout: ["a\n", "b\n"] }, { exit: 0 }])
    }))

  it.scopedLive("pipelines, with the failure of the right stage", () =>
    Effect.gen(function*() {
      const line = sh("echo b; echo a").pipe(Command.pipeTo(Command.make("sort")))
      const failing = sh("echo half; echo broken >&2; exit 4").pipe(Command.pipeTo(Command.make("cat")))
      const head = Command.make("yes").pipe(Command.pipeTo(Command.make("head", "-n", "2")))
      const program = Effect.all([
        Command.string(line),
        Effect.map(Effect.flip(Command.run(failing)), ({ message }) => message),
        Command.string(head)
      ])
      const { recorded, replayed } = yield* twice(program)
      assert.deepStrictEqual(recorded, [
        "a\nb\n",
        "sh -c 'echo half; echo broken >&2; exit 4': exit code 4: broken",
        "y\ny\n"
      ])
      assert.deepStrictEqual(replayed, recorded)
    }))

  it.scopedLive("a conversation: each answer waits for its question", () =>
    Effect.gen(function*() {
      const program = Effect.scoped(Effect.gen(function*() {
        const questions = yield* Queue.unbounded<string>()
        const calculator = yield* Command.start(
          sh("while read -r n; do echo $((n * 2)); done").pipe(
            Command.stdin(Stream.fromQueue(questions))
          )
        )
        const answers = yield* Stream.toPull(Stream.splitLines(Stream.decodeText(calculator.stdout)))
        const seen: Array<string> = []
        for (const question of [1, 20, 300]) {
          yield* Queue.offer(questions, `${question}\n`)
          seen.push(...yield* answers)
        }
        yield* Queue.shutdown(questions)
        return { seen, exit: yield* Effect.exit(calculator.exit) }
      }))
      const { events, recorded, replayed } = yield* twice(program)
      assert.deepStrictEqual(recorded.seen, ["2", "40", "600"])
      assert.deepStrictEqual(replayed.seen, recorded.seen)
      assert.deepStrictEqual(events[0].events.slice(0, 2).map(({ stdin, stdout }: any) => [stdin, stdout]), [
        ["1\n", undefined],
        [undefined, "2\n"]
      ])
    }))

  it.scopedLive("a job that was ended: the replay waits for the signal, too", () =>
    Effect.gen(function*() {
      const stubborn = sh("trap 'echo ending; exit 9' TERM; echo begun; while :; do sleep 0.1; done").pipe(
        Command.gracePeriod("20 seconds")
      )
      const program = Effect.gen(function*() {
        const first = yield* Stream.runHead(Command.streamLines(Command.make("yes")))
        const caught = yield* Effect.scoped(Effect.gen(function*() {
          const job = yield* Command.start(stubborn)
          const lines = yield* Stream.toPull(Stream.splitLines(Stream.decodeText(job.stdout)))
          const begun = [...yield* lines]
          const status = yield* job.terminate()
          return [begun, status, [...yield* lines]]
        }))
        const killed = yield* Effect.scoped(Effect.gen(function*() {
          const sleep = yield* Command.start(Command.make("sleep", "100"))
          return yield* sleep.terminate({ signal: "SIGINT" })
        }))
        const timed = yield* Effect.flip(Command.run(Command.make("sleep", "100").pipe(Command.timeout("300 millis"))))
        assert(timed._tag === "TimedOut")
        return [first, ...caught, killed, timed.exit]
      })
      const { events, recorded, replayed } = yield* twice(program)
      assert.deepStrictEqual(replayed, recorded)
      assert.deepStrictEqual(recorded.slice(1), [
        ["begun"],
        ExitStatus.exited(9),
        ["ending"],
        ExitStatus.killed("SIGINT"),
        ExitStatus.killed("SIGTERM")
      ])
      assert.deepStrictEqual(events[1].events.map(withoutTime), [
        { stdout: "begun\n" },
        { sent: "SIGTERM" },
        { stdout: "ending\n" },
        { exit: 9 }
      ])
      assert.deepStrictEqual(events[2].events.map(withoutTime), [{ sent: "SIGINT" }, { killedBy: "SIGINT" }])
      assert.deepStrictEqual(events[3].events.map(withoutTime), [{ sent: "SIGTERM" }, { killedBy: "SIGTERM" }])
    }))

  it.scopedLive("what was left in the background is leaked again", () =>
    Effect.gen(function*() {
      // Until its exec it has the command line of its shell.
      const script =
        "sleep 61 & until tr '\\0' ' ' </proc/$!/cmdline | grep -q ^sleep; do sleep 0.01; done; echo started"
      const { recorded, replayed } = yield* twice(Effect.map(
        Command.run(sh(script)),
        ({ leaked, stdoutText }) => [stdoutText, leaked.map(({ commandLine }) => commandLine)]
      ))
      assert.deepStrictEqual(recorded, ["started\n", ["sleep 61"]])
      assert.deepStrictEqual(replayed, recorded)
    }))

  it.scopedLive("bytes that are no text, and characters that were split", () =>
    Effect.gen(function*() {
      const split = sh("printf '\\342\\202'; sleep 0.1; printf '\\254 \\377'; sleep 0.1; printf '\\377\\376'")
      const { recorded, replayed, text } = yield* twice(Effect.map(Command.run(split), ({ stdout }) => [...stdout]))
      assert.deepStrictEqual(recorded, [0xe2, 0x82, 0xac, 0x20, 0xff, 0xff, 0xfe])
      assert.deepStrictEqual(replayed, recorded)
      assert.include(text, "base64")
    }))
})

describe("what is written", () => {
  it.scopedLive("no secret of a command, whole or split, and none that the options name", () =>
    Effect.gen(function*() {
      const token = Redacted.make("s3cr3t-token")
      const login = Command.make(
        "sh",
        "-c",
        "printf %s \"${0%-*}-\"; sleep 0.3; echo \"${0##*-}, $0 $KEY, hunter2\"; cat",
        token
      )
        .pipe(
          Command.env({ KEY: Redacted.make("k3y") }),
          Command.feed("say s3cr3t-token hunter2")
        )
      const program = Effect.map(Command.run(login), ({ stdoutText }) => stdoutText)
      const { events, recorded, replayed, text } = yield* twice(program, {
        env: ["KEY"],
        secrets: [Redacted.make("hunter2")]
      })
      assert.strictEqual(recorded, "s3cr3t-token, s3cr3t-token k3y, hunter2\nsay s3cr3t-token hunter2")
      assert.notMatch(text, /s3cr3t|token|k3y|hunter2/)
      assert.strictEqual(events[0].stages[0].args[2], "<redacted>")
      assert.deepStrictEqual(events[0].stages[0].env, { KEY: "<redacted>" })
      assert.strictEqual(replayed, "<redacted>, <redacted> <redacted>, <redacted>\nsay <redacted> <redacted>")
    }))

  it.scopedLive("only the variables that are named, and they must be the same again", () =>
    Effect.gen(function*() {
      const command = (lang: string) =>
        Command.run(Command.make("true").pipe(Command.env({ LANG: lang, HIDDEN: "h1dden" })))
      const { cassette, text } = yield* twice(command("C"), { env: ["LANG", "NOT_SET_AT_ALL"] })
      assert.notInclude(text, "h1dden")
      assert.deepStrictEqual(JSON.parse(text).interactions[0].stages[0].env, { LANG: "C", NOT_SET_AT_ALL: null })
      const exit = yield* Effect.exit(Effect.provide(command("de"), Recorder.layer({ cassette, mode: "replay" })))
      assert.match(messageOf(exit), /the condition \(with LANG=C\) does not hold: LANG is "de"/)
    }))

  it.scopedLive("paths as their placeholders, which are paths again in a replay", () =>
    Effect.gen(function*() {
      const cassette = yield* cassetteIn
      const list = (where: string, mode: "record" | "replay") =>
        Command.string(sh("pwd; echo \"$0\"").pipe(Command.workingDirectory(where))).pipe(
          Effect.provide(Recorder.layer({ cassette, mode, paths: { "<here>": where } }))
        )
      const one = fs.realpathSync(yield* directory)
      assert.strictEqual(yield* list(one, "record"), `${one}\nsh\n`)
      const text = fs.readFileSync(cassette, "utf8")
      assert.notInclude(text, one)
      assert.include(text, "\"directory\": \"<here>\"")
      assert.strictEqual(yield* list("/another/place", "replay"), "/another/place\nsh\n")
    }))

  it.scoped("times in tenths of a second, and what comes within one as one piece of each stream", () =>
    Effect.gen(function*() {
      const cassette = yield* cassetteIn
      const scripted = ScriptedSpawner.layer([
        ScriptedSpawner.on("build").pipe(ScriptedSpawner.answers({
          stdout: [{ after: 20, data: "a\n" }, { after: 50, data: "b\n" }, { after: 730, data: "c\n" }],
          stderr: [{ after: 5, data: "warning\n" }],
          takes: "3 seconds",
          exit: 3
        }))
      ])
      const build = Command.run(Command.make("build").pipe(Command.acceptExitCodes(3)))
      const fiber = yield* Effect.fork(
        Effect.provide(build, Recorder.layerWith(scripted, { cassette, mode: "record" }))
      )
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(JSON.parse(fs.readFileSync(cassette, "utf8")).interactions[0].events, [
        { stdout: ["a\n", "b\n"] },
        { stderr: "warning\n" },
        { after: 800, stdout: "c\n" },
        { after: 2200, exit: 3 }
      ])
    }))

  it.scopedLive("nothing where the program fails", () =>
    Effect.gen(function*() {
      const cassette = yield* cassetteIn
      yield* Effect.flip(
        Effect.provide(Command.run(Command.make("false")), Recorder.layer({ cassette, mode: "record" }))
      )
      assert.isFalse(fs.existsSync(cassette))
    }))
})

it.scopedLive("files that a command reads and writes are its own business", () =>
  Effect.gen(function*() {
    const file = path.join(yield* directory, "out.txt")
    const { recorded, replayed } = yield* twice(Effect.map(
      Command.run(Command.make("echo", "hi").pipe(Command.stdout(Stdio.file(file)))),
      ({ stdoutText }) => stdoutText
    ))
    assert.deepStrictEqual([recorded, replayed, fs.readFileSync(file, "utf8")], ["", "", "hi\n"])
  }))
