/** Scenarios 31 to 36: what does not start, and how what started ended. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Command, type SpawnError } from "effect-process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as fixtures from "../support/fixtures.ts"
import * as observer from "../support/observer.ts"
import { noDescriptorBut, type Suite } from "../support/scenario.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-process-"))),
  (name) => Effect.sync(() => fs.rmSync(name, { recursive: true, force: true }))
)

const spawnError = <E, R>(command: Command.Command<E, R>) =>
  Effect.flatMap(Effect.flip(Command.run(command)), (error) => {
    const found = error as SpawnError
    assert.strictEqual(found._tag, "SpawnError", String(error))
    assert.notInclude(found.message, "\n")
    return Effect.succeed(found)
  })

/** The signals that end a process by default and that Node has names for. Source: signal(7). */
const deadly = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGILL",
  "SIGTRAP",
  "SIGABRT",
  "SIGBUS",
  "SIGFPE",
  "SIGKILL",
  "SIGUSR1",
  "SIGSEGV",
  "SIGUSR2",
  "SIGPIPE",
  "SIGALRM",
  "SIGTERM",
  "SIGSTKFLT",
  "SIGXCPU",
  "SIGXFSZ",
  "SIGVTALRM",
  "SIGPROF",
  "SIGIO",
  "SIGPWR",
  "SIGSYS"
] as const

