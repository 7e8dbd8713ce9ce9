import { NodeProcess } from "@effect-process/node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Command, ExitStatus, type ProcessSpawner } from "effect-process"
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { expectTypeOf } from "vitest"
import { Conversation } from "../src/index.ts"

const talk = (
  name: string,
  body: () => Effect.Effect<unknown, unknown, ProcessSpawner | Scope.Scope>,
  skip = false
) => it.scopedLive.skipIf(skip)(name, () => Effect.provide(body(), NodeProcess.layer))

const sh = (script: string) => Command.make("sh", "-c", script).pipe(Command.gracePeriod("300 millis"))
const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url))
const has = (program: string) => spawnSync("sh", ["-c", `command -v ${program}`]).status === 0

describe("over pipes", () => {
  talk("strings take everything up to their end", () =>
    Effect.gen(function*() {
      const shell = yield* Conversation.make(sh("while read line; do echo \"<$line>\"; done; echo bye"))
      yield* shell.sendLine("one")
      assert.strictEqual(yield* shell.expect("<one>"), "<one>")
      yield* shell.send("two\none\n")
      assert.strictEqual(yield* shell.expect("<one>"), "<one>")
      yield* shell.closeInput
      yield* shell.expect("bye\n")
      assert.deepStrictEqual(yield* shell.exit, ExitStatus.exited(0))
      assert.strictEqual(yield* shell.received, "<one>\n<two>\n<one>\nbye\n")
      assert.strictEqual(yield* shell.screen, "<one>\n<two>\n<one>\nbye\n")
      assert.strictEqual((yield* Effect.flip(shell.sendLine("late")))._tag, "StdinError")
    }))

  talk("regular expressions give their groups, with types where they are made by regexp", () =>
    Effect.gen(function*() {
      const shell = yield* Conversation.make(sh("echo listening on localhost:8080; echo a=1 b=2; cat"))
      const listening = yield* shell.expect(Conversation.regexp("listening on (?<host>\\S+):(?<port>\\d+)\n"))
      expectTypeOf(listening.groups).toEqualTypeOf<
        { readonly host: string | undefined; readonly port: string | undefined }
      >()
      assert.deepStrictEqual({ ...listening.groups }, { host: "localhost", port: "8080" })
      const plain = yield* shell.expect(/a=(\d)/g)
      expectTypeOf(plain).toEqualTypeOf<RegExpExecArray>()
      assert.deepStrictEqual([...plain], ["a=1", "1"])
      assert.deepStrictEqual([...(yield* shell.expect(/^ b=(\d)$/m))], [" b=2", "2"])
      expectTypeOf<Conversation.GroupNames<"(?<=x)(?<y>.)(?<!z)(?:a)">>().toEqualTypeOf<"y">()
      expectTypeOf<Conversation.GroupNames<"none">>().toEqualTypeOf<never>()
    }))

  const Ready = Schema.parseJson(Schema.Struct({ ready: Schema.Boolean, port: Schema.Number }))

  talk("a Schema takes the first line that it decodes", () =>
    Effect.gen(function*() {
      const log = [`starting`, `{"ready":false}`, `{"ready":true,"port":80}`, `next`].map((line) => `echo '${line}'`)
      const server = yield* Conversation.make(sh(`${log.join("; ")}; read x; printf '{"ready":false,"port":1}'`))
      const ready = yield* server.expect(Ready)
      expectTypeOf(ready).toEqualTypeOf<{ readonly ready: boolean; readonly port: number }>()
      assert.deepStrictEqual(ready, { ready: true, port: 80 })
      yield* server.expect("next\n")
      yield* server.closeInput
      // The last one has no newline.
      assert.deepStrictEqual(yield* server.expect(Ready), { ready: false, port: 1 })
    }))

  talk("a mismatch shows what was received, and that the process runs", () =>
    Effect.gen(function*() {
      const shell = yield* Conversation.make(sh("printf 'first\\nse\\033[1mcond\\r\\n'; exec sleep 100"))
      yield* shell.expect("first")
      const error = yield* Effect.flip(shell.expect(/third/, { within: "100 millis" }))
      assert.deepInclude(error, { _tag: "ExpectationFailed", reason: "TimedOut", exit: undefined, pattern: "/third/" })
      assert.strictEqual(
        error.message,
        [
          "sh -c 'printf '\\''first\\nse\\033[1mcond\\r\\n'\\''; exec sleep 100': /third/ did not come within 100ms",
          "received since the last match:",
          "  | ",
          "  | se\\u{1b}[1mcond\\r",
          "  | ",
          "the process has not exited"
        ].join("\n")
      )
      // It took nothing.
      yield* shell.expect("cond")
    }))

  talk("the end of the output is told at once, with the status", () =>
    Effect.gen(function*() {
      const shell = yield* Conversation.make(sh("echo oops >&2; exit 3"))
      const began = performance.now()
      const error = yield* Effect.flip(shell.expect("ready", { within: "1 minute" }))
      assert.isBelow(performance.now() - began, 10_000)
      assert.deepInclude(error, { reason: "Ended", received: "oops\n" })
      assert.match(
        error.message,
        /"ready" did not come before the output ended\n.*\n  \| oops\n.*\nthe process has ended/
      )
      assert.deepStrictEqual(error.exit, ExitStatus.exited(3))
      const none = yield* Conversation.make(sh("echo '{\"ready\":1}'"))
      const wrong = yield* Effect.flip(none.expect(Ready))
      assert.match(wrong.message, /Expected boolean, actual 1/)
    }))

  talk("what is redacted is not shown", () =>
    Effect.gen(function*() {
      const secret = "hunter2"
      const command = sh("echo got $SECRET; cat").pipe(Command.env({ SECRET: Redacted.make("canary") }))
      const shell = yield* Conversation.make(command)
      yield* shell.sendLine(Redacted.make(secret))
      yield* shell.expect("got ")
      const error = yield* Effect.flip(shell.expect(`${secret}!`, { within: "200 millis" }))
      for (const text of [error.message, JSON.stringify(error), String(error), error.received]) {
        assert.notInclude(text, secret)
        assert.notInclude(text, "canary")
      }
      assert.include(error.message, "<redacted>")
      assert.strictEqual(yield* shell.expect(secret), secret)
    }))

  it.scoped("its time is the engine's: a TestClock that stands still does not stop it", () =>
    Effect.gen(function*() {
      const shell = yield* Conversation.make(sh("exec sleep 100"), { within: "50 millis" })
      assert.strictEqual((yield* Effect.flip(shell.expect("never"))).reason, "TimedOut")
    }).pipe(Effect.provide(NodeProcess.layer)))

  talk("a program that waits for nobody is ended with the scope", () =>
    Effect.gen(function*() {
      const pid = yield* Effect.scoped(
        Effect.map(Conversation.make(sh("trap '' TERM HUP; sleep 100")), ({ process }) => process.pid)
      )
      assert.throws(() => process.kill(pid, 0))
    }))
})

