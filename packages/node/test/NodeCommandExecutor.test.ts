/** The runners of the drop-in on each engine: settings, errors, output, and what they do better than the original. */
import { assert, describe, it } from "@effect/vitest"
import { NodeCommandExecutor, NodeProcess } from "@effect-process/node"
import * as Command from "@effect/platform/Command"
import { CommandExecutor } from "@effect/platform/CommandExecutor"
import { SystemError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { Command as Ours, ProcessSpawner } from "effect-process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { engines, join, script, temporary, tester, textOf, until } from "./support/dropIn.ts"

const isRoot = process.getuid?.() === 0

describe.each(Object.entries(engines))("%s", (engine, spawner) => {
  const layer = Layer.provideMerge(NodeCommandExecutor.layerSpawner, spawner)
  const test = tester(spawner)

  test(
    "string, lines, stream, streamLines and exitCode",
    Effect.gen(function*() {
      const command = script("printf '1\\n2\\n3'")
      assert.strictEqual(yield* Command.string(command), "1\n2\n3")
      assert.deepStrictEqual(yield* Command.lines(command), ["1", "2", "3"])
      assert.strictEqual(yield* textOf(Command.stream(command)), "1\n2\n3")
      assert.deepStrictEqual([...(yield* Stream.runCollect(Command.streamLines(command)))], ["1", "2", "3"])
      assert.strictEqual(yield* Command.exitCode(command), 0)
      assert.strictEqual(yield* Command.exitCode(script("exit 255")), 255)
    })
  )

  test(
    "one falls back on another program by the reason",
    Effect.gen(function*() {
      const answer = Command.string(Command.make("custom-echo", "hi")).pipe(
        Effect.catchTag(
          "SystemError",
          (error) => error.reason === "NotFound" ? Command.string(Command.make("echo", "hi")) : Effect.fail(error)
        )
      )
      assert.strictEqual(yield* answer, "hi\n")
    })
  )

  test(
    "no output that nobody reads blocks a runner",
    Effect.gen(function*() {
      const noisy = script("head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; exit 4")
      assert.strictEqual(yield* Command.exitCode(noisy), 4)
      assert.strictEqual((yield* Command.string(noisy)).length, 3_000_000)
      const length = Stream.runFold(Command.stream(noisy), 0, (n, bytes) => n + bytes.length)
      assert.strictEqual(yield* length, 3_000_000)
    })
  )

  test(
    "a fold of Effect can take the lines of much output",
    Effect.scoped(
      Effect.gen(function*() {
        const count = <E, R>(lines: Stream.Stream<string, E, R>) => Stream.runFold(lines, 0, (count) => count + 1)
        assert.strictEqual(yield* count(Command.streamLines(script("yes | head -n 1000000"))), 1_000_000)
        const process = yield* Command.start(script("yes 'a line of forty characters, as in a log' | head -n 200000"))
        for (
          const bytes of [
            process.stdout,
            Command.stream(script("yes 'another line of forty characters or so' | head -n 200000"))
          ]
        ) {
          assert.strictEqual(yield* count(Stream.splitLines(Stream.decodeText(bytes))), 200_000)
        }
      })
    )
  )

  test(
    "characters that are split between chunks arrive whole",
    Effect.gen(function*() {
      const split = script("printf 'a\\303'; sleep 0.2; printf '\\266b\\nc\\342\\202'; sleep 0.2; printf '\\254'")
      assert.deepStrictEqual([...(yield* Stream.runCollect(Command.streamLines(split)))], ["aöb", "c€"])
      assert.deepStrictEqual(yield* Command.lines(split), ["aöb", "c€"])
      assert.strictEqual(yield* Command.string(split), "aöb\nc€")
    })
  )

  test(
    "an unknown encoding is a failure",
    Effect.gen(function*() {
      for (
        const run of [
          Command.string(Command.make("true"), "bogus"),
          Command.lines(Command.make("true"), "bogus"),
          Stream.runDrain(Command.streamLines(Command.make("true"), "bogus"))
        ]
      ) {
        assert.strictEqual((yield* Effect.flip(run))._tag, "BadArgument")
      }
    })
  )

  test(
    "E2BIG, NUL and an empty name are failures",
    Effect.gen(function*() {
      const big = yield* Effect.flip(Command.string(Command.make("echo", "x".repeat(4 * 1024 * 1024))))
      assert.instanceOf(big, SystemError)
      assert.strictEqual((big.cause as NodeJS.ErrnoException).code, "E2BIG")
      assert.strictEqual(big.description, "spawn echo E2BIG")
      const bad = [
        Command.make("echo", "a\0b"),
        Command.make("a\0b"),
        Command.make(""),
        Command.env(Command.make("env"), { A: "a\0b" })
      ]
      for (const command of bad) {
        const error = yield* Effect.flip(Command.exitCode(command))
        assert.deepStrictEqual([error._tag, error.module, error.method], ["BadArgument", "Command", "spawn"])
        assert.isTrue(Exit.isFailure(yield* Effect.exit(Effect.scoped(Command.start(command)))))
      }
    })
  )

  test(
    "a file as the directory is a failure",
    Effect.gen(function*() {
      const error = yield* Effect.flip(Command.string(Command.workingDirectory(Command.make("ls"), "/etc/passwd")))
      assert.deepInclude(error, { _tag: "SystemError", reason: "BadResource", module: "Command", method: "spawn" })
    })
  )

  test(
    "any stage that cannot be started fails the pipeline, and names that stage",
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        Command.string(Command.pipeTo(Command.make("some-invalid-command", "x"), Command.make("cat")))
      )
      assert.deepInclude(error, {
        _tag: "SystemError",
        reason: "NotFound",
        module: "Command",
        method: "spawn",
        pathOrDescriptor: "some-invalid-command x"
      })
      const middle = Command.make("true").pipe(
        Command.pipeTo(Command.workingDirectory(Command.make("cat"), "/some/bad/path")),
        Command.pipeTo(Command.make("cat"))
      )
      assert.deepInclude(yield* Effect.flip(Command.string(middle)), { module: "FileSystem", method: "access" })
    })
  )

  test(
    "a script without a first line is one for sh, in a pipeline too",
    Effect.scoped(Effect.gen(function*() {
      const directory = yield* temporary
      fs.writeFileSync(path.join(directory, "plain"), "read x; echo \"$x $1 $(basename $0)\"\n", { mode: 0o755 })
      const plain = Command.workingDirectory(Command.make("./plain", "y"), directory)
      assert.strictEqual(yield* Command.string(Command.feed(plain, "x\n")), "x y plain\n")
      assert.strictEqual(yield* textOf(Command.stream(Command.feed(plain, "x\n"))), "x y plain\n")
      const piped = Command.make("echo", "1").pipe(Command.pipeTo(plain), Command.pipeTo(plain))
      assert.strictEqual(yield* Command.string(piped), "1 y plain y plain\n")
      const process = yield* Command.start(Command.feed(plain, "x\n"))
      assert.strictEqual(yield* textOf(process.stdout), "x y plain\n")
    }))
  )

  test(
    "pipelines are pipes of the kernel, in one group",
    Effect.gen(function*() {
      const stage = script("cat; stat -L -c %F /proc/self/fd/0 >&2")
      const process = yield* Command.start(Command.make("echo", "x").pipe(Command.pipeTo(stage), Command.pipeTo(stage)))
      assert.strictEqual(yield* textOf(process.stdout), "x\n")
      assert.strictEqual(yield* textOf(process.stderr), "fifo\nfifo\n")
    }).pipe(Effect.scoped)
  )

  test(
    "a pipeline whose reader ends first",
    Effect.gen(function*() {
      const first = Command.make("yes").pipe(Command.pipeTo(Command.make("head", "-n", "2")))
      assert.deepStrictEqual(yield* Command.lines(first), ["y", "y"])
      assert.strictEqual(yield* Command.exitCode(first), 0)
    })
  )

  test(
    "a stderr Sink is run, whichever runner runs it",
    Effect.gen(function*() {
      const seen: Array<string> = []
      const note = Sink.map(join, (bytes) => {
        seen.push(String(bytes))
        return Buffer.from("noted")
      })
      const command = Command.stderr(script("echo err >&2; echo out"), note)
      assert.strictEqual(yield* Command.string(command), "out\n")
      assert.strictEqual(yield* Command.exitCode(command), 0)
      assert.deepStrictEqual(yield* Command.lines(command), ["out"])
      assert.deepStrictEqual(seen, ["err\n", "err\n", "err\n"])
      const process = yield* Command.start(command)
      assert.strictEqual(yield* textOf(process.stderr), "noted")
    }).pipe(Effect.scoped)
  )

  test(
    "a stdout Sink is run by exitCode, too",
    Effect.gen(function*() {
      let length = 0
      const sum = Sink.map(join, (bytes) => {
        length += bytes.length
        return bytes
      })
      assert.strictEqual(
        yield* Command.exitCode(Command.stdout(script("head -c 1000000 /dev/zero; exit 2"), sum)),
        2
      )
      assert.strictEqual(length, 1_000_000)
    })
  )

  test(
    "an output that is inherited is empty, and the command runs",
    Effect.gen(function*() {
      const command = script("exit 6").pipe(
        Command.stdin("inherit"),
        Command.stdout("inherit"),
        Command.stderr("inherit")
      )
      assert.strictEqual(yield* Command.exitCode(command), 6)
      assert.strictEqual(yield* Command.string(command), "")
      const process = yield* Command.start(command)
      assert.strictEqual(yield* textOf(Stream.merge(process.stdout, process.stderr)), "")
      yield* Stream.run(Stream.make(new Uint8Array(1)), process.stdin)
      assert.strictEqual(yield* process.exitCode, 6)
    }).pipe(Effect.scoped)
  )

  test(
    "env extends the owner's, or stands alone",
    Effect.gen(function*() {
      const command = Command.env(script("echo $X-${PATH:+path}"), { X: "1" })
      assert.strictEqual(yield* Command.string(command), "1-path\n")
      const alone = Command.env(Command.make("/usr/bin/env"), { X: "1" }, { extendEnv: false })
      // The owner's mark is in every environment: by it the orphans of an owner are found.
      assert.deepStrictEqual(
        (yield* Command.lines(alone)).filter((line) => !line.startsWith("EFFECT_PROCESS_OWNER=")),
        [
          "X=1"
        ]
      )
    })
  )

  const ids = script("echo $(id -u):$(id -g)")
  const withIds = (uid: number | undefined, gid: number | undefined): Command.Command =>
    Object.assign(Object.create(Object.getPrototypeOf(ids)), ids, {
      uid: Option.fromNullable(uid),
      gid: Option.fromNullable(gid)
    })

  test(
    "uid and gid are honoured, and another user's is a typed error without privileges",
    Effect.gen(function*() {
      const own = os.userInfo()
      if (!isRoot) {
        const error = yield* Effect.flip(Command.string(withIds(own.uid + 1, own.gid)))
        assert.deepInclude(error, { _tag: "SystemError", reason: "PermissionDenied" })
        return
      }
      assert.strictEqual(yield* Command.string(withIds(1234, 2345)), "1234:2345\n")
      assert.strictEqual(yield* Command.string(withIds(1234, undefined)), `1234:${own.gid}\n`)
      assert.strictEqual(yield* Command.string(withIds(undefined, 2345)), `${own.uid}:2345\n`)
    })
  )

  test(
    "several at once do not mix",
    Effect.gen(function*() {
      const all = yield* Effect.forEach(
        Array.from({ length: 24 }, (_, i) => String(i)),
        (i) => Command.string(script("echo $1", i)),
        { concurrency: 8 }
      )
      assert.deepStrictEqual(all, Array.from({ length: 24 }, (_, i) => `${i}\n`))
    })
  )

  test(
    "the service itself, as other libraries take it",
    Effect.gen(function*() {
      const executor = yield* CommandExecutor
      assert.strictEqual(yield* executor.string(Command.make("echo", "x"), "latin1"), "x\n")
      assert.deepStrictEqual(yield* executor.lines(Command.make("echo", "x")), ["x"])
      assert.strictEqual(yield* executor.exitCode(Command.make("false")), 1)
      const spawner = yield* ProcessSpawner
      assert.strictEqual(spawner.guarantees.engine, engine === "spawn server" ? "spawn-server" : "child-process")
    })
  )

  it.scopedLive("when its layer has closed, nothing of the executor is open", () =>
    Effect.gen(function*() {
      const open = () => fs.readdirSync("/proc/self/fd").length
      yield* Effect.provide(Command.string(Command.make("true")), layer)
      const before = open()
      for (let i = 0; i < 3; i++) yield* Effect.provide(Command.string(Command.make("echo", "x")), layer)
      yield* until(() => open() <= before)
    }), 60_000)
})

it.scopedLive("NodeProcess.context is NodeContext with this executor and the spawner", () =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    assert.isTrue(yield* files.exists(paths.resolve("/")))
    // The original dies of it.
    assert.strictEqual((yield* Effect.flip(Command.string(Command.make("a\0b"))))._tag, "BadArgument")
    assert.strictEqual(yield* Ours.string(Ours.make("echo", "ours")), "ours\n")
  }).pipe(Effect.provide(NodeProcess.context)))

it.scopedLive("NodeCommandExecutor.layer needs nothing", () =>
  Effect.gen(function*() {
    assert.strictEqual(yield* Command.string(Command.make("echo", "x")), "x\n")
  }).pipe(Effect.provide(NodeCommandExecutor.layer)))