export const spawnErrors = ({ scenario, subject }: Suite): void => {
  scenario(
    "31: each way in which a program cannot be run has its reason, stage and errno",
    (t) =>
      Effect.gen(function*() {
        const dir = yield* folder
        const file = (name: string, content: string | Buffer, mode = 0o755): string => {
          const at = path.join(dir, name)
          fs.writeFileSync(at, content)
          fs.chmodSync(at, mode)
          return at
        }
        fs.symlinkSync("loop", path.join(dir, "loop"))
        const brokenElf = fs.readFileSync(process.execPath).subarray(0, 4096)
        brokenElf.writeUInt16LE(0xfff0, 18)
        const cases = [
          ["effect-process-no-such-program", "NotFound", "ENOENT"],
          [path.join(dir, "absent"), "NotFound", "ENOENT"],
          [file("plain", "#!/bin/sh\n", 0o644), "PermissionDenied", "EACCES"],
          [dir, "PermissionDenied", "EACCES"],
          [file("interpreter", "#!/no/such/interpreter\n"), "NotFound", "ENOENT"],
          [file("no-first-line", "echo run by sh\n"), "NotExecutable", "ENOEXEC"],
          [file("empty", ""), "NotExecutable", "ENOEXEC"],
          [file("elf", brokenElf), "NotExecutable", "ENOEXEC"],
          [file("elf-cut", "\u007fELF and no more"), "NotExecutable", "ENOEXEC"],
          [path.join(dir, "loop"), "NotFound", "ELOOP"],
          [path.join(dir, "x".repeat(300)), "NotFound", "ENAMETOOLONG"],
          [path.join(dir, "plain", "below"), "NotFound", "ENOTDIR"]
        ] as const
        for (const [program, reason, errno] of cases) {
          const error = yield* spawnError(t.mark(Command.make(program)))
          assert.deepInclude(error, { reason, stage: "exec", errno }, program)
          assert.include(error.message, path.basename(program).slice(0, 100))
        }
      })
  )

  scenario(
    "31: the search path is that of the child, with empty entries, directories and what cannot be run",
    (t) =>
      Effect.gen(function*() {
        const dir = yield* folder
        for (const name of ["a", "b", "c"]) fs.mkdirSync(path.join(dir, name))
        fs.mkdirSync(path.join(dir, "a", "tool"))
        fs.writeFileSync(path.join(dir, "b", "tool"), "#!/bin/sh\necho wrong\n", { mode: 0o644 })
        fs.writeFileSync(path.join(dir, "c", "tool"), "#!/bin/sh\necho \"right $0\"\n", { mode: 0o755 })
        const tool = (PATH: string) => t.mark(Command.make("tool")).pipe(Command.env({ PATH }))
        const full = ["a", "b", "c"].map((name) => path.join(dir, name)).join(":")
        assert.strictEqual(yield* Command.string(tool(full)), `right ${path.join(dir, "c", "tool")}\n`)
        const here = tool(`${path.join(dir, "a")}:`).pipe(Command.workingDirectory(path.join(dir, "c")))
        assert.include(yield* Command.string(here), "right")
        assert.deepInclude(yield* spawnError(tool(path.join(dir, "b"))), {
          reason: "PermissionDenied",
          errno: "EACCES"
        })
        assert.deepInclude(yield* spawnError(tool(dir)), { reason: "NotFound", errno: "ENOENT" })
      })
  )

  scenario("32: a working directory that is none", (t) =>
    Effect.gen(function*() {
      const dir = yield* folder
      const plain = path.join(dir, "plain")
      fs.writeFileSync(plain, "")
      const cases = [[path.join(dir, "absent"), "ENOENT"], [plain, "ENOTDIR"]] as const
      for (const [directory, errno] of cases) {
        const error = yield* spawnError(t.sh("true").pipe(Command.workingDirectory(directory)))
        assert.deepInclude(error, { reason: "BadWorkingDirectory", stage: "chdir", errno, path: directory })
      }
      assert.strictEqual(
        yield* Command.string(t.mark(Command.make("pwd", "-P")).pipe(Command.workingDirectory(dir))),
        `${fs.realpathSync(dir)}\n`
      )
    }))

  scenario("33: arguments and environments that are too long", (t) =>
    Effect.gen(function*() {
      const long = "x".repeat(131_072)
      const many = Array.from({ length: 100 }, () => "x".repeat(100_000))
      for (
        const command of [
          Command.make("true", long),
          Command.make("true", ...many),
          Command.make("true").pipe(Command.env({ LONG: long })),
          Command.make("true").pipe(
            Command.env(Object.fromEntries(many.map((value, index) => [`LONG${index}`, value])))
          )
        ]
      ) {
        const error = yield* spawnError(t.mark(command))
        assert.deepInclude(error, { reason: "ArgumentListTooLong", stage: "exec", errno: "E2BIG" })
        assert.isBelow(JSON.stringify(error).length, 1_000_000_000)
      }
      assert.strictEqual(yield* Command.exitCode(t.mark(Command.make("true", long.slice(1)))), 0)
    }))

  scenario("34: NUL bytes and empty commands are refused before anything is forked", (t) =>
    Effect.gen(function*() {
      for (
        const command of [
          Command.make("tr\0ue"),
          Command.make("true", "a\0b"),
          Command.make("true").pipe(Command.env({ "A\0": "x" })),
          Command.make("true").pipe(Command.env({ A: "x\0" })),
          Command.make("true").pipe(Command.env({ "A=B": "x" })),
          Command.make("true").pipe(Command.workingDirectory("/\0")),
          Command.make(""),
          Command.make``,
          Command.shell`echo '${"quoted"}'`
        ]
      ) {
        const error = yield* spawnError(t.mark(command))
        assert.deepInclude(error, { reason: "InvalidArgument", stage: "validate", errno: undefined })
      }
    }))

  scenario("35: running out of descriptors is an error like any other, and costs none", (t) =>
    Effect.gen(function*() {
      const before = observer.descriptors()
      const limit = Number(/^Max open files\s+(\d+)/m.exec(fs.readFileSync("/proc/self/limits", "utf8"))?.[1])
      const taken: Array<number> = []
      const free = Effect.sync(() => {
        for (const fd of taken.splice(0)) fs.closeSync(fd)
      })
      const error = yield* Effect.sync(() => {
        for (let room = limit; room > 0; room--) {
          try {
            taken.push(fs.openSync("/dev/null", "r"))
          } catch {
            break
          }
        }
        // node:child_process needs one to look the program up; what is missing are those of the pipes.
        for (const fd of taken.splice(subject.guarantees.engine === "spawn-server" ? -1 : -2)) fs.closeSync(fd)
      }).pipe(Effect.zipRight(spawnError(t.sh("true"))), Effect.ensuring(free))
      assert.deepInclude(error, { reason: "ResourceExhausted", stage: "fork", errno: "EMFILE" })
      assert.strictEqual(yield* Command.string(t.sh("echo again")), "again\n")
      yield* noDescriptorBut(before)
    }))

  scenario("36: every exit code", (t) =>
    Effect.gen(function*() {
      const codes = Array.from({ length: 256 }, (_, code) => code)
      const seen = yield* Effect.forEach(codes, (code) => Command.exitCode(t.sh(`exit ${code}`)), { concurrency: 8 })
      assert.deepStrictEqual(seen, codes)
    }))

  scenario("36: death by every signal that kills", (t) =>
    Effect.gen(function*() {
      const crash = fixtures.program("crash")
      for (const signal of deadly) {
        const error = yield* Effect.flip(
          Command.run(t.mark(Command.make(crash, String(os.constants.signals[signal]))))
        )
        assert.deepInclude(error, { _tag: "Signaled", signal, coreDumped: false })
      }
    }))

  if (subject.guarantees.engine === "child-process") {
    scenario("what an engine cannot do it refuses by name", (t) =>
      Effect.gen(function*() {
        for (
          const command of [
            t.sh("true").pipe(Command.limits({ openFiles: 10 })),
            t.sh("true").pipe(Command.nice(5)),
            t.sh("true").pipe(Command.umask(0o77)),
            t.sh("true").pipe(Command.user({ uid: 1, gid: 1, groups: [1] }))
          ]
        ) {
          const error = yield* spawnError(command)
          assert.deepInclude(error, { reason: "Unsupported", stage: "validate" })
        }
      }))
  }

  scenario("a script that begins like an option is a script", (t) =>
    Effect.gen(function*() {
      const script = "--no-such-program 2>/dev/null || exit 9"
      assert.strictEqual(yield* Command.exitCode(t.mark(Command.shell(script))), 9)
      assert.strictEqual(yield* Command.exitCode(t.mark(Command.shell("+x 2>/dev/null || exit 8"))), 8)
    }))

  scenario("argument 0 and the user are what the command says", (t) =>
    Effect.gen(function*() {
      const named = t.mark(Command.make("sh", "-c", "tr '\\0' ' ' < /proc/$$/cmdline")).pipe(Command.argv0("-login"))
      assert.match(yield* Command.string(named), /^-login -c/)
      if (process.getuid?.() === 0) {
        const id = t.sh("id -u; id -g; id -G").pipe(Command.user({ uid: 64_123, gid: 64_124 }))
        assert.deepStrictEqual(yield* Command.lines(id), ["64123", "64124", "64124"])
      }
    }))
}
