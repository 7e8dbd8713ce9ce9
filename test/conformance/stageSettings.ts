/** Limits and identity of each stage: done by the spawn server, refused by the fallback where it cannot. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { Command, Stdio } from "effect-process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as fixtures from "../support/fixtures.ts"
import { type Suite } from "../support/scenario.ts"

type Combinator = (self: Command.Command) => Command.Command

export const stageSettings = ({ scenario }: Suite): void => {
  scenario(
    "what a command keeps from others by its umask is kept from them in its files, too",
    (t) =>
      Effect.gen(function*() {
        const file = path.join(yield* fixtures.temporaryDirectory, "secret")
        yield* Command.run(t.sh("echo x").pipe(Command.umask(0o77), Command.stdout(Stdio.file(file))))
        assert.strictEqual(fs.statSync(file).mode & 0o777, 0o600)
      })
  )

  scenario("a limit may be none at all", (t) =>
    Effect.gen(function*() {
      const command = t.sh("ulimit -t; ulimit -n").pipe(Command.limits({ cpu: Infinity, openFiles: 40 }))
      assert.deepStrictEqual(yield* Command.lines(command), ["unlimited", "40"])
    }))

  scenario("each stage has its own umask, limits, niceness and name", (t) =>
    Effect.gen(function*() {
      const tell = t.sh("cat; echo $(umask) $(ulimit -n) $(nice)")
      const command = tell.pipe(
        Command.umask(0o77),
        Command.nice(3),
        Command.pipeTo(tell.pipe(Command.limits({ openFiles: 40 }), Command.umask(0o22), Command.nice(1))),
        Command.pipeTo(tell.pipe(Command.nice(5), Command.umask(0o27), Command.limits({ openFiles: 50 }))),
        Command.feed("")
      )
      const [first, ...others] = yield* Command.lines(command)
      assert.match(first ?? "", /^0077 \S+ 3$/)
      assert.deepStrictEqual(others, ["0022 40 1", "0027 50 5"])
      const name = t.mark(Command.make("cat", "/proc/self/cmdline")).pipe(Command.argv0("other"))
      assert.match(yield* Command.string(Command.pipeTo(t.sh("echo x"), name)), /^other\0/)
      assert.match(yield* Command.string(name.pipe(Command.stderr(Stdio.toStdout))), /^other\0/)
    }))

  scenario("more stages or pipes than the server takes are refused, and it goes on", (t) =>
    Effect.gen(function*() {
      const job = yield* Command.start(t.sh("read line; exit 7"))
      const cat = t.mark(Command.make("cat"))
      const many = Array.from({ length: 64 }).reduce<Command.Command>((self) => Command.pipeTo(self, cat), cat)
      const wide = Array.from({ length: 100 }).reduce<Command.Command>(
        (self, _, i) => Command.fd(self, i + 3, Sink.drain),
        cat
      )
      for (
        const [command, says] of [[many, /65 stages are more than the 64/], [wide, /102 pipes to us .* 96/]] as const
      ) {
        const error = yield* Effect.flip(Command.run(command))
        assert.deepInclude(error, { _tag: "SpawnError", reason: "Unsupported", stage: "validate" })
        assert.match(error.message, says)
      }
      yield* Stream.run(Stream.empty, job.stdin)
      assert.strictEqual(yield* job.exitCode, 7)
    }))

  if (process.getuid?.() === 0) {
    scenario("each stage has its own user and groups; files are opened as we are", (t) =>
      Effect.gen(function*() {
        const directory = yield* fixtures.temporaryDirectory
        const file = path.join(directory, "ours")
        const tell = t.sh("cat; echo $(id -u) $(id -G)")
        const command = tell.pipe(
          Command.user({ uid: 64_123, gid: 64_124, groups: [64_125] }),
          Command.pipeTo(tell),
          Command.pipeTo(tell.pipe(Command.user({ uid: 64_126, gid: 64_127 }))),
          Command.feed(""),
          Command.stdout(Stdio.file(file))
        )
        yield* Command.run(command)
        const lines = fs.readFileSync(file, "utf8").trim().split("\n")
        assert.deepStrictEqual([lines[0], lines[2]], ["64123 64124 64125", "64126 64127"])
        assert.match(lines[1] ?? "", /^0 /)
        assert.strictEqual(fs.statSync(file).uid, 0)
      }))
  }
}

export const unsupportedSettings = ({ scenario }: Suite): void => {
  const refused: Readonly<Record<string, Combinator>> = {
    limits: Command.limits({ openFiles: 40 }),
    nice: Command.nice(1),
    umask: Command.umask(0o77),
    groups: Command.user({ uid: 64_123, gid: 64_123, groups: [64_124] }),
    "argv0 with 2>&1": (self) => self.pipe(Command.argv0("other"), Command.stderr(Stdio.toStdout))
  }
  for (const [what, set] of Object.entries(refused)) {
    scenario(
      `${what} is refused with Unsupported, whichever stage asks for it, and nothing is left`,
      (t) =>
        Effect.gen(function*() {
          const [asking, other] = [set(t.sh("cat")), t.sh("sleep 100; :")]
          for (const command of [asking, Command.pipeTo(asking, other), Command.pipeTo(other, asking)]) {
            const error = yield* Effect.flip(Command.run(command))
            assert.deepInclude(error, { _tag: "SpawnError", reason: "Unsupported", command: String(asking) })
            assert.match(error.message, /node:child_process; \w+/)
            yield* t.isEmpty
          }
        })
    )
  }

  scenario("a terminal is refused with Unsupported and a remedy, also to a pipeline", (t) =>
    Effect.gen(function*() {
      for (const command of [t.sh("tty"), Command.pipeTo(t.sh("sleep 100; :"), t.sh("tty"))]) {
        const error = yield* Effect.flip(Command.run(Command.terminal(command)))
        assert.deepInclude(error, { _tag: "SpawnError", reason: "Unsupported", stage: "validate" })
        assert.match(error.message, /Command\.terminal is not supported .* use NodeProcess\.layerSpawnServer, or/)
        yield* t.isEmpty
      }
    }))

  scenario("argv0 of each stage is what it says", (t) =>
    Effect.gen(function*() {
      const name = t.mark(Command.make("cat", "/proc/self/cmdline")).pipe(Command.argv0("other"))
      assert.match(yield* Command.string(Command.pipeTo(t.sh("echo x"), name)), /^other\0/)
    }))
}
