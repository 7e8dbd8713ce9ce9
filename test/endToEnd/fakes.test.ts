/** A fake is of use only when it tells what real processes tell: the same commands on both, and on a cassette of the real ones. */
import { assert, describe, it } from "@effect/vitest"
import { NodeProcess } from "@effect-process/node"
import { Recorder, ScriptedSpawner } from "@effect-process/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Command, type ProcessSpawner, Stdio } from "effect-process"
import * as path from "node:path"
import { temporaryDirectory } from "../support/fixtures.ts"

const { answers, answersWith, anyCommand, on, rest, runs } = ScriptedSpawner

const sh = (script: string) => Command.make("sh", "-c", script)

/**
 * Ends a command once it has said that it has begun. One that catches the signal has only children that end soon: between its fork and its
 * exec a child has the handler of its shell and swallows a signal.
 */
const ended = (command: Command.Command) =>
  Effect.scoped(Effect.gen(function*() {
    const job = yield* Command.start(command)
    const lines = yield* Stream.toPull(Stream.splitLines(Stream.decodeText(job.stdout)))
    const begun = [...yield* lines]
    const status = yield* job.terminate()
    return [begun, status, yield* Effect.option(lines)]
  }))

type Run = Effect.Effect<unknown, unknown, ProcessSpawner>

/** What both are to tell: values and fields of errors, without what no two runs have in common. */
const outcome = (run: Run) =>
  Effect.map(Effect.exit(run), (exit): unknown => {
    const json: unknown = JSON.parse(JSON.stringify(Exit.isSuccess(exit) ? exit.value : exit.cause) ?? "null")
    const strip = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(strip)
      if (typeof value !== "object" || value === null) return value
      const entries = Object.entries(value).filter(([key]) =>
        !["pid", "usage", "duration", "detail", "message"].includes(key)
      )
      return Object.fromEntries(entries.map(([key, inner]) => [key, strip(inner)]))
    }
    return strip(json)
  })

