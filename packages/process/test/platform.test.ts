/** Commands of `@effect/platform` as ours, and back. */
import { assert, it } from "@effect/vitest"
import * as Platform from "@effect/platform/Command"
import { type PlatformError, SystemError } from "@effect/platform/Error"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { pipe } from "effect/Function"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { describe, expectTypeOf } from "vitest"
import { Command, Stdio } from "../src/index.ts"

const ls = Command.make("ls")

/** What one can see of a command of theirs, its Streams apart. */
const seen = (command: Platform.Command): ReadonlyArray<unknown> =>
  Platform.flatten(command).map((stage) => ({
    ...(stage.toJSON() as object),
    stdin: typeof stage.stdin,
    stdout: stage.stdout,
    stderr: stage.stderr
  }))

const back = (command: Platform.Command) => Either.getOrThrow(Command.toPlatform(Command.fromPlatform(command)))

const withIds = (command: Platform.Command, uid: number, gid: number): Platform.Command =>
  Object.assign(Object.create(Object.getPrototypeOf(command)), command, {
    uid: Option.some(uid),
    gid: Option.some(gid)
  })

describe("fromPlatform and back", () => {
  const commands: Readonly<Record<string, Platform.Command>> = {
    "arguments": Platform.make("git", "log", "--oneline", "a b"),
    "env": Platform.env(Platform.make("env"), { A: "1", B: "two" }),
    "env alone": Platform.env(Platform.make("env"), { A: "1" }, { extendEnv: false }),
    "workingDirectory": Platform.workingDirectory(Platform.make("ls"), "/tmp"),
    "inherit": pipe(
      Platform.make("vi"),
      Platform.stdin("inherit"),
      Platform.stdout("inherit"),
      Platform.stderr("inherit")
    ),
    "feed": Platform.feed(Platform.make("cat"), "text"),
    "uid and gid": withIds(Platform.make("id"), 1000, 100),
    "a pipeline": pipe(
      Platform.make("cat"),
      Platform.pipeTo(Platform.make("sort")),
      Platform.pipeTo(Platform.make("uniq", "-c")),
      Platform.env({ LC_ALL: "C" }),
      Platform.workingDirectory("/tmp"),
      Platform.stderr("inherit")
    )
  }
  for (const [name, command] of Object.entries(commands)) {
    it(`keeps ${name}`, () => assert.deepStrictEqual(seen(back(command)), seen(command)))
  }

  it("says the same of a shell in other words", () => {
    const [stage] = Platform.flatten(back(Platform.runInShell(Platform.make("echo", "$HOME"), true)))
    assert.deepStrictEqual([stage.command, ...stage.args, stage.shell], ["/bin/sh", "-c", "echo $HOME", false])
    const [plain] = Platform.flatten(back(Platform.runInShell(Platform.make("echo", "x"), "")))
    assert.strictEqual(plain.command, "echo")
  })

  it.effect("encodes the strings of a Stream", () =>
    Effect.gen(function*() {
      const command = yield* Command.toPlatform(Command.stdin(Command.make("cat"), Stream.make("a", "b")))
      const [{ stdin }] = Platform.flatten(command)
      if (typeof stdin === "string") return assert.fail("a Stream was expected")
      const bytes = yield* Stream.runCollect(stdin)
      assert.deepStrictEqual([...bytes].map((part) => new TextDecoder().decode(part)), ["a", "b"])
    }))
})

describe("toPlatform", () => {
  const lost = (command: Command.Command<PlatformError>) =>
    Either.match(Command.toPlatform(command), {
      onLeft: ({ settings }) => settings,
      onRight: () => []
    })

  const cases: ReadonlyArray<readonly [Command.Command, ReadonlyArray<Command.Setting>]> = [
    [ls, []],
    [Command.make("ls", Redacted.make("s3cret")), ["arguments"]],
    [Command.make(1 as unknown as string), ["arguments"]],
    [Command.env(ls, { A: Redacted.make("s3cret") }), ["env"]],
    [Command.env(ls, { A: undefined }), ["env"]],
    [Command.env(ls, { A: undefined }, { extendEnv: false }), []],
    [Command.stdin(ls, "ignore"), ["stdin"]],
    [Command.stdin(ls, Stdio.file("a")), ["stdin"]],
    [Command.stdin(ls, "pipe"), []],
    [Command.stdout(ls, "ignore"), ["stdout"]],
    [Command.stdout(ls, Stdio.file("a")), ["stdout"]],
    [Command.stdout(ls, Sink.drain), ["stdout"]],
    [Command.stderr(ls, Stdio.toStdout), ["stderr"]],
    [Command.fd(ls, 3, "ignore"), ["fd"]],
    [Command.pipeTo(ls, ls), []],
    [Command.pipeTo(ls, ls, { from: "all" }), ["pipeTo"]],
    [Command.pipeTo(Command.stdout(ls, "inherit"), ls), ["stdout"]],
    [Command.pipeTo(ls, Command.feed(ls, "x")), ["stdin"]],
    [Command.pipeTo(ls, Command.nice(ls, 3)), ["nice"]],
    [Command.killSignal(ls, "SIGINT"), ["killSignal"]],
    [Command.gracePeriod(ls, 1), ["gracePeriod"]],
    [Command.timeout(ls, 1), ["timeout"]],
    [Command.timeout(ls, Infinity), []],
    [Command.acceptExitCodes(ls, 0, 1), ["acceptExitCodes"]],
    [Command.acceptExitCodes(ls, "any"), []],
    [Command.maxOutput(ls, 1), ["maxOutput"]],
    [Command.limits(ls, { core: 0 }), ["limits"]],
    [Command.umask(ls, 0o77), ["umask"]],
    [Command.user(ls, { uid: 1, gid: 1 }), []],
    [Command.user(ls, { uid: 1, gid: 1, groups: [2] }), ["user"]],
    [Command.argv0(ls, "dir"), ["argv0"]],
    [Command.label(ls, "list"), ["label"]],
    [Command.terminal(ls), ["terminal"]],
    [Command.verbose(ls), ["verbose"]],
    [Command.propagateTrace(ls), ["propagateTrace"]],
    [ls.pipe(Command.timeout(1), Command.pipeTo(ls), Command.nice(1), Command.umask(0)), ["nice", "umask", "timeout"]]
  ]
  for (const [index, [command, settings]] of cases.entries()) {
    it(`names what is lost: ${index}, ${settings.join(", ") || "nothing"}`, () =>
      assert.deepStrictEqual(lost(command), settings))
  }

  it.effect("fails with all of it, and shows no secret", () =>
    Effect.gen(function*() {
      const command = Command.make("login", Redacted.make("s3cret")).pipe(Command.timeout("1 second"))
      const error = yield* Effect.flip(Command.toPlatform(command))
      assert.strictEqual(
        error.message,
        "login <redacted>: @effect/platform cannot say: arguments, timeout; leave that out, or run it with Command.run"
      )
    }))

  it("takes what fails as theirs do, and nothing that needs a service", () => {
    const theirs = Stream.fail(new SystemError({ reason: "Unknown", module: "Stream", method: "test" }))
    expectTypeOf(Command.toPlatform(Command.stdin(ls, theirs))).toEqualTypeOf<
      Either.Either<Platform.Command, Command.SettingsLost>
    >()
    // @ts-expect-error the Stream's failure is none of theirs
    void Command.toPlatform(Command.stdin(ls, Stream.fail("other" as const)))
  })
})
