/** Servers of suites: real ones, in a suite of `@effect/vitest`, and by hand where their death and their log are the subject. */
import { NodeProcess } from "@effect-process/node"
import { assert, it, layer } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { Command, ExitStatus, NotReady, type ProcessSpawner, Readiness } from "effect-process"
import * as fs from "node:fs"
import * as net from "node:net"
import { fileURLToPath } from "node:url"
import { describe } from "vitest"
import * as serverExits from "../src/internal/serverExits.ts"
import * as ServerFixture from "../src/ServerFixture.ts"

const program = fileURLToPath(new URL("fixtures/server.mjs", import.meta.url))

const node = (port: number | string) => Command.make(process.execPath, program, String(port))

const listening = Readiness.line(/listening on port (\d+)/)

class Web extends Context.Tag("Web")<Web, ServerFixture.Server>() {
  static readonly layer = ServerFixture.layer(Web, node, (port) => Readiness.port(port))
}

class Other extends Context.Tag("Other")<Other, { readonly port: number; readonly found: string | undefined }>() {
  static readonly layer = ServerFixture.layer(Other, node(0), listening, {
    make: ({ port, ready }) => ({ port, found: ready[1] })
  })
}

const get = (url: string) =>
  Effect.tryPromise({ try: () => fetch(url).then((response) => response.text()), catch: () => "lost" as const })

const urlOf = (server: { readonly url: string }, path: string, query: Readonly<Record<string, string>> = {}) =>
  `${server.url}${path}?${new URLSearchParams(query).toString()}`

const parentOf = (pid: number): number =>
  Number(fs.readFileSync(`/proc/${pid}/stat`, "latin1").replace(/^.*\) /, "").split(" ")[1])

let pid = 0

layer(Web.layer.pipe(Layer.provideMerge(NodeProcess.layer)))("a server of a suite", (it) => {
  it.effect("is there, on a free port, under a test's clock", () =>
    Effect.gen(function*() {
      const server = yield* Web
      pid = server.process.pid
      assert.isAbove(server.port, 1023)
      assert.strictEqual(server.url, `http://localhost:${server.port}`)
      assert.strictEqual(yield* get(server.url), "hello\n")
      yield* TestClock.adjust("1 hour")
      assert.isTrue(yield* server.process.isRunning)
    }))

  it.effect("is the same for all tests, and keeps its log", () =>
    Effect.gen(function*() {
      const server = yield* Web
      assert.strictEqual(server.process.pid, pid)
      assert.include(yield* server.log, `listening on port ${server.port}\n`)
      assert.include(yield* server.log, "starting\n")
    }))

  it.layer(Other.layer)("with one of a nested suite", (it) => {
    it.effect("that chose its port itself", () =>
      Effect.gen(function*() {
        const { found, port } = yield* Other
        assert.strictEqual(Number(found), port)
        assert.strictEqual(yield* get(`http://localhost:${port}`), "hello\n")
        assert.strictEqual(yield* get((yield* Web).url), "hello\n")
      }))
  })
})

/** A suite by hand: its layer, under which tests run as `layer` of this package runs them. */
const suite = <A, E>(own: Layer.Layer<A, E, ProcessSpawner>) =>
  Effect.gen(function*() {
    const exits = serverExits.make()
    const context = yield* Layer.build(serverExits.provide(own, exits).pipe(Layer.provide(NodeProcess.layer)))
    return {
      exits,
      run: <B, E2>(test: Effect.Effect<B, E2, A>) =>
        Effect.exit(serverExits.guard(Effect.provide(test, context), exits))
    }
  })

const diedOf = (exit: Exit.Exit<unknown, unknown>): ServerFixture.ServerDied => {
  const [error] = Exit.isFailure(exit) ? [...Cause.failures(exit.cause)] : []
  if (!(error instanceof ServerFixture.ServerDied)) throw new Error(`not the expected failure: ${String(exit)}`)
  return error
}

/** What is printed to the console's stderr meanwhile. */
const printed = <A, E, R>(effect: Effect.Effect<A, E, R>, lines: Array<string> = []) =>
  Effect.gen(function*() {
    const console = yield* Effect.console
    const quiet: Console.Console = {
      ...console,
      error: (...args: ReadonlyArray<unknown>) => Effect.sync(() => void lines.push(args.join(" ")))
    }
    const value = yield* Effect.withConsole(effect, quiet)
    return [value, lines.join("\n")] as const
  })