const cases: ReadonlyArray<readonly [name: string, run: Run, script: ReadonlyArray<ScriptedSpawner.Rule>]> = [
  [
    "output on both streams",
    Command.run(sh("echo out; echo err >&2")),
    [on("sh", rest).pipe(answers({ stdout: "out\n", stderr: "err\n" }))]
  ],
  [
    "an exit code that is not accepted",
    Command.run(sh("echo half; echo no luck >&2; exit 3")),
    [on("sh", rest).pipe(answers({ stdout: "half\n", stderr: "no luck\n", exit: 3 }))]
  ],
  [
    "one that is",
    Command.string(sh("echo half; exit 3").pipe(Command.acceptExitCodes(0, 3))),
    [on("sh", rest).pipe(answers({ stdout: "half\n", exit: 3 }))]
  ],
  ["success, of a failure", Command.success(Command.make("false")), [on("false").pipe(answers({ exit: 1 }))]],
  ["an exit code as a value", Command.exitCode(sh("exit 9")), [on("sh", rest).pipe(answers({ exit: 9 }))]],
  ["a signal", Command.run(sh("kill -USR1 $$")), [on("sh", rest).pipe(answers({ signal: "SIGUSR1" }))]],
  ["no such program", Command.run(Command.make("no-such-program")), [
    anyCommand.pipe(answers({ spawnError: "NotFound" }))
  ]],
  [
    "a program that may not be executed",
    Command.run(Command.make("/etc/passwd")),
    [anyCommand.pipe(answers({ spawnError: "PermissionDenied" }))]
  ],
  [
    "no such directory",
    Command.run(Command.make("true").pipe(Command.workingDirectory("/no/such/place"))),
    [anyCommand.pipe(answers({ spawnError: "BadWorkingDirectory" }))]
  ],
  [
    "no such file to read",
    Command.run(Command.make("cat").pipe(Command.stdin(Stdio.file("/no/such/file")))),
    [anyCommand.pipe(answers({}))]
  ],
  [
    "stdin from a Stream",
    Command.string(Command.make("cat").pipe(Command.stdin(Stream.make("a\n", "b\n")))),
    [on("cat").pipe(answersWith(({ stdin }) => ({ stdout: stdin })))]
  ],
  [
    "an input that fails",
    Command.run(Command.make("cat").pipe(Command.stdin(Stream.concat(Stream.make("a"), Stream.fail("broken"))))),
    [on("cat").pipe(answersWith(({ stdin }) => ({ stdout: stdin })))]
  ],
  [
    "a pipeline",
    Command.lines(sh("echo b; echo a").pipe(Command.pipeTo(Command.make("sort")))),
    [
      on("sh", rest).pipe(answers({ stdout: "b\na\n" })),
      on("sort").pipe(
        answersWith(({ stdinText }) => ({ stdout: `${stdinText.trim().split("\n").sort().join("\n")}\n` }))
      )
    ]
  ],
  [
    "a pipeline whose first stage fails",
    Command.run(sh("echo broken >&2; exit 4").pipe(Command.pipeTo(Command.make("cat")))),
    [on("sh", rest).pipe(answers({ stderr: "broken\n", exit: 4 })), on("cat").pipe(answers({}))]
  ],
  [
    "a writer whose reader has gone",
    Command.string(Command.make("yes").pipe(Command.pipeTo(Command.make("head", "-n", "1")))),
    [
      on("yes").pipe(runs((child) => Effect.forever(child.stdout("y\n")))),
      on("head", rest).pipe(answers({ stdout: "y\n", stdin: "leave" }))
    ]
  ],
  [
    "2>&1",
    Command.string(sh("echo out; echo err >&2").pipe(Command.stderr(Stdio.toStdout))),
    [on("sh", rest).pipe(answers({ stdout: "out\n", stderr: "err\n" }))]
  ],
  [
    "a deadline",
    Command.run(Command.make("sleep", "100").pipe(Command.timeout("300 millis"))),
    [on("sleep", "100").pipe(answers({ hangs: true }))]
  ],
  [
    "a program that ignores the signal",
    ended(sh("trap '' TERM; echo begun; while :; do sleep 1; done").pipe(Command.gracePeriod("200 millis"))),
    [on("sh", rest).pipe(answers({ stdout: "begun\n", hangs: true, signals: { SIGTERM: "ignore" } }))]
  ],
  [
    "a program that exits at the signal",
    ended(
      sh("trap 'echo bye; exit 5' TERM; echo begun; while :; do sleep 0.1; done").pipe(
        Command.gracePeriod("20 seconds")
      )
    ),
    [
      on("sh", rest).pipe(
        answers({ stdout: "begun\n", hangs: true, signals: { SIGTERM: { stdout: "bye\n", exit: 5 } } })
      )
    ]
  ],
  [
    "a reader who stops early",
    Stream.runCollect(Stream.take(Command.streamLines(Command.make("yes")), 2)),
    [on("yes").pipe(runs((child) => Effect.forever(child.stdout("y\n"))))]
  ]
]

const real = Layer.orDie(NodeProcess.layer)

describe("a fake tells what real processes tell", () => {
  for (const [name, run, script] of cases) {
    it.scopedLive(name, () =>
      Effect.gen(function*() {
        const directory = yield* temporaryDirectory
        const recorder = (mode: "record" | "replay") =>
          Recorder.layerWith(real, { cassette: path.join(directory, "cassette.json"), mode })
        const expected = yield* Effect.provide(outcome(run), recorder("record"))
        assert.deepStrictEqual(yield* Effect.provide(outcome(run), ScriptedSpawner.layer(script)), expected, "scripted")
        assert.deepStrictEqual(yield* Effect.provide(outcome(run), recorder("replay")), expected, "replayed")
      }))
  }
})
