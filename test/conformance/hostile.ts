/** The child attacks: what it can make of its descriptors, its names, its output and its owner's death. See SECURITY.md. */
import { assert } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Command, ExitStatus, Orphans, type ProcessSpawner, ProcessTable, Readiness, Stdio } from "effect-process"
import * as fs from "node:fs"
import * as path from "node:path"
import { inspect } from "node:util"
import * as fixtures from "../support/fixtures.ts"
import * as observer from "../support/observer.ts"
import { keepersOf, kill, killTogether, startReady } from "../support/owners.ts"
import { type Scenario, type Suite, timed, until, within } from "../support/scenario.ts"

/** Sets a title and colours, turns the direction of writing, and clears the screen by the 8-bit form. */
const escapes = "\u001b]0;owned\u0007\u001b[31m\u202e\u009b2Jred"

/** As a name, of which 15 bytes count: ends the line and the parentheses that the kernel puts around it. */
const name = "\u001b[31m)\n(\u202e"

/** What a terminal would obey, in a text that may have lines. */
// oxlint-disable-next-line no-control-regex
const obeyed = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/

const harmless = (texts: Readonly<Record<string, string>>) => {
  for (const [what, text] of Object.entries(texts)) {
    const [found] = obeyed.exec(text) ?? []
    assert.isUndefined(found, `${what} has ${JSON.stringify(found)}: ${JSON.stringify(text)}`)
  }
}

