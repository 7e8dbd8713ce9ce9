/** Scenario 41: jobs on a terminal, which a shell shares between them and their owner. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as fixtures from "../support/fixtures.ts"
import * as observer from "../support/observer.ts"
import { type Scenario, type Suite, until } from "../support/scenario.ts"

const controlZ = "\u001A"

/** An owner below a small shell on a terminal of its own. */
const onTerminal = (t: Scenario, stdin: "inherit" | "ignore", timeout: number, ...command: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const args = [t.engine, stdin, String(timeout), t.token, ...command]
    const shell = yield* fixtures.start(fixtures.program("jobshell"), [
      process.execPath,
      fixtures.script("terminal"),
      ...args
    ])
    const says = (line: string | RegExp, count = 1) =>
      until(
        `${count} of ${String(line)} in ${JSON.stringify(shell.lines)}`,
        () =>
          shell.lines.filter((one) => typeof line === "string" ? one === line : line.test(one)).length >= count ||
          undefined
      )
    let asked = 0
    const ask = (what: "foreground" | "modes") =>
      Effect.gen(function*() {
        const before = shell.lines.length
        asked++
        shell.write(`${what}\n`)
        return yield* until(`answer ${asked}`, () => shell.lines.slice(before).find((line) => line.startsWith(what)))
      })
    return {
      says,
      lines: shell.lines,
      tell: (what: string) => Effect.sync(() => shell.write(`${what}\n`)),
      type: (text: string) => Effect.sync(() => shell.write(`type ${Buffer.from(text).toString("hex")}\n`)),
      /** Polls, as what is asked for may take a moment. */
      is: (what: "foreground" | "modes", answer: string) => terminalIs(ask, what, answer)
    }
  })

const terminalIs = (
  ask: (what: "foreground" | "modes") => Effect.Effect<string>,
  what: "foreground" | "modes",
  answer: string
): Effect.Effect<void> =>
  Effect.flatMap(
    ask(what),
    (line) =>
      line === `${what} ${answer}`.trimEnd()
        ? Effect.void
        : Effect.zipRight(Effect.sleep(10), terminalIs(ask, what, answer))
  )

/** The pid of the process whose command line begins so, once it is there. */
const seeOne = (t: Scenario, words: string): Effect.Effect<number> =>
  until(words, () => observer.alive(t.token).find(({ commandLine }) => commandLine.startsWith(words))?.pid)

/** Nothing of the job is left; the shell bears the token as well, and ends with the scenario. */
const onlyShell = (t: Scenario): Effect.Effect<void> =>
  Effect.sync(() =>
    assert.deepStrictEqual(observer.alive(t.token).filter(({ commandLine }) => !commandLine.includes("jobshell")), [])
  )

const reader = `stty -echo; echo ready; read a; echo "a=$a"; read b; echo "b=$b"; exec sleep 100`