describe("the death of a server", () => {
  it.scopedLive("fails the test that waits for it, and those that come after, with status and log", () =>
    Effect.gen(function*() {
      const { run } = yield* suite(Web.layer)
      assert.isTrue(Exit.isSuccess(yield* run(Effect.flatMap(Web, ({ url }) => get(url)))))
      const waiting = yield* run(Effect.gen(function*() {
        const server = yield* Web
        yield* Effect.fork(Effect.ignore(get(urlOf(server, "/exit", { code: "7", text: "out of \u001b[31mluck" }))))
        return yield* Effect.never
      }))
      const died = diedOf(waiting)
      assert.deepStrictEqual(died.exit, ExitStatus.exited(7))
      assert.match(
        died.message,
        /^the server Web \(\S+ \S+server.mjs \d+\) exited with code 7 while its tests ran; the end of its log:\n/
      )
      assert.include(died.message, "    starting\n")
      assert.isTrue(died.message.endsWith("\n    out of luck"), died.message)
      // It is known by now, so the test does not even begin.
      let begun = false
      const next = yield* run(Effect.zipRight(Effect.yieldNow(), Effect.sync(() => begun = true)))
      assert.strictEqual(diedOf(next), died)
      assert.isFalse(begun)
    }))

  it.scopedLive("is told before the failure that comes of it", () =>
    Effect.gen(function*() {
      const { run } = yield* suite(Web.layer)
      const exit = yield* run(Effect.flatMap(Web, (server) => get(urlOf(server, "/exit", { code: "3" }))))
      if (Exit.isSuccess(exit)) throw new Error("it got an answer")
      const [first, second] = [...Cause.failures(exit.cause)]
      assert.instanceOf(first, ServerFixture.ServerDied)
      if (second !== undefined) assert.strictEqual(second, "lost")
      const own = yield* run(Effect.fail("its own"))
      assert.instanceOf(Exit.isFailure(own) && [...Cause.failures(own.cause)][0], ServerFixture.ServerDied)
    }))

  it.scopedLive.runIf(process.platform === "linux")(
    "is told before the failure that comes of it also when the engine is held up",
    () =>
      Effect.gen(function*() {
        const { run } = yield* suite(Web.layer)
        const exit = yield* run(Effect.gen(function*() {
          const server = yield* Web
          const supervisor = parentOf(server.process.pid)
          // On the fallback it is we who wait.
          if (supervisor !== process.pid) {
            const spawnServer = parentOf(supervisor)
            process.kill(spawnServer, "SIGSTOP")
            setTimeout(() => process.kill(spawnServer, "SIGCONT"), 700)
          }
          yield* get(urlOf(server, "/exit", { code: "3" }))
        }))
        assert.deepStrictEqual(diedOf(exit).exit, ExitStatus.exited(3))
      })
  )

  it.scopedLive("by a signal is told as such, also of one that another layer keeps to itself", () =>
    Effect.gen(function*() {
      class Client extends Context.Tag("Client")<Client, { readonly kill: Effect.Effect<void> }>() {
        static readonly layer = Layer.effect(
          Client,
          Effect.map(Web, (server) => ({ kill: Effect.ignore(server.process.signal("SIGKILL")) }))
        ).pipe(Layer.provide(Web.layer))
      }
      const { run } = yield* suite(Layer.merge(Client.layer, Other.layer))
      const died = diedOf(yield* run(Effect.zipRight(Effect.flatMap(Client, ({ kill }) => kill), Effect.never)))
      assert.strictEqual(String(died.exit), "SIGKILL")
    }))

  it.scopedLive("is none when the suite ends it, or its tests may", () =>
    Effect.gen(function*() {
      const exits = serverExits.make()
      const scope = yield* Scope.make()
      const own = ServerFixture.layer(Web, node, (port) => Readiness.port(port), { mayEnd: true })
      const whole = serverExits.provide(Layer.merge(own, Other.layer), exits).pipe(Layer.provide(NodeProcess.layer))
      const context = yield* Layer.buildWithScope(whole, scope)
      const end = Effect.flatMap(Web, (server) => server.process.terminate())
      yield* Effect.provide(end, context)
      const exit = yield* Effect.exit(serverExits.guard(Effect.fail("own"), exits))
      assert.deepStrictEqual(exit, Exit.fail("own"))
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(exits.hasServers())
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(serverExits.guard(Effect.void, exits))))
    }))

  it.scopedLive("outside of a suite of ours is printed", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const dies = Effect.gen(function*() {
        const context = yield* Layer.build(Web.layer.pipe(Layer.provide(NodeProcess.layer)))
        const server = Context.get(context, Web)
        yield* Effect.ignore(get(urlOf(server, "/exit", { code: "4" })))
        while (lines.length === 0) yield* Effect.sleep("5 millis")
      })
      const [, text] = yield* printed(dies, lines)
      assert.include(text, "the server Web")
      assert.include(text, "exited with code 4")
    }))
})

