/** The same inputs to the original executor and to ours: what they answer, field by field. */
import { assert, describe, it } from "@effect/vitest"
import { NodeCommandExecutor } from "@effect-process/node"
import * as Command from "@effect/platform/Command"
import type { CommandExecutor } from "@effect/platform/CommandExecutor"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { pipe } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll } from "vitest"
import { engines, join } from "./support/dropIn.ts"

const original: Layer.Layer<CommandExecutor> = NodeContext.layer

const ours = Object.entries(engines).map(([name, spawner]) =>
  [name, Layer.provide(NodeCommandExecutor.layerSpawner, Layer.orDie(spawner))] as const
)

const directory = fs.mkdtempSync(path.join(os.tmpdir(), "effect-process-executor-"))
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }))

const file = (name: string, mode: number, content: string): string => {
  const at = path.join(directory, name)
  fs.writeFileSync(at, content)
  fs.chmodSync(at, mode)
  return at
}
const plain = file("plain", 0o644, "#!/bin/sh\n")
const noInterpreter = file("no-interpreter", 0o755, "#!/nonexistent/sh\n")
const noFirstLine = file("no-first-line", 0o755, "echo script: $# $1\n")

/** What a program can match on. The stack and the text of an inner cause are not for that. */
const fields = (error: unknown): unknown => {
  const { _tag, cause, description, message, method, module, pathOrDescriptor, reason, syscall } = error as Record<
    string,
    unknown
  >
  const { code, errno, path, spawnargs, syscall: inner } = (cause ?? {}) as Record<string, unknown>
  const of = { code, errno, path, spawnargs, syscall: inner }
  return { _tag, cause: of, description, message, method, module, pathOrDescriptor, reason, syscall }
}

const seen = <A>(exit: Exit.Exit<A, unknown>): unknown =>
  Exit.match(exit, {
    onSuccess: (value) => ({ value }),
    onFailure: (cause) => Cause.isFailure(cause) ? { error: fields(Cause.squash(cause)) } : { cause: String(cause) }
  })

const observe = <A, E>(program: Effect.Effect<A, E, CommandExecutor>, layer: Layer.Layer<CommandExecutor>) =>
  Effect.map(Effect.exit(Effect.provide(program, layer)), seen)

const shout: Sink.Sink<Uint8Array, Uint8Array> = Sink.map(join, (bytes) => Buffer.from(`${String(bytes)}!`))

const script = (text: string) => Command.make("sh", "-c", text)

const isRoot = process.getuid?.() === 0