// Node's inspection and JSON show what stands in strings by rules of their own, which leave the direction of writing as it is.
const direction = /[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/** All that a person is shown of an error. */
const shown = (error: unknown): Readonly<Record<string, string>> => ({
  message: error instanceof Error ? error.message : "",
  string: String(error),
  inspection: inspect(error, { depth: 9 }).replaceAll(direction, ""),
  cause: Cause.pretty(Cause.fail(error))
})

const hostile = (t: Scenario, ...args: ReadonlyArray<string>) =>
  t.mark(Command.make(fixtures.program("hostile"), ...args))

const nobody = 64_123

export const hostileChildren = ({ bounds: { d, e, g }, scenario, subject }: Suite): void => {
  const isServer = subject.name === "spawn-server"

  scenario(
    "has the descriptors that it was given, in every place of a pipeline, and none of a sibling's",
    (t) =>
      Effect.gen(function*() {
        const sibling = yield* Command.start(t.mark(Command.make("cat")))
        const list = hostile(t, "descriptors")
        const alone = yield* Command.lines(list)
        const more = yield* Command.lines(Command.fd(list, 7, "ignore"))
        const cat = t.mark(Command.make("cat"))
        const within = yield* Command.lines(t.sh(":").pipe(Command.pipeTo(list), Command.pipeTo(cat)))
        const last = yield* Command.lines(t.sh(":").pipe(Command.pipeTo(list)))
        const numbers = (lines: ReadonlyArray<string>) => lines.map((line) => Number.parseInt(line, 10))
        assert.deepStrictEqual([alone, within, last].map(numbers), [[0, 1, 2], [0, 1, 2], [0, 1, 2]])
        assert.deepStrictEqual(numbers(more), [0, 1, 2, 7])
        const others = new Set(
          fs.readdirSync(`/proc/${sibling.pid}/fd`).map((fd) => fs.readlinkSync(`/proc/${sibling.pid}/fd/${fd}`))
        )
        const targets = [alone, more, within, last].flat().map((line) => line.split(" ")[3] ?? "")
        assert.deepStrictEqual(targets.filter((target) => target !== "/dev/null" && others.has(target)), [])
        if (!isServer) return
        // Pipes, of which it has the one side; no socket by which it could talk to anybody.
        const kinds = (lines: ReadonlyArray<string>) => lines.map((line) => line.split(" ").slice(1, 3).join(" "))
        assert.deepStrictEqual(kinds(alone), ["device both", "pipe write", "pipe write"])
        assert.deepStrictEqual(kinds(within), ["pipe read", "pipe write", "pipe write"])
      })
  )

  scenario(
    "that is told to be seen as terminal sequences is shown without them, in every rendering and error",
    (t) =>
      Effect.gen(function*() {
        const directory = path.join(yield* fixtures.temporaryDirectory, `${escapes}\n`)
        fs.mkdirSync(directory)
        const said: Array<string> = []
        const logger = Logger.replace(
          Logger.defaultLogger,
          Logger.make(({ annotations, message }) => {
            said.push(String(message), ...Array.from(annotations, String))
          })
        )
        const console = yield* Console.consoleWith(Effect.succeed)
        const printed = Effect.withConsole({
          ...console,
          error: (...args) => Effect.sync(() => said.push(args.join(" ")))
        })
        // Leaves one behind that has dressed up, and says so by a file.
        const script = `"$1" mask "$2" "$3" >"$4" & while ! [ -s "$4" ]; do :; done; printf '%s\\n' "$3" >&2; exit 3`
        const leaving = t.sh(script, fixtures.program("hostile"), name, escapes, path.join(directory, escapes)).pipe(
          Command.workingDirectory(directory),
          Command.label("leaving"),
          Command.verbose
        )
        const error = yield* Effect.flip(Command.run(leaving)).pipe(
          printed,
          Effect.provide(logger),
          Logger.withMinimumLogLevel(LogLevel.Debug)
        )
        assert.strictEqual(error._tag, "NonZeroExit")
        assert.isTrue(said.some((line) => line.includes("left behind")))
        harmless({ ...shown(error), "what was said": said.join("\n") })

        const running = yield* Command.start(
          t.sh("\"$1\" mask \"$2\" \"$3\" & wait", fixtures.program("hostile"), name, escapes)
        )
        yield* Stream.runHead(running.stdout)
        const rows = yield* running.descendants
        const tree = yield* ProcessTable.treeOf(running.pid)
        assert.lengthOf(rows, 1)
        assert.include(rows[0]?.commandLine, "\\u{1b}[31m")
        assert.include(rows[0]?.name, "\\u{a}(")
        for (const format of ["tree", "table"] as const) {
          harmless({ [format]: yield* ProcessTable.render(tree, { format, colours: false }) })
        }
        harmless({ rows: inspect(rows, { depth: 9 }), names: [...rows, ...tree].map((row) => row.name).join() })

        const words = t.sh("printf '%s\\n' \"$1\" >&2; exec sleep 100", escapes)
        const errors: Readonly<Record<string, Effect.Effect<unknown, Error, ProcessSpawner>>> = {
          "a program": Command.run(t.mark(Command.make(`no-${escapes}`))),
          "a directory": Command.run(Command.workingDirectory(t.sh(":"), `${directory}/missing`)),
          "a file": Command.run(Command.stdout(t.sh(":"), Stdio.file(`${directory}/missing/file`))),
          "a value": Command.json(t.sh("printf %s \"$1\"", escapes), Schema.Number),
          "a deadline": Command.run(Command.timeout(words, 100)),
          "a server": Effect.scoped(Command.startReady(words, Readiness.line(/never/), { timeout: 100 }))
        }
        for (const [what, run] of Object.entries(errors)) {
          const failure = yield* Effect.flip(run)
          for (const [how, text] of Object.entries(shown(failure))) harmless({ [`${what}, ${how}`]: text })
        }
      })
  )

  scenario("whose arguments and environment go on for ever is listed as shortly as any", (t) =>
    Effect.gen(function*() {
      const running = yield* Command.start(hostile(t, "endless", "endless"))
      // It has something to say once it is what it wants to be seen as.
      yield* Stream.runHead(running.stdout)
      const row = (yield* ProcessTable.snapshot).find(({ pid }) => pid === running.pid)
      assert.include(row?.commandLine, "endless")
      // Printable, so that each byte may have become six.
      assert.isAtMost(row?.commandLine.length ?? Infinity, 6 * 128 * 1024)
      assert.isFalse((yield* Orphans.find).some(({ pid }) => pid === running.pid))
      within((yield* timed(running.terminate()))[0], g + e)
    }))

  scenario("whose line never ends is ended when it has written what a runner may keep", (t) =>
    Effect.gen(function*() {
      const zeros = t.mark(Command.make("head", "-c", "100M", "/dev/zero")).pipe(Command.maxOutput(8 * 1024 * 1024))
      const before = process.memoryUsage().rss
      const error = yield* Effect.flip(Stream.runDrain(Command.streamLines(zeros)))
      assert.strictEqual(error._tag, "OutputLimitExceeded")
      assert.isBelow(process.memoryUsage().rss - before, 100 * 1024 * 1024)
      yield* t.isEmpty
    }))

  scenario("that writes what is no text is read without failure and without loss", (t) =>
    Effect.gen(function*() {
      const bytes = Uint8Array.from({ length: 4 * 256 }, (_, i) => i * 7 & 255)
      const cat = t.mark(Command.make("cat")).pipe(Command.feed(bytes))
      const result = yield* Command.run(cat)
      assert.deepStrictEqual(Uint8Array.from(result.stdout), bytes)
      const decoded = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)
      assert.strictEqual(yield* Command.string(cat), decoded)
      const lines = yield* Stream.runCollect(Command.streamLines(cat))
      assert.strictEqual(Chunk.join(lines, "\n"), decoded.replaceAll("\r\n", "\n").replace(/\n$/, ""))
      const error = yield* Effect.flip(
        Command.run(t.sh("cat >&2; exit 1").pipe(Command.feed(bytes.filter((byte) => byte !== 10))))
      )
      harmless(shown(error))
    }))

  scenario("that closes its outputs and goes on is waited for", (t) =>
    Effect.gen(function*() {
      const result = yield* Command.run(
        t.sh("echo out; exec >&- 2>&-; sleep 0.2; exit 7").pipe(Command.acceptExitCodes(7))
      )
      assert.deepStrictEqual([result.stdoutText, result.exit], ["out\n", ExitStatus.exited(7)])
    }))

  scenario(
    "with a newline in its name, deaf to TERM, does not outlive an owner that is killed",
    (t) =>
      Effect.gen(function*() {
        const owner = yield* startReady(t, "masked")
        yield* until(
          "it has dressed up",
          () => observer.alive(t.token).some(({ commandLine }) => commandLine === "masked") || undefined
        )
        const { atLeast, atMost } = yield* kill(owner, t.token)
        assert.isAtLeast(atLeast, g - 50)
        within(atMost, g + e)
      })
  )

  scenario(
    "that calls itself a supervisor is no less an orphan, nor is what is below it",
    (t) =>
      Effect.gen(function*() {
        const owner = yield* startReady(t, "pretender")
        yield* t.seeRunning("sleep 1041")
        yield* killTogether(keepersOf(owner.pid))
        const found = (yield* Orphans.find).filter((orphan) => orphan.owner.pid === owner.pid)
        assert.includeMembers(found.map((orphan) => orphan.name), ["ep-supervisor", "sleep"])
        yield* Orphans.reap({ gracePeriod: g, only: (orphan) => orphan.owner.pid === owner.pid })
        yield* t.isEmpty
      })
  )

  if (fixtures.isOpenToOthers(nobody)) {
    scenario("of another user has no way to its owner or to what stands between them", (t) =>
      Effect.gen(function*() {
        const script =
          "read -r _ _ _ up _ </proc/$PPID/stat; for pid in $PPID $up $2; do echo at; \"$1\" reach $pid; done"
        const reach = t.sh(script, fixtures.program("hostile"), String(process.pid))
        const open = ["descriptors", "environment", "memory", "signals", "ptrace"]
        // The control: of the same user every way is open, which is why `Command.user` is the boundary.
        assert.includeMembers([...yield* Command.lines(reach)], open)
        assert.deepStrictEqual(yield* Command.lines(Command.user(reach, { uid: nobody, gid: nobody })), [
          "at",
          "at",
          "at"
        ])
        const groups = yield* Command.string(
          Command.user(t.mark(Command.make("id", "-G")), { uid: nobody, gid: nobody })
        )
        assert.strictEqual(groups, `${nobody}\n`)
      }))

    scenario("in a pid namespace of its own is ended as any", (t) =>
      Effect.gen(function*() {
        const inside = "trap '' TERM; (setsid sh -c 'trap \"\" TERM; sleep 1051' &); sleep 1052; :"
        const job = yield* Command.start(t.mark(Command.make("unshare", "-pf", "sh", "-c", inside)))
        yield* t.seeRunning("sleep 1051", "sleep 1052")
        within((yield* timed(job.terminate()))[0], g + e)
        yield* t.isEmpty
      }))
  }

  if (!isServer) return

  scenario("that takes its own pipes from the wrong side holds nobody up", (t) =>
    Effect.gen(function*() {
      const full = yield* Command.start(hostile(t, "fill"))
      yield* until("full", () => observer.see(full.pid)?.state === "S" || undefined)
      // Writes to its own stdin, so that this never ends.
      const stdin = t.sh("exec 3>/proc/self/fd/0; cat >/dev/null; echo never").pipe(
        Command.feed("x"),
        Command.timeout(200)
      )
      assert.strictEqual((yield* Effect.flip(Command.run(stdin)))._tag, "TimedOut")
      const [elapsed] = yield* timed(full.terminate())
      within(elapsed, d + e)
      assert.isAbove(yield* Stream.runFold(full.stdout, 0, (n, bytes) => n + bytes.byteLength), 32 * 1024)
    }))

  scenario("that eats descriptors and memory gets what its limits allow, and no more", (t) =>
    Effect.gen(function*() {
      const limits = { openFiles: 32, addressSpace: 64 * 1024 * 1024 }
      const eaten = yield* Command.string(Command.limits(hostile(t, "eat"), limits))
      const [, files, megabytes] = /^(\d+) descriptors, (\d+) MiB\n$/.exec(eaten) ?? []
      assert.strictEqual(files, "29")
      assert.isBelow(Number(megabytes), 64)
    }))
}
