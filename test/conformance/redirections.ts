/** Redirections: scenarios 28 and 38, files, further descriptors, and what the children see of them. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { Command, type CommandError, type SpawnError, Stdio } from "effect-process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as fixtures from "../support/fixtures.ts"
import * as observer from "../support/observer.ts"
import { type Suite, timed, until, within } from "../support/scenario.ts"

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

const isSpawnError = (error: CommandError): error is SpawnError => error._tag === "SpawnError"

/** Starts a command, and closes its scope when it has a process: how many milliseconds that takes. */
const ended = (command: Command.Command) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const job = yield* Scope.extend(Command.start(command), scope)
    // By its pid: a process that waits for its descriptors is not yet the program, and bears no token.
    yield* until("it is there", () => observer.isAlive(job.pid) || undefined)
    const [elapsed] = yield* timed(Scope.close(scope, Exit.void))
    assert.isFalse(observer.isAlive(job.pid))
    return elapsed
  })

/** Keeps what it is given. */
const collector = (into: Array<string>) =>
  Sink.forEach((bytes: Uint8Array) => Effect.sync(() => void into.push(text(bytes))))

export const redirections = ({ bounds: { e, g }, scenario }: Suite): void => {
  scenario(
    "28: stdout and stderr in one place keep the order of 4,000 alternating bytes",
    (t) =>
      Effect.gen(function*() {
        const script = "i=0; while [ $i -lt 2000 ]; do printf o; printf e >&2; i=$((i + 1)); done"
        const command = t.sh(script).pipe(Command.stderr(Stdio.toStdout))
        const result = yield* Command.run(command)
        assert.strictEqual(result.stdoutText, "oe".repeat(2000))
        assert.strictEqual(result.stderrText, "")
        const directory = yield* fixtures.temporaryDirectory
        const file = path.join(directory, "both")
        yield* Command.run(Command.stdout(command, Stdio.file(file)))
        assert.strictEqual(fs.readFileSync(file, "utf8"), "oe".repeat(2000))
        const seen: Array<string> = []
        yield* Command.run(Command.stdout(command, collector(seen)))
        assert.strictEqual(seen.join(""), "oe".repeat(2000))
        const piped = command.pipe(Command.pipeTo(t.mark(Command.make("cat"))))
        assert.strictEqual(yield* Command.string(piped), "oe".repeat(2000))
      })
  )

  scenario("files: read, emptied, appended to, and shared by both outputs", (t) =>
    Effect.gen(function*() {
      const directory = yield* fixtures.temporaryDirectory
      const [source, target] = [path.join(directory, "in"), path.join(directory, "out")]
      fs.writeFileSync(source, "b\na\n")
      fs.writeFileSync(target, "what was there before, and is longer")
      const sort = t.mark(Command.make("sort")).pipe(Command.stdin(Stdio.file(source)))
      const result = yield* Command.run(Command.stdout(sort, Stdio.file(target)))
      assert.strictEqual(result.stdoutText, "")
      assert.strictEqual(fs.readFileSync(target, "utf8"), "a\nb\n")
      yield* Command.run(Command.stdout(sort, Stdio.file(target, { append: true })))
      assert.strictEqual(fs.readFileSync(target, "utf8"), "a\nb\na\nb\n")
      yield* Command.run(t.sh("echo out; echo err >&2").pipe(Command.stderr(Stdio.file(target))))
      assert.strictEqual(fs.readFileSync(target, "utf8"), "err\n")
    }))

  scenario(
    "files are made with the permissions that the umask leaves, below our directory and not the command's",
    (t) =>
      Effect.gen(function*() {
        const directory = yield* fixtures.temporaryDirectory
        const file = path.join(directory, "new")
        const relative = path.relative(process.cwd(), file)
        yield* Command.run(t.sh("echo x").pipe(Command.workingDirectory("/"), Command.stdout(Stdio.file(relative))))
        assert.strictEqual(fs.readFileSync(file, "utf8"), "x\n")
        assert.strictEqual(fs.statSync(file).mode & 0o777, 0o666 & ~process.umask())
      })
  )

  scenario("files that cannot be opened are a SpawnError with stage open", (t) =>
    Effect.gen(function*() {
      const directory = yield* fixtures.temporaryDirectory
      const plain = path.join(directory, "plain")
      fs.writeFileSync(plain, "")
      const missing = path.join(directory, "missing", "file")
      const cases: ReadonlyArray<readonly [string, string, string, (self: Command.Command) => Command.Command]> = [
        ["NotFound", "ENOENT", missing, Command.stdout(Stdio.file(missing))],
        ["NotFound", "ENOENT", missing, Command.stdin(Stdio.file(missing))],
        ["NotFound", "ENOENT", missing, Command.fd(5, Stdio.file(missing, { mode: "append" }))],
        ["NotFound", "ENOTDIR", path.join(plain, "below"), Command.stderr(Stdio.file(path.join(plain, "below")))],
        ["InvalidArgument", "EISDIR", directory, Command.stdout(Stdio.file(directory))]
      ]
      for (const [reason, errno, at, redirect] of cases) {
        const command = t.sh("echo ran").pipe(redirect)
        for (const each of [command, Command.pipeTo(t.sh("sleep 100; :"), command)]) {
          const error = yield* Effect.flip(Command.run(each)).pipe(Effect.filterOrDie(isSpawnError, (other) => other))
          const { command: name, errno: found, path: file, reason: why, stage } = error
          assert.deepStrictEqual([stage, why, found, file, name], ["open", reason, errno, at, String(command)])
        }
      }
      yield* t.isEmpty
    }))

  if (process.getuid?.() !== 0) {
    scenario("a file that we may not open is PermissionDenied", (t) =>
      Effect.gen(function*() {
        const command = t.sh("echo ran").pipe(Command.stdout(Stdio.file("/etc/passwd")))
        assert.deepInclude(yield* Effect.flip(Command.run(command)), { reason: "PermissionDenied", stage: "open" })
      }))
  }

  scenario(
    "descriptors from 3 on: Streams in, Sinks out, files and nothing, at numbers near and far",
    (t) =>
      Effect.gen(function*() {
        const directory = yield* fixtures.temporaryDirectory
        const [source, target] = [path.join(directory, "in"), path.join(directory, "out")]
        fs.writeFileSync(source, "from a file\n")
        fs.writeFileSync(target, "before\n")
        const [eight, ten]: [Array<string>, Array<string>] = [[], []]
        const script = "cat <&3; cat <&4; cat <&5; echo eight >&8; echo nine >&9; cat <&63; echo six >&6; echo ten >&10"
        const command = t.mark(Command.make("bash", "-c", script)).pipe(
          Command.fd(3, Stream.make("three", "\n")),
          Command.fd(4, Stdio.file(source, { mode: "read" })),
          Command.fd(5, "ignore"),
          Command.fd(6, Stdio.file(target, { mode: "append" })),
          Command.fd(8, collector(eight)),
          Command.fd(9, "ignore"),
          Command.fd(10, collector(ten)),
          Command.fd(63, Stream.make(Buffer.from("sixty-three\n")))
        )
        assert.strictEqual(yield* Command.string(command), "three\nfrom a file\nsixty-three\n")
        assert.deepStrictEqual([eight.join(""), ten.join("")], ["eight\n", "ten\n"])
        assert.strictEqual(fs.readFileSync(target, "utf8"), "before\nsix\n")
      })
  )

  scenario("descriptors from 3 on carry much, both ways at once, in any stage", (t) =>
    Effect.gen(function*() {
      const size = 1_000_000
      let back = 0
      const copy = t.sh("cat <&3 >&4").pipe(
        Command.fd(3, Stream.take(Stream.repeatValue(new Uint8Array(size / 10)), 10)),
        Command.fd(4, Sink.forEach((bytes: Uint8Array) => Effect.sync(() => void (back += bytes.length))))
      )
      const cat = t.mark(Command.make("cat"))
      for (const command of [copy, Command.pipeTo(copy, cat), Command.pipeTo(cat, copy)]) {
        back = 0
        yield* Command.run(command)
        assert.strictEqual(back, size)
      }
    }))

  scenario("a Stream of a descriptor that fails ends the job with its own error", (t) =>
    Effect.gen(function*() {
      const input = Stream.concat(Stream.make("half"), Stream.fail("boom" as const))
      const command = t.sh("cat <&3 >/dev/null; echo committed").pipe(Command.fd(3, input))
      for (const runner of [Command.run, Command.exitCode, Command.string, Command.success]) {
        assert.strictEqual(yield* Effect.flip(runner(command) as Effect.Effect<unknown, unknown>), "boom")
      }
    }).pipe(Effect.asVoid))

  scenario("children see the descriptors 0 to 2 and those that their stage names", (t) =>
    Effect.gen(function*() {
      const list = t.mark(Command.make("ls", "/proc/self/fd"))
      const fds = (command: Command.Command) =>
        Effect.map(Command.string(command), (names) => names.trim().split(/\s+/))
      // One more than is given: the directory that ls reads.
      assert.deepStrictEqual(yield* fds(list), ["0", "1", "2", "3"])
      assert.deepStrictEqual(yield* fds(Command.fd(list, 5, Stream.make("x"))), ["0", "1", "2", "3", "5"])
      assert.deepStrictEqual(yield* fds(Command.stderr(list, Stdio.toStdout)), ["0", "1", "2", "3"])
      const others = t.sh("exec cat").pipe(Command.fd(7, Stream.make("x")), Command.fd(8, "ignore"))
      const all = others.pipe(
        Command.pipeTo(list.pipe(Command.stderr("ignore"), Command.fd(4, Stdio.file("/dev/null", { mode: "read" })))),
        Command.pipeTo(others)
      )
      assert.deepStrictEqual(yield* fds(all), ["0", "1", "2", "3", "4"])
    }))

  scenario(
    "38: a FIFO that nobody opens, as a file: the deadline fires, and an interrupt ends the wait",
    (t) =>
      Effect.gen(function*() {
        const directory = yield* fixtures.temporaryDirectory
        const fifo = path.join(directory, "fifo")
        yield* Command.run(t.mark(Command.make("mkfifo", fifo)))
        const waiting = t.mark(Command.make("cat")).pipe(Command.stdin(Stdio.file(fifo)))
        const cat = t.mark(Command.make("cat"))
        for (
          const command of [waiting, Command.pipeTo(waiting, cat), Command.pipeTo(t.sh("exec sleep 100"), waiting)]
        ) {
          const [elapsed, error] = yield* timed(Effect.flip(Command.run(Command.timeout(command, 300))))
          assert.strictEqual(error._tag, "TimedOut")
          within(elapsed, 300 + e)
          yield* t.isEmpty
          within(yield* ended(command), g + e)
          yield* t.isEmpty
        }
        within(yield* ended(t.sh("echo x").pipe(Command.stdout(Stdio.file(fifo)))), g + e)
      })
  )

  scenario("a FIFO that somebody opens later is read and written", (t) =>
    Effect.gen(function*() {
      const directory = yield* fixtures.temporaryDirectory
      const fifo = path.join(directory, "fifo")
      yield* Command.run(t.mark(Command.make("mkfifo", fifo)))
      const reading = t.mark(Command.make("cat")).pipe(Command.stdin(Stdio.file(fifo)), Command.string)
      const writing = t.sh("echo through").pipe(Command.stdout(Stdio.file(fifo)), Command.run)
      const [read] = yield* Effect.all([reading, Effect.delay(writing, 200)], { concurrency: 2 })
      assert.strictEqual(read, "through\n")
    }))

  scenario("inherit: a stage's stderr is ours", (t) =>
    Effect.gen(function*() {
      const command = t.sh("ls -l /proc/self/fd/2 | sed 's/.*-> //'").pipe(Command.stderr("inherit"))
      const own = fs.readlinkSync("/proc/self/fd/2")
      assert.strictEqual((yield* Command.string(command)).trim(), own)
    }))
}
