/** Jobs on a terminal of their own. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { Command, ExitStatus } from "effect-process"
import * as observer from "../support/observer.ts"
import { gone, startReady } from "../support/owners.ts"
import { type Scenario, type Suite, timed, until, untilRunning, within } from "../support/scenario.ts"

/** Somebody at a terminal: sees what is shown, types. */
const sitDown = (command: Command.Command) =>
  Effect.gen(function*() {
    const process = yield* Command.start(command)
    const typed = yield* Queue.unbounded<Uint8Array>()
    let text = ""
    yield* Effect.fork(Stream.run(Stream.fromQueue(typed), process.stdin))
    const shown = yield* Effect.fork(
      Stream.runForEach(Stream.decodeText(process.stdout), (part) => Effect.sync(() => void (text += part)))
    )
    return {
      process,
      text: () => text,
      says: (what: string) => until(`${what} in ${JSON.stringify(text)}`, () => text.includes(what) || undefined),
      type: (keys: string) => Queue.offer(typed, new TextEncoder().encode(keys)),
      endInput: Queue.shutdown(typed),
      /** Everything that is shown. */
      ended: Effect.map(Fiber.join(shown), () => text)
    }
  })

/** Not a read: a signal that comes just before it would be acted on only after it. */
const untilTold = "while :; do sleep 0.01; done"

const supervisorOf = (pid: number): number => observer.see(pid)?.ppid ?? 0