const cases: Readonly<Record<string, Effect.Effect<unknown, unknown, CommandExecutor>>> = {
  "string": Command.string(Command.make("echo", "hello")),
  "string of nothing": Command.string(Command.make("true")),
  "string, latin1": Command.string(Command.make("printf", "\\344\\366\\374"), "latin1"),
  "string, a byte order mark": Command.string(Command.make("printf", "\\357\\273\\277text")),
  "string of a command that fails": Command.string(script("echo out; exit 3")),
  "string of a command that a signal ends": Command.string(script("echo out; kill -9 $$")),
  "lines": Command.lines(Command.make("printf", "a\\nb\\nc\\n")),
  "lines without a last end": Command.lines(Command.make("printf", "a\\nb")),
  "lines with carriage returns": Command.lines(Command.make("printf", "a\\r\\nb\\rc\\n\\n\\r\\nd\\r")),
  "lines, empty ones": Command.lines(Command.make("printf", "\\n\\n")),
  "lines of nothing": Command.lines(Command.make("true")),
  "stream": pipe(
    Command.stream(Command.make("printf", "abc")),
    Stream.run(join),
    Effect.map(String)
  ),
  "streamLines": Effect.map(Stream.runCollect(Command.streamLines(Command.make("printf", "x\\ny"))), (all) => [...all]),
  "streamLines, the first of many": Effect.map(
    Stream.runCollect(Stream.take(Command.streamLines(Command.make("yes")), 3)),
    (all) => [...all]
  ),
  "exitCode": Command.exitCode(script("exit 42")),
  "exitCode of success": Command.exitCode(Command.make("true")),
  "exitCode, a signal": Command.exitCode(script("kill -TERM $$")),
  "exitCode, of the last stage": Command.exitCode(Command.pipeTo(script("exit 3"), script("cat; exit 5"))),
  "exitCode, the last stage succeeds": Command.exitCode(Command.pipeTo(script("exit 3"), Command.make("cat"))),
  "exitCode, a signal in a pipeline": Command.exitCode(Command.pipeTo(Command.make("true"), script("kill -9 $$"))),
  "feed": Command.string(Command.feed(Command.make("cat"), "fed")),
  "stdin": Command.string(Command.stdin(Command.make("cat"), Stream.encodeText(Stream.make("a", "b")))),
  "env": Command.string(Command.env(script("echo $A-$B-$HOME"), { A: "1", B: undefined })),
  "env alone": Command.string(Command.env(script("echo $A-$HOME"), { A: "1" }, { extendEnv: false })),
  "workingDirectory": Command.string(Command.workingDirectory(Command.make("pwd"), "/usr")),
  "runInShell": Command.string(Command.runInShell(Command.make("echo", "$((1 + 1))", "&&", "echo", "two"), true)),
  "runInShell, another shell": Command.string(
    Command.runInShell(Command.make("echo", "${BASH_VERSION:+bash}"), "bash")
  ),
  "runInShell, none": Command.string(Command.runInShell(Command.make("echo", "$HOME"), false)),
  "runInShell, an empty name": Command.string(Command.runInShell(Command.make("echo", "$HOME"), "")),
  "runInShell, a command that is missing": Command.exitCode(Command.runInShell(Command.make("nonexistent"), true)),
  "pipeTo": Command.lines(
    Command.make("printf", "3\\n1\\n2\\n").pipe(
      Command.pipeTo(Command.make("cat")),
      Command.pipeTo(Command.make("sort"))
    )
  ),
  "pipeTo, with stdin": Command.string(
    Command.make("cat").pipe(
      Command.pipeTo(Command.make("tr", "a", "b")),
      Command.feed("aaa")
    )
  ),
  "pipeTo, nested on the right": Command.string(
    Command.pipeTo(Command.make("echo", "x"), Command.pipeTo(Command.make("cat"), Command.make("cat")))
  ),
  "pipeTo, a stdin of a later stage gives way": Command.string(
    Command.pipeTo(Command.make("echo", "piped"), Command.feed(Command.make("cat"), "own"))
  ),
  "pipeTo, with a Sink in the middle": Command.string(
    Command.pipeTo(Command.stdout(Command.make("printf", "a"), shout), Command.make("cat"))
  ),
  "a stdout Sink": Command.string(Command.stdout(Command.make("printf", "abc"), shout)),
  "a stdout Sink, started": Effect.scoped(Effect.flatMap(
    Command.start(Command.stdout(Command.make("printf", "abc"), shout)),
    (process) => Effect.map(Stream.run(process.stdout, join), String)
  )),
  "a script without a first line": Command.string(Command.make(noFirstLine, "one")),
  "no such program": Command.string(Command.make("some-invalid-command", "test")),
  "no such program, by exitCode": Command.exitCode(Command.make("some-invalid-command")),
  "no such program, by stream": Stream.runDrain(Command.stream(Command.make("some-invalid-command", "a", "b"))),
  "no such program, started": Effect.scoped(Command.start(Command.make("./some-invalid-command"))),
  "no such shell": Command.string(Command.runInShell(Command.make("echo", "a b"), "/nonexistent/shell")),
  "no such last stage": Command.string(Command.pipeTo(Command.make("true"), Command.make("some-invalid-command", "x"))),
  "a program that may not be run": Command.string(Command.make(plain, "a")),
  "a program that may not be run, below a directory": Command.string(
    Command.make("./plain").pipe(Command.workingDirectory(directory))
  ),
  "a directory as the program": Command.string(Command.make("/usr")),
  "a missing interpreter": Command.string(Command.make(noInterpreter)),
  "no such directory": Command.string(Command.workingDirectory(Command.make("ls"), "/some/bad/path")),
  "no such directory, by exitCode": Command.exitCode(Command.workingDirectory(Command.make("ls"), "/some/bad/path")),
  "no such directory nor program": Command.string(
    Command.workingDirectory(Command.make("some-invalid-command"), "/some/bad/path")
  ),
  "an empty directory": Command.string(Command.workingDirectory(Command.make("ls"), "")),
  "a directory below a file": Command.string(Command.workingDirectory(Command.make("ls"), `${plain}/x`)),
  "a directory with NUL": Effect.map(
    Effect.flip(Command.string(Command.workingDirectory(Command.make("ls"), "a\0b"))),
    ({ _tag, method, module }) => [_tag, method, module]
  ),
  ...(isRoot ? {} : {
    "a directory that may not be searched": Effect.suspend(() => {
      const closed = path.join(directory, "closed")
      fs.mkdirSync(closed, { recursive: true, mode: 0o000 })
      return Command.string(Command.workingDirectory(Command.make("ls"), closed))
    })
  }),
  "exitCode, asked twice": Effect.scoped(Effect.flatMap(
    Command.start(script("exit 4")),
    (process) => Effect.all([process.exitCode, process.exitCode, process.isRunning])
  )),
  "kill": Effect.scoped(Effect.flatMap(
    Command.start(script("sleep 100; :")),
    (process) =>
      Effect.all([
        process.isRunning,
        process.kill(),
        process.isRunning,
        Effect.map(Effect.flip(process.exitCode), fields)
      ])
  )),
  "kill, another signal": Effect.scoped(Effect.gen(function*() {
    const process = yield* Command.start(script("trap 'exit 9' USR1; echo ready; while :; do sleep 0.01; done"))
    yield* Stream.runDrain(Stream.take(process.stdout, 1))
    yield* process.kill("SIGUSR1")
    return yield* process.exitCode
  })),
  "kill, when it has exited": Effect.scoped(Effect.gen(function*() {
    const process = yield* Command.start(Command.make("true"))
    yield* process.exitCode
    return fields(yield* Effect.flip(process.kill()))
  })),
  "stdout and stderr, started": Effect.scoped(Effect.gen(function*() {
    const process = yield* Command.start(script("echo out; echo err >&2"))
    const read = (stream: typeof process.stdout) => Effect.map(Stream.run(stream, join), String)
    return yield* Effect.all([read(process.stdout), read(process.stderr), process.exitCode], { concurrency: 3 })
  })),
  "stdout, read a second time": Effect.scoped(Effect.gen(function*() {
    const process = yield* Command.start(Command.make("echo", "once"))
    yield* Stream.runDrain(process.stdout)
    return yield* Effect.map(Stream.run(process.stdout, join), String)
  })),
  "stdin, written by the handle": Effect.scoped(Effect.gen(function*() {
    const process = yield* Command.start(Command.make("cat"))
    yield* Stream.run(Stream.encodeText(Stream.make("by", " hand")), process.stdin)
    return yield* Effect.map(Stream.run(process.stdout, join), String)
  })),
  "the process as JSON": Effect.scoped(Effect.map(Command.start(Command.make("true")), (process) => {
    const { pid, ...json } = process.toJSON() as { readonly pid: number }
    return { ...json, isPid: pid === process.pid }
  }))
}

describe.each(ours)("%s", (_, layer) => {
  for (const [name, program] of Object.entries(cases)) {
    it.live(
      `as the original: ${name}`,
      () =>
        Effect.gen(function*() {
          const expected = yield* observe(program, original)
          assert.deepStrictEqual(yield* observe(program, layer), expected)
        }),
      60_000
    )
  }
})