describe("the log of a server", () => {
  it.scopedLive("is shown once, without secrets, and bounded", () =>
    Effect.gen(function*() {
      const secret = Redacted.make("s3cret")
      const own = ServerFixture.layer(
        Web,
        (port) => node(port).pipe(Command.env({ TOKEN: secret })),
        (port) => Readiness.port(port),
        { name: "the web" }
      )
      const { exits, run } = yield* suite(own)
      const say = (path: string, text: string) =>
        run(Effect.gen(function*() {
          const server = yield* Web
          yield* get(urlOf(server, path, { text }))
          while (!(yield* server.log).includes(text.slice(0, 5))) yield* Effect.sleep("5 millis")
        }))
      yield* say("/log", "token: s3cret\nnext\tline \u001b]0;title\u0007")
      const [first] = yield* exits.takeLogs
      assert.strictEqual(first?.name, "the web")
      assert.include(first?.log, "token: <redacted>\nnext\tline \\u{1b}]0;title\\u{7}\n")
      assert.deepStrictEqual(yield* exits.takeLogs, [])
      yield* say("/error", "again")
      assert.deepStrictEqual(yield* exits.takeLogs, [{ name: "the web", log: "again\n" }])
      for (let i = 0; i < 20; i++) yield* say("/log", `${i} ${"x".repeat(10_000)}`)
      const [last] = yield* exits.takeLogs
      assert.isBelow(last?.log.length ?? 0, 140_000)
      assert.match(last?.log ?? "", /^\(the oldest lines were dropped\)\n\d+ x/)
    }))

  it.scopedLive("has its last words", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(Web.layer.pipe(Layer.provide(NodeProcess.layer)), scope)
      yield* Scope.close(scope, Exit.void)
      assert.include(yield* Context.get(context, Web).log, "last words\n")
    }))
})

describe("a server that does not become ready", () => {
  it.scopedLive("fails the suite and shows what it wrote", () =>
    Effect.gen(function*() {
      const broken = ServerFixture.layer(
        Web,
        Command.shell`echo loading; echo 'bad configuration' >&2; exit 78`,
        Readiness.line(/ready/)
      )
      const [error, text] = yield* printed(Effect.flip(suite(broken)))
      assert.instanceOf(error, NotReady)
      assert.include(text, "the server Web: ")
      assert.include(text, "ended with exit code 78")
      assert.include(text, "the end of its stdout:\n    loading\nthe end of its stderr:\n    bad configuration")
    }))

  it.scopedLive("because its port was taken meanwhile is started on another one, three times at most", () =>
    Effect.gen(function*() {
      const server = net.createServer()
      yield* Effect.acquireRelease(
        Effect.async<void>((resume) => void server.listen(0, () => resume(Effect.void))),
        () => Effect.async<void>((resume) => void server.close(() => resume(Effect.void)))
      )
      const address = server.address()
      const taken = typeof address === "object" && address !== null ? address.port : 0
      let starts = 0
      const unlucky = (port: number) => node(++starts < 3 ? taken : port)
      const { run } = yield* suite(ServerFixture.layer(Web, unlucky, () => listening))
      assert.strictEqual(starts, 3)
      assert.isTrue(Exit.isSuccess(yield* run(Effect.flatMap(Web, ({ url }) => get(url)))))
      const never = ServerFixture.layer(Web, () => {
        starts++
        return node(taken)
      }, listening)
      starts = 0
      const [error] = yield* printed(Effect.flip(suite(never)))
      assert.strictEqual(error._tag, "NotReady")
      assert.strictEqual(starts, 3)
    }))
})