export const pseudoTerminal = ({ bounds: { d, e, g, k }, scenario }: Suite): void => {
  const run = (t: Scenario, script: string, options?: { readonly columns?: number; readonly rows?: number }) =>
    Command.string(Command.terminal(t.sh(script), options))

  scenario(
    "is a terminal to the program: its name, its size, its modes, the controlling one",
    (t) =>
      Effect.gen(function*() {
        const text = yield* run(t, "tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo yes > /dev/tty")
        assert.match(text, /^\/dev\/pts\/\d+\r\n24 80\r\nyes\r\n$/)
        assert.strictEqual(yield* run(t, "stty size", { columns: 132, rows: 50 }), "50 132\r\n")
        const again = yield* run(t, "stty -a")
        for (const mode of ["icanon", "echo", "isig", "onlcr", "iutf8"]) assert.include(again.split(/\s+/), mode)
      })
  )

  scenario("a resize is seen, and told by SIGWINCH", (t) =>
    Effect.gen(function*() {
      const sat = yield* sitDown(Command.terminal(t.sh(`trap 'stty size; exit 3' WINCH; echo ready; ${untilTold}`)))
      yield* sat.says("ready")
      yield* sat.process.resize(100, 30)
      assert.strictEqual(yield* sat.process.exitCode, 3)
      assert.strictEqual(yield* sat.ended, "ready\r\n30 100\r\n")
      assert.strictEqual((yield* Effect.flip(sat.process.resize(1, 1)))._tag, "ProcessGone")
    }))

  scenario("Ctrl-C ends sleep, Ctrl-D ends cat, Ctrl-Z stops and SIGCONT continues", (t) =>
    Effect.gen(function*() {
      const sleep = yield* sitDown(Command.terminal(t.sh("echo ready; exec sleep 100")))
      yield* sleep.says("ready")
      yield* sleep.type("\x03")
      assert.deepStrictEqual(yield* sleep.process.exit, ExitStatus.killed("SIGINT"))
      const cat = yield* sitDown(Command.terminal(t.mark(Command.make("cat"))))
      yield* cat.type("a line\n")
      yield* cat.says("a line\r\na line\r\n")
      yield* cat.type("\x04")
      assert.strictEqual(yield* cat.process.exitCode, 0)
      // Not in a loop of programs: a shell in vfork(2) whose child has been stopped is not stopped itself.
      const stopped = yield* sitDown(Command.terminal(t.sh("trap 'exit 5' CONT; sleep 100 & echo ready; wait")))
      yield* stopped.says("ready")
      yield* stopped.type("\x1a")
      yield* until("stopped", () => observer.isStopped(stopped.process.pid) || undefined)
      yield* stopped.process.signal("SIGCONT")
      assert.strictEqual(yield* stopped.process.exitCode, 5)
    }))

  scenario(
    "the end of stdin is typed, also within a line; a program that fails shows why",
    (t) =>
      Effect.gen(function*() {
        const cat = Command.terminal(t.sh("stty -echo; echo ready; cat; echo end; exit 4"))
        const sat = yield* sitDown(cat)
        yield* sat.says("ready")
        yield* sat.type("no newline")
        yield* sat.endInput
        assert.strictEqual(yield* sat.process.exitCode, 4)
        assert.strictEqual(yield* sat.ended, "ready\r\nno newlineend\r\n")
        const error = yield* Effect.flip(Command.run(cat))
        assert.deepInclude(error, { _tag: "NonZeroExit", exitCode: 4, stdoutTail: "ready\r\nend\r\n" })
        const fed = yield* Command.string(t.mark(Command.make("cat")).pipe(Command.terminal(), Command.feed("x\n")))
        assert.strictEqual(fed, "x\r\nx\r\n")
      })
  )

  scenario("1 MiB arrives complete, with the ends of its lines translated", (t) =>
    Effect.gen(function*() {
      const line = "0123456789abcde"
      const text = yield* run(t, `yes ${line} | head -n 65536`)
      assert.isTrue(text === `${line}\r\n`.repeat(65_536))
    }))

  scenario("a pipeline on a terminal: the first stage reads it, the others write it", (t) =>
    Effect.gen(function*() {
      const first = t.sh("read a; echo said $a; test -t 2 && echo err >&2")
      const last = t.sh("tr a-z A-Z; test -t 1 && echo out")
      const text = yield* Command.string(first.pipe(Command.pipeTo(last), Command.feed("x\n"), Command.terminal()))
      assert.sameMembers(text.trim().split("\r\n"), ["x", "err", "SAID X", "out"])
    }))

  scenario("21: who keeps the terminal open in the background keeps nobody waiting", (t) =>
    Effect.gen(function*() {
      const script = `sleep 100 & ${untilRunning("sleep 100")}; echo done`
      const [elapsed, result] = yield* timed(Command.run(Command.terminal(t.sh(script))))
      within(elapsed, d + g + e)
      assert.strictEqual(result.stdoutText, "done\r\n")
      assert.deepStrictEqual(result.leaked.map(({ commandLine }) => commandLine), ["sleep 100"])
      yield* t.isEmpty
    }))

  scenario("an interruption ends everything, groups and sessions of its own too", (t) =>
    Effect.gen(function*() {
      const script = "set -m; sleep 100 & setsid sleep 101 & (setsid setsid sleep 102 &); sleep 103"
      const ready = t.seeRunning("sleep 100", "sleep 101", "sleep 102", "sleep 103")
      within(yield* t.interrupt(Command.terminal(t.sh(script)), ready), e)
    }))

  scenario("one that ignores TERM and HUP is killed when the grace period ends", (t) =>
    Effect.gen(function*() {
      const command = Command.terminal(t.sh(`trap "" TERM HUP; sleep 100 & exec sleep 101`))
      within(yield* t.interrupt(command, t.seeRunning("sleep 100", "sleep 101")), g + e)
    }))

  scenario("output that nobody reads does not hold up the release", (t) =>
    Effect.gen(function*() {
      const [elapsed] = yield* timed(Effect.scoped(Effect.gen(function*() {
        const process = yield* Command.start(Command.terminal(t.mark(Command.make("yes"))))
        yield* until("it waits", () => /^[SD]/.test(observer.see(process.pid)?.state ?? "") || undefined)
      })))
      within(elapsed, d + e)
      yield* t.isEmpty
    }))

  scenario("what was shown before the end is there for a reader who comes after it", (t) =>
    Effect.gen(function*() {
      const process = yield* Command.start(Command.terminal(t.sh("head -c 9000 /dev/zero | tr '\\0' x")))
      yield* process.empty
      assert.strictEqual(yield* Stream.mkString(Stream.decodeText(process.stdout)), "x".repeat(9000))
    }))

  scenario("15: kill -9 of the owner ends its jobs on terminals", (t) =>
    Effect.gen(function*() {
      const started = yield* startReady(t, "terminal")
      yield* t.seeRunning("sleep 1001", "sleep 1002", "sleep 1006")
      process.kill(started.pid, "SIGKILL")
      within(yield* gone(t.token), g + e)
    }))

  scenario(
    "12: a supervisor that is killed takes its terminal along, and the next spawn works",
    (t) =>
      Effect.gen(function*() {
        const sat = yield* sitDown(Command.terminal(t.sh("(setsid sleep 101 &); trap '' HUP; exec sleep 100")))
        yield* t.seeRunning("sleep 100", "sleep 101")
        observer.kill(supervisorOf(sat.process.pid), "SIGKILL")
        const [elapsed, lost] = yield* timed(Effect.flip(sat.process.exit))
        assert.strictEqual(lost._tag, "SpawnServerLost")
        yield* gone(t.token)
        within(elapsed, k + e)
        assert.match(yield* run(t, "tty"), /^\/dev\/pts\//)
      })
  )
}