describe("over a terminal", () => {
  const terminal = true

  talk(
    "is one, of the size that was asked for; the screen and the program follow a resize",
    () =>
      Effect.gen(function*() {
        const shell = yield* Conversation.make(
          sh("trap 'stty size' WINCH; tty; stty size; echo $TERM; while read line; do echo $line; done"),
          { terminal: { columns: 40, rows: 5 } }
        )
        yield* shell.expect(/^\/dev\/pts\/\d+\n5 40\nxterm-256color\n/)
        yield* shell.resize(20, 4)
        yield* shell.sendLine("x")
        yield* shell.expect("4 20\n")
        yield* shell.sendKeys("Ctrl-D")
        yield* shell.exit
        assert.match(yield* shell.screen, /4 20/)
      })
  )

  talk("the text has no control sequences, the screen has what they did", () =>
    Effect.gen(function*() {
      const draws = String.raw`printf '\033[31mred\033[0m \033]0;title\007one\033[1Dx\r\n\033[3;5Hthere'; read x`
      const shell = yield* Conversation.make(sh(draws), { terminal })
      yield* shell.expect("red onex\nthere")
      assert.strictEqual(yield* shell.screen, "red onx\n\n    there")
      assert.include(yield* shell.expectScreen(/^ {4}there$/m), "red onx")
      const error = yield* Effect.flip(shell.expectScreen("elsewhere", { within: "100 millis" }))
      assert.match(error.message, /"elsewhere" on the screen did not come[^]*on the screen:\n {2}\| red onx/)
    }))

  talk("what is redacted is not shown, wherever its line was broken", () =>
    Effect.gen(function*() {
      const command = sh("echo ab$SECRET; read line").pipe(Command.env({ SECRET: Redacted.make("canary") }))
      const shell = yield* Conversation.make(command, { terminal: { columns: 5, rows: 10 } })
      yield* shell.expect("ab")
      yield* shell.send(Redacted.make("hunter2"))
      yield* shell.expectScreen("r2")
      const error = yield* Effect.flip(shell.expect("other", { within: "200 millis" }))
      assert.notMatch(JSON.stringify(error) + error.message, /canary|hunter2|anary|unter/)
      assert.include(error.message, "on the screen:\n  | ab<redacted>\n  | <redacted>")
      assert.strictEqual(yield* shell.screen, "abcan\nary\nhunte\nr2")
    }))

  talk("the screen of what has ended, and of a conversation that is over", () =>
    Effect.gen(function*() {
      const over = yield* Effect.scoped(Effect.gen(function*() {
        const shell = yield* Conversation.make(sh("echo last words"), { terminal })
        yield* shell.exit
        assert.strictEqual(yield* shell.expectScreen("last words"), "last words")
        assert.strictEqual((yield* Effect.flip(shell.expect("more"))).reason, "Ended")
        return shell
      }))
      assert.strictEqual(yield* over.screen, "last words")
    }))

  talk("answers what a terminal is asked", () =>
    Effect.gen(function*() {
      const asks = String.raw`stty raw -echo; printf 'ab\033[6n'; head -c 6 | od -An -c; stty sane`
      const shell = yield* Conversation.make(sh(asks), { terminal })
      yield* shell.expect(/033\s+\[\s+1\s+;\s+3\s+R/)
    }))

  talk("keys: arrows in both modes, control, text, and none that is not one", () =>
    Effect.gen(function*() {
      const reads = (mode: string) =>
        sh(`stty raw -echo; printf '\\033[?1${mode}ready'; head -c 9 | od -An -c; stty sane`)
      for (const [mode, sent] of [["l", "["], ["h", "O"]] as const) {
        const shell = yield* Conversation.make(reads(mode), { terminal })
        yield* shell.expect("ready")
        yield* shell.screen
        yield* shell.sendKeys("ArrowUp", "Ctrl-C", "Tab", { text: "x" }, "Enter", "Backspace", "Alt-b")
        const seen = yield* shell.expect(/033.*\n/)
        assert.deepStrictEqual(seen[0].trim().split(/\s+/), ["033", sent, "A", "003", "\\t", "x", "\\r", "177", "033"])
      }
      const shell = yield* Conversation.make(sh("cat"), { terminal })
      // @ts-expect-error a name that no key has
      const exit = yield* Effect.sandbox(shell.sendKeys("Up")).pipe(Effect.either)
      assert.isTrue(Either.isLeft(exit))
    }))

  talk("Ctrl-C ends a program, the end of the input another one", () =>
    Effect.gen(function*() {
      const sleep = yield* Conversation.make(sh("echo ready; exec sleep 100"), { terminal })
      yield* sleep.expect("ready")
      yield* sleep.sendKeys("Ctrl-C")
      assert.deepStrictEqual(yield* sleep.exit, ExitStatus.killed("SIGINT"))
      const cat = yield* Conversation.make(Command.make("cat"), { terminal })
      yield* cat.sendLine("hi")
      yield* cat.expect("hi\nhi\n")
      yield* cat.closeInput
      assert.deepStrictEqual(yield* cat.exit, ExitStatus.exited(0))
    }))

  talk("the prompts of @effect/cli", () =>
    Effect.gen(function*() {
      const survey = yield* Conversation.make(
        Command.make(process.execPath, fixture("survey.mjs")),
        { terminal, within: "20 seconds" }
      )
      yield* survey.expect("What is your name?")
      yield* survey.sendKeys({ text: "Adx" }, "Backspace", { text: "a" }, "Enter")
      yield* survey.expect("Pick a colour")
      yield* survey.sendKeys("ArrowDown", "ArrowDown", "ArrowUp", "Enter")
      yield* survey.expect("Password")
      yield* survey.sendLine(Redacted.make("s3cret"))
      yield* survey.expect("Are you sure?")
      yield* survey.sendKeys({ text: "y" })
      const answers = yield* survey.expect(
        Schema.parseJson(
          Schema.Struct({ name: Schema.String, colour: Schema.String, length: Schema.Number, sure: Schema.Boolean })
        )
      )
      assert.deepStrictEqual(answers, { name: "Ada", colour: "green", length: 6, sure: true })
      assert.deepStrictEqual(yield* survey.exit, ExitStatus.exited(0))
    }))

  talk("python3 -i", () =>
    Effect.gen(function*() {
      const python = yield* Conversation.make(Command.make("python3", "-i", "-q"), { terminal, within: "20 seconds" })
      yield* python.expect(">>> ")
      yield* python.sendLine("6 * 7")
      yield* python.expect("42\n>>> ")
      yield* python.sendLine("for i in range(2): print('line', i)")
      yield* python.sendLine("")
      yield* python.expect("line 0\nline 1\n>>> ")
      yield* python.sendLine("import sys; sys.exit(5)")
      assert.deepStrictEqual(yield* python.exit, ExitStatus.exited(5))
    }), !has("python3"))

  talk("bash -i: a job that is stopped, continued and ended", () =>
    Effect.gen(function*() {
      const bash = yield* Conversation.make(
        Command.make("bash", "--norc", "--noprofile", "-i").pipe(Command.env({ PS1: "prompt> ", HISTFILE: undefined })),
        { terminal, within: "20 seconds" }
      )
      yield* bash.expect("prompt> ")
      // What is typed before a program has the foreground is for the shell, which ignores Ctrl-Z: so the program speaks first.
      // It waits, as a read would not end by a signal that comes just before it.
      yield* bash.sendLine(`sh -c 'trap "echo b""ack" CONT; sleep 100 & echo u""p; while :; do wait; done'`)
      yield* bash.expect("up\n")
      yield* bash.sendKeys("Ctrl-Z")
      yield* bash.expect(/\[1\]\+\s+Stopped\s+sh -c .*\n/)
      yield* bash.expect("prompt> ")
      yield* bash.sendLine("fg")
      yield* bash.expect("back\n")
      yield* bash.sendKeys("Ctrl-C")
      yield* bash.expect("prompt> ")
      yield* bash.sendLine("echo status $?")
      yield* bash.expect("status 130\n")
      yield* bash.sendLine("exit 7")
      assert.deepStrictEqual(yield* bash.exit, ExitStatus.exited(7))
    }), !has("bash"))

  talk("an interactive shell is hung up when the scope closes, whatever it runs", () =>
    Effect.gen(function*() {
      const began = yield* Effect.scoped(Effect.gen(function*() {
        const bash = yield* Conversation.make(Command.make("bash", "--norc", "--noprofile", "-i"), { terminal })
        yield* bash.sendLine("echo ready; sleep 100")
        yield* bash.expect("ready\n")
        return performance.now()
      }))
      // Its grace period is 5 seconds.
      assert.isBelow(performance.now() - began, 3_000)
    }), !has("bash"))
})