export const terminal = ({ bounds: { e }, scenario, subject }: Suite): void => {
  if (subject.guarantees.engine !== "spawn-server") return

  scenario(
    "41: Ctrl-Z stops a job and its owner, fg continues both, and the deadline waits",
    (t) =>
      Effect.gen(function*() {
        const timeout = 1_500 + e
        const owner = yield* onTerminal(t, "inherit", timeout, "sh", "-c", reader)
        yield* owner.tell("start")
        yield* owner.says("| ready")
        yield* owner.is("foreground", "other")
        yield* owner.is("modes", "icanon")
        yield* owner.type(controlZ)
        yield* owner.says("stopped 20")
        yield* owner.is("foreground", "shell")
        yield* owner.is("modes", "icanon echo")
        // Longer than the deadline, and than the server would wait for a supervisor that does not keep it.
        yield* Effect.sleep(timeout + 2_500)
        assert.isTrue(observer.alive(t.token).some(({ pid }) => observer.isStopped(pid)))
        yield* owner.tell("fg")
        yield* owner.says("continued")
        yield* owner.is("foreground", "other")
        yield* owner.is("modes", "icanon")
        yield* owner.type("x\n")
        yield* owner.says("| a=x")
        // Once more, as modes and terminal must have been kept anew.
        yield* owner.type(controlZ)
        yield* owner.says("stopped 20", 2)
        yield* owner.tell("fg")
        yield* owner.is("foreground", "other")
        yield* owner.type("y\n")
        yield* owner.says("| b=y")
        yield* owner.says("| end: TimedOut")
        yield* owner.says("exited 0")
        yield* owner.is("modes", "icanon echo")
        yield* onlyShell(t)
      })
  )

  scenario("41: after bg a job goes on without the terminal, and has it again after fg", (t) =>
    Effect.gen(function*() {
      const owner = yield* onTerminal(t, "inherit", 60_000, "sh", "-c", reader.replace("exec sleep 100", "exit 0"))
      yield* owner.tell("start")
      yield* owner.says("| ready")
      yield* owner.type(controlZ)
      yield* owner.says("stopped 20")
      yield* owner.tell("bg")
      yield* owner.says("continued")
      // It goes on reading, which stops it: as it inherits the terminal, what it waits for is that we have it.
      yield* owner.says(/^\| log: process \d+ was stopped by SIGTTIN .* in the foreground$/)
      yield* owner.is("foreground", "shell")
      yield* owner.tell("fg")
      yield* owner.is("foreground", "other")
      yield* owner.type("x\n")
      yield* owner.says("| a=x")
      yield* owner.type("y\n")
      yield* owner.says("| end: Exited")
      yield* owner.says("exited 0")
    }))

  scenario(
    "41: a job of an owner in the background has the terminal once the owner has it",
    (t) =>
      Effect.gen(function*() {
        const owner = yield* onTerminal(t, "inherit", 60_000, "sh", "-c", `read a; echo "a=$a"`)
        yield* owner.tell("start-bg")
        yield* owner.says(/^\| log: .* was stopped by SIGTTIN/)
        yield* owner.is("foreground", "shell")
        yield* owner.tell("fg")
        yield* owner.is("foreground", "other")
        yield* owner.type("x\n")
        yield* owner.says("| a=x")
        yield* owner.says("| end: Exited")
        yield* owner.says("exited 0")
      })
  )

  scenario(
    "41: a job that is stopped otherwise than from the terminal does not stop its owner",
    (t) =>
      Effect.gen(function*() {
        const owner = yield* onTerminal(t, "inherit", 1_000, "sh", "-c", `echo ready; kill -STOP $$; exec sleep 100`)
        yield* owner.tell("start")
        yield* owner.says("| ready")
        // The deadline goes on, which shows that the owner does too.
        yield* owner.says("| end: TimedOut")
        yield* owner.says("exited 0")
        assert.isFalse(owner.lines.some((line) => line.startsWith("stopped")))
      })
  )

  scenario(
    "41: a job that asks for a password without the terminal is named in a warning, once",
    (t) =>
      Effect.gen(function*() {
        const script = `trap "" TERM; for i in 1 2; do head -n 1 < /dev/tty & wait; kill -CONT 0; done; exec sleep 100`
        const owner = yield* onTerminal(t, "ignore", 1_500, "sh", "-c", script)
        yield* owner.tell("start")
        yield* owner.says(/^\| log: process \d+ was stopped by SIGTTIN .*Command\.stdin\("inherit"\)$/)
        for (const { commandLine, pid } of observer.alive(t.token)) {
          if (commandLine.startsWith("head")) observer.kill(pid, "SIGCONT")
        }
        yield* owner.says("| end: TimedOut")
        yield* owner.says("exited 0")
        assert.lengthOf(owner.lines.filter((line) => line.startsWith("| log: process")), 1)
        assert.isFalse(owner.lines.some((line) => line.startsWith("stopped")))
      })
  )

  scenario(
    "41: the terminal comes back from a group that a shell below us has given it to",
    (t) =>
      Effect.gen(function*() {
        const owner = yield* onTerminal(t, "inherit", 60_000, "sh", "-c", "set -m; stty -echo; sleep 1234; :")
        yield* owner.tell("start")
        const sleep = yield* seeOne(t, "sleep 1234")
        const leader = yield* seeOne(t, "sh -c")
        const group = observer.see(sleep)?.pgid
        assert.notStrictEqual(observer.see(leader)?.pgid, group)
        yield* until("it has the terminal", () => observer.foregroundOf(sleep) === group || undefined)
        process.kill(leader, "SIGKILL")
        yield* owner.says("| end: Killed")
        yield* owner.says("| modes icanon echo")
        yield* owner.says("exited 0")
        yield* owner.is("modes", "icanon echo")
        assert.isFalse(owner.lines.some((line) => line.startsWith("stopped")))
        yield* onlyShell(t)
      })
  )

  scenario(
    "41: a child that is killed in raw mode leaves the terminal as it was",
    (t) =>
      Effect.gen(function*() {
        const owner = yield* onTerminal(t, "inherit", 60_000, "sh", "-c", "stty raw -echo; echo ready; exec sleep 1234")
        yield* owner.tell("start")
        yield* owner.says(/ready/)
        yield* owner.is("foreground", "other")
        process.kill(yield* seeOne(t, "sleep 1234"), "SIGKILL")
        yield* owner.says("| end: Killed")
        yield* owner.says("exited 0")
        yield* owner.is("foreground", "shell")
        yield* owner.is("modes", "icanon echo")
        yield* onlyShell(t)
      })
  )

  // What each has drawn when it waits for a key, and the key that ends it. The end of its drawing is no line.
  const screens = [
    { command: ["vim", "-u", "NONE", "-c", "q"], drawn: undefined, key: "" },
    { command: ["less", "/etc/passwd"], drawn: /root:/, key: "q" },
    { command: ["bash", "--norc", "--noprofile", "-ic", "echo drawn; read -n 1"], drawn: /drawn/, key: "q" }
  ]
  for (const { command, drawn, key } of screens) {
    const program = command[0] ?? ""
    if (!fs.existsSync(`/usr/bin/${program}`)) continue
    scenario(
      `41: ${program} draws on the terminal and leaves it as it was`,
      (t) =>
        Effect.gen(function*() {
          const owner = yield* onTerminal(t, "inherit", 60_000, "env", "TERM=xterm", ...command)
          yield* owner.tell("start")
          if (drawn !== undefined) yield* owner.says(drawn)
          if (key !== "") yield* owner.type(key)
          yield* owner.says(/end: Exited$/)
          yield* owner.says("exited 0")
          yield* owner.is("foreground", "shell")
          yield* owner.is("modes", "icanon echo")
          yield* onlyShell(t)
        })
    )
  }
}
