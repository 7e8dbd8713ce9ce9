/** What the drop-in does on each engine: every field, and what it does better than the original. */
import { assert, describe, it } from "@effect/vitest"
import { NodeCommandExecutor, NodeProcess } from "@effect-process/node"
import * as Command from "@effect/platform/Command"
import { CommandExecutor, ProcessTypeId } from "@effect/platform/CommandExecutor"
import { SystemError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { Command as Ours, type EngineUnavailable, ProcessSpawner } from "effect-process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

const script = (text: string, ...args: ReadonlyArray<string>) => Command.make("sh", "-c", text, "sh", ...args)

const join = Sink.foldLeft(new Uint8Array(), (all: Uint8Array, next: Uint8Array) => Buffer.concat([all, next]))

const textOf = <E, R>(stream: Stream.Stream<Uint8Array, E, R>) => Effect.map(Stream.run(stream, join), String)

const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-process-executor-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

/** The living processes with this word among their arguments. */
const alive = (word: string): ReadonlyArray<number> =>
  fs.readdirSync("/proc").map(Number).filter((pid) => {
    if (!(pid > 0)) return false
    try {
      const [stat, words] = ["stat", "cmdline"].map((name) => fs.readFileSync(`/proc/${pid}/${name}`, "latin1"))
      return words?.split("\0").includes(word) === true && !/\) [ZX]/.test(stat ?? "")
    } catch {
      return false
    }
  })

const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => condition() ? Effect.void : Effect.zipRight(Effect.sleep(10), until(condition)))

let count = 0
/** A name by which a test finds its own processes. */
const token = (): string => `executor-${process.pid}-${++count}`

const isRoot = process.getuid?.() === 0

const engines: Readonly<Record<string, Layer.Layer<ProcessSpawner, EngineUnavailable>>> = {
  "spawn server": NodeProcess.layerSpawnServer,
  "node:child_process": NodeProcess.layerChildProcess
}

