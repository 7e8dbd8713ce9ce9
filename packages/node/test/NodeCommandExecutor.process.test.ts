/** Processes of the drop-in on each engine: their fields, their streams, and how they end. */
import { assert, describe } from "@effect/vitest"
import { NodeCommandExecutor } from "@effect-process/node"
import * as Command from "@effect/platform/Command"
import { ProcessTypeId } from "@effect/platform/CommandExecutor"
import { SystemError } from "@effect/platform/Error"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as path from "node:path"
import { engines, script, temporary, tester, textOf, until } from "./support/dropIn.ts"

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

let count = 0
/** A name by which a test finds its own processes. */
const token = (): string => `executor-${process.pid}-${++count}`

describe.each(Object.entries(engines))("%s", (_, spawner) => {
  const test = tester(spawner)

  test(
    "a process has its fields",
    Effect.scoped(Effect.gen(function*() {
      const process = yield* Command.start(script("echo out; echo err >&2; read x; exit $x"))
      assert.strictEqual(process[ProcessTypeId], ProcessTypeId)
      assert.isTrue(yield* process.isRunning)
      // In the middle of its exec a process has no arguments yet.
      yield* until(() => fs.readFileSync(`/proc/${process.pid}/cmdline`, "latin1").startsWith("sh\0-c\0"))
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
          script(`(trap '' TERM; exec sh -c 'while :; do sleep 1; done' ${name}) & exec sleep 100`)
        )
      )
      // The one that has set its trap: the shell around it has the name within one of its words.
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
})