describe.each(Object.entries(engines))("%s", (engine, spawner) => {
  const layer = Layer.provideMerge(NodeCommandExecutor.layerSpawner, spawner)
  const test = (name: string, body: Effect.Effect<unknown, unknown, CommandExecutor | ProcessSpawner>) =>
    it.scopedLive(name, () => Effect.provide(body, layer), 60_000)

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
    "a process has its fields",
    Effect.scoped(Effect.gen(function*() {
      const process = yield* Command.start(script("echo out; echo err >&2; read x; exit $x"))
      assert.strictEqual(process[ProcessTypeId], ProcessTypeId)
      assert.isTrue(yield* process.isRunning)
      assert.match(fs.readFileSync(`/proc/${process.pid}/cmdline`, "latin1"), /^sh\0-c\0/)
      assert.deepStrictEqual(JSON.parse(JSON.stringify(process)), {
        _id: "@effect/platform/CommandExecutor/Process",
        pid: process.pid
      })
      yield* Stream.run(Stream.encodeText(Stream.make("3\n")), process.stdin)
      assert.strictEqual(yield* process.exitCode, 3)
      assert.strictEqual(yield* process.exitCode, 3)
      assert.isFalse(yield* process.isRunning)
      assert.strictEqual(yield* textOf(process.stdout), "out\n")
      assert.strictEqual(yield* textOf(process.stderr), "err\n")
    }))
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
    "the first command may be interrupted at any moment, and the next one runs",
    Effect.gen(function*() {
      for (let turns = 0; turns < 12; turns++) {
        const code = yield* Effect.provide(
          Effect.gen(function*() {
            const first = yield* Effect.fork(Command.exitCode(script("exit 7")))
            for (let turn = 0; turn < turns; turn++) yield* Effect.promise(() => new Promise(setImmediate))
            yield* Fiber.interrupt(first)
            return yield* Command.exitCode(script("exit 7"))
          }),
          // An executor of its own, which nobody has used.
          Layer.fresh(NodeCommandExecutor.layerSpawner)
        )
        assert.strictEqual(code, 7)
      }
    })
  )

  test(
    "a command that is only run has a stdin that does not end",
    Effect.scoped(Effect.gen(function*() {
      const name = token()
      const fiber = yield* Effect.fork(Command.exitCode(script("cat; exit 7", name)))
      yield* until(() => alive(name).length > 0)
      assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(alive(name), [])
    }))
  )

  test(
    "interruption ends the whole tree, also what ignores TERM, and is bounded",
    Effect.gen(function*() {
      const name = token()
      const fiber = yield* Effect.fork(
        Command.exitCode(
          script(`(trap '' TERM; exec sh -c 'while :; do sleep 1; done' ${name}) & exec sleep 100`, name)
        )
      )
      yield* until(() => alive(name).length > 0)
      const started = performance.now()
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(alive(name), [])
      assert.isBelow(performance.now() - started, 5_000 + 1_000 + 1_500)
    })
  )

  test(
    "what outlives a command that succeeded is ended with it",
    Effect.gen(function*() {
      const name = token()
      const command = script(`sh -c 'sleep 100; :' ${name} >/dev/null 2>&1 & exit 0`)
      assert.strictEqual(yield* Command.exitCode(command), 0)
      assert.deepStrictEqual(alive(name), [])
      // Also what holds the output open.
      assert.strictEqual(yield* Command.string(script(`sh -c 'sleep 100; :' ${name} & echo done`)), "done\n")
      assert.deepStrictEqual(alive(name), [])
    })
  )

  test(
    "kill reaches the whole group and waits for the exit",
    Effect.scoped(Effect.gen(function*() {
      const name = token()
      const process = yield* Command.start(script(`sh -c 'sleep 100; :' ${name} & wait`, name))
      yield* until(() => alive(name).length === 2)
      yield* process.kill("SIGKILL")
      assert.isFalse(yield* process.isRunning)
      yield* until(() => alive(name).length === 0)
    }))
  )

  test(
    "kill knows the signals by both of their names, and no others",
    Effect.scoped(Effect.gen(function*() {
      const process = yield* Command.start(script("trap 'exit 8' ABRT; echo; while :; do sleep 0.01; done"))
      yield* Stream.runDrain(Stream.take(process.stdout, 1))
      const error = yield* Effect.flip(process.kill("SIGLOST"))
      assert.deepStrictEqual([error._tag, error.module, error.method], ["BadArgument", "Command", "kill"])
      yield* process.kill("SIGIOT")
      assert.strictEqual(yield* process.exitCode, 8)
    }))
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
    "stderr that nobody reads does not block a process; a late reader gets the last MiB",
    Effect.scoped(Effect.gen(function*() {
      const process = yield* Command.start(script("head -c 3000000 /dev/zero >&2; echo last >&2; echo done"))
      assert.strictEqual(yield* textOf(process.stdout), "done\n")
      assert.strictEqual(yield* process.exitCode, 0)
      const kept = yield* textOf(process.stderr)
      assert.isTrue(kept.endsWith("last\n"))
      assert.isAtMost(kept.length, 1024 * 1024)
      assert.isAbove(kept.length, 512 * 1024)
    }))
  )

  test(
    "stderr that is read from the start is read whole, with back-pressure",
    Effect.scoped(Effect.gen(function*() {
      const process = yield* Command.start(script("read x; head -c 3000000 /dev/zero >&2"))
      const length = yield* Effect.fork(
        Stream.runFoldEffect(process.stderr, 0, (n, bytes) => Effect.delay(Effect.succeed(n + bytes.length), 1))
      )
      yield* Effect.sleep(20)
      yield* Stream.run(Stream.encodeText(Stream.make("\n")), process.stdin)
      assert.strictEqual(yield* Fiber.join(length), 3_000_000)
    }))
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
    "a stdin Stream that fails ends the command, which never sees the end of its input",
    Effect.scoped(Effect.gen(function*() {
      const directory = yield* temporary
      const broken = new SystemError({ reason: "Unknown", module: "Stream", method: "test" })
      const command = script("cat > f.tmp && mv f.tmp f").pipe(
        Command.workingDirectory(directory),
        Command.stdin(Stream.concat(Stream.make(Buffer.from("half")), Stream.fail(broken)))
      )
      assert.strictEqual(yield* Effect.flip(Command.exitCode(command)), broken)
      assert.isFalse(fs.existsSync(path.join(directory, "f")))
    }))
  )

  test(
    "a stdin Stream is interrupted with its command",
    Effect.gen(function*() {
      const ended = yield* Deferred.make<void>()
      // The command ends when it has had a line: a Stream that has not begun has nothing to interrupt.
      const endless = Stream.concat(Stream.make(Buffer.from("line\n")), Stream.never).pipe(
        Stream.ensuring(Deferred.succeed(ended, undefined))
      )
      assert.strictEqual(yield* Command.exitCode(Command.stdin(script("read x"), endless)), 0)
      yield* Deferred.await(ended)
    })
  )

  test(
    "stdin of a process is written once, and text is text",
    Effect.gen(function*() {
      const process = yield* Command.start(Command.make("cat"))
      yield* Stream.run(Stream.make("text" as unknown as Uint8Array), process.stdin)
      const error = yield* Effect.flip(Stream.run(Stream.make(new Uint8Array(1)), process.stdin))
      assert.deepInclude(error, { _tag: "SystemError", module: "Command", method: "toWritable" })
      assert.strictEqual(yield* textOf(process.stdout), "text")
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
