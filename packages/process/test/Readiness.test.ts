/** Waiting until a server is ready: what counts. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import { afterEach, describe, vi } from "vitest"
import { Command, Readiness } from "../src/index.ts"
import * as FakeEngine from "./support/fakeEngine.ts"
import { failure, Refused, server, starting, state } from "./support/starting.ts"

describe("line", () => {
  it.scoped("gives what the expression found, on either output, in a line that comes in pieces", () =>
    Effect.gen(function*() {
      for (const stream of ["out", "err"] as const) {
        const engine = yield* FakeEngine.make()
        const fiber = yield* starting(engine, Readiness.line(/listening on (\d+)$/))
        const write = (text: string) => Effect.zipRight(engine.job[stream].write(text), FakeEngine.settle)
        for (const piece of ["starting\nlist", "ening on 80", "80"]) yield* write(piece)
        assert.strictEqual(yield* state(fiber), "waits")
        yield* write("\r\nmore")
        const [process, match] = yield* Fiber.join(fiber)
        assert.deepStrictEqual([process.pid, match[1]], [engine.job.pid, "8080"])
      }
    }))

  it.scoped("does not join the outputs, nor remember a match of an expression that is global", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const pattern = /ready/g
      pattern.lastIndex = 3
      const fiber = yield* starting(engine, Readiness.line(pattern))
      yield* engine.job.out.write("re")
      yield* engine.job.err.write("ady\n")
      yield* FakeEngine.settle
      assert.strictEqual(yield* state(fiber), "waits")
      yield* engine.job.out.write("\nready\n")
      const [, match] = yield* Fiber.join(fiber)
      assert.deepStrictEqual([match[0], pattern.lastIndex], ["ready", 3])
    }))

  it.scoped("is found without a newline once it has not grown for a second", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const fiber = yield* starting(engine, Readiness.line(/^ready> $/))
      yield* engine.job.out.write("ready> ")
      yield* FakeEngine.adjust("999 millis")
      assert.strictEqual(yield* state(fiber), "waits")
      yield* FakeEngine.adjust("1001 millis")
      assert.strictEqual(yield* state(fiber), "Success")
    }))

  it.scoped("is not found in half a line that still grows", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const fiber = yield* starting(engine, Readiness.line(/port (\d+)/))
      yield* FakeEngine.adjust("900 millis")
      yield* engine.job.out.write("port 80")
      yield* FakeEngine.adjust("900 millis")
      yield* engine.job.out.write("80")
      yield* FakeEngine.adjust("900 millis")
      assert.strictEqual(yield* state(fiber), "waits")
      yield* engine.job.out.write("\n")
      assert.strictEqual((yield* Fiber.join(fiber))[1][1], "8080")
    }))

  it.scoped("is found at the end of the output, and given up when there is none", () =>
    Effect.gen(function*() {
      for (const last of ["ready", "other"]) {
        const engine = yield* FakeEngine.make()
        const fiber = yield* starting(engine, Readiness.line(/ready/))
        yield* engine.job.err.write(last)
        yield* engine.job.err.end
        yield* engine.job.out.end
        yield* FakeEngine.adjust("100 millis")
        if (last === "ready") assert.strictEqual(yield* state(fiber), "Success")
        else assert.include((yield* failure(fiber)).message, "its output ended without such a line")
      }
    }))

  it.scoped("looks through colours", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const fiber = yield* starting(engine, Readiness.line(/localhost:(\d+)/))
      yield* engine.job.out.write("  Local: \u001b[36mhttp://localhost:\u001b[1m5173\u001b[22m/\u001b[39m\n")
      assert.strictEqual((yield* Fiber.join(fiber))[1][1], "5173")
    }))

  it.scoped("of a program without pipes is given up at once", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const mute = server.pipe(Command.stdout("ignore"), Command.stderr("ignore"))
      const fiber = yield* Effect.fork(engine.provide(Command.startReady(mute, Readiness.line(/ready/))))
      yield* FakeEngine.adjust("100 millis")
      assert.include((yield* failure(fiber)).detail, "without such a line")
    }))
})

describe("port", () => {
  it.scoped("is looked for again and again, on the engine's clock", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const fiber = yield* starting(engine, Readiness.port(80))
      yield* FakeEngine.adjust("5 seconds")
      assert.strictEqual(yield* state(fiber), "waits")
      engine.listening.add("localhost:80")
      yield* FakeEngine.adjust("200 millis")
      assert.strictEqual(yield* state(fiber), "Success")
    }))

  it.scoped("that something else listens on already is told before anything is started", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      engine.listening.add("::1:80")
      const error = yield* failure(yield* starting(engine, Readiness.port(80, "::1")))
      assert.strictEqual(
        error.message,
        "serve --port 80: not ready: something else listens on port 80 of ::1 already; end it, or give the server another port"
      )
      assert.deepStrictEqual([engine.jobs.length, error.exit], [0, undefined])
    }))

  it.scoped("does not count when the server has ended by then", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make({
        program: (job) =>
          Effect.gen(function*() {
            // Another program has been quicker.
            engine.listening.add("localhost:80")
            yield* job.err.write("bind: Address already in use\n")
            yield* job.exit(1)
          })
      })
      const error = yield* failure(yield* starting(engine, Readiness.port(80)))
      assert.strictEqual(String(error.exit), "exit code 1")
    }))

  it.scoped("whose connection hangs is tried again", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      let calls = 0
      engine.onConnect = () => ++calls <= 2 ? Effect.never : Effect.succeed(true)
      const fiber = yield* starting(engine, Readiness.port(80))
      // One look before the start, which may take a second, and one after it, which may take five.
      yield* FakeEngine.adjust("7 seconds")
      assert.strictEqual(calls, 3)
      assert.strictEqual(yield* state(fiber), "Success")
    }))
})

describe("http", () => {
  afterEach(() => void vi.unstubAllGlobals())

  it.scoped("waits for a status below 400, and asks only who listens", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const statuses = [503, 404, 302]
      const asked: Array<string> = []
      vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
        asked.push(`${url} ${init.redirect} ${JSON.stringify(init.headers)}`)
        const status = statuses.shift()
        return status === undefined
          ? Promise.reject(new Error("too often"))
          : Promise.resolve(new Response("", { status }))
      })
      const fiber = yield* starting(engine, Readiness.http("http://user:p%40ss@localhost:80/health"))
      yield* FakeEngine.adjust("1 seconds")
      assert.deepStrictEqual(asked, [])
      engine.listening.add("localhost:80")
      while ((yield* state(fiber)) === "waits") {
        yield* FakeEngine.adjust("200 millis")
        // A promise takes turns of the event loop.
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
      yield* Fiber.join(fiber)
      const headers = { connection: "close", authorization: `Basic ${btoa("user:p@ss")}` }
      assert.deepStrictEqual(new Set(asked), new Set([`http://localhost/health manual ${JSON.stringify(headers)}`]))
      assert.lengthOf(asked, 3)
    }))
})

describe("command", () => {
  it.scoped("is run until it succeeds", () =>
    Effect.gen(function*() {
      const codes = [2, 1, 0]
      const engine = yield* FakeEngine.make({
        program: (job) =>
          job.request.stages[0].file === "probe"
            ? Effect.zipRight(job.err.write("no response\n"), job.exit(codes.shift() ?? 0))
            : Effect.void
      })
      const fiber = yield* starting(engine, Readiness.command(Command.make("probe")))
      yield* FakeEngine.adjust("1 seconds")
      assert.strictEqual(yield* state(fiber), "Success")
      assert.deepStrictEqual(engine.jobs.map((job) => job.request.stages[0].file), ["serve", "probe", "probe", "probe"])
    }))

  it.scoped("that cannot be started ends the wait, and the server", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const fiber = yield* starting(engine, Readiness.command(Command.make("")))
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.strictEqual(error._tag, "SpawnError")
      assert.deepStrictEqual(engine.actions, ["0 terminate SIGTERM 5000", "0 exit SIGTERM"])
    }))

  it.scoped("whose own input fails ends the wait with that failure", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const probe = Command.make("probe").pipe(Command.stdin(Stream.fail("boom" as const)))
      const fiber = yield* starting(engine, Readiness.command(probe))
      assert.strictEqual(yield* Effect.flip(Fiber.join(fiber)), "boom")
    }))
})

describe("combinators", () => {
  it.scoped("all waits for each and keeps their order; the failure names what is missing", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const both = Readiness.all(
        Readiness.port(80),
        Readiness.line(/up in (\d+)/).pipe(Readiness.map((m) => Number(m[1])))
      )
      const ready = yield* starting(engine, both)
      yield* engine.job.out.write("up in 12\n")
      yield* FakeEngine.adjust("1 seconds")
      assert.strictEqual(yield* state(ready), "waits")
      engine.listening.add("localhost:80")
      yield* FakeEngine.adjust("200 millis")
      const [, value]: readonly [unknown, [void, number]] = yield* Fiber.join(ready)
      assert.deepStrictEqual(value, [undefined, 12])
      engine.listening.clear()

      const late = yield* starting(engine, both, { timeout: "2 seconds" })
      yield* engine.jobs[1]?.out.write("up in 13\n") ?? Effect.void
      yield* FakeEngine.adjust("2 seconds")
      const error = yield* failure(late)
      assert.strictEqual(
        error.detail,
        "not within 2s; waited for port 80 of localhost: nobody listens; a longer timeout may be what it needs"
      )
      assert.strictEqual(error.readiness, "port 80 of localhost and a line that matches /up in (\\d+)/")
    }))

  it.scoped("all without any is ready at once", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const [, value] = yield* Fiber.join(yield* starting(engine, Readiness.all()))
      assert.deepStrictEqual(value, [])
    }))

  it.scoped("flatMap sees lines that came before it looked", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const ready = Readiness.line(/port (\d+)/).pipe(
        Readiness.flatMap(([, port]) => Readiness.line(/pid/).pipe(Readiness.map(() => Number(port))))
      )
      const fiber = yield* starting(engine, ready)
      yield* engine.job.err.write("pid 7\n")
      yield* engine.job.out.write("port 81\n")
      assert.strictEqual((yield* Fiber.join(fiber))[1], 81)
    }))

  it.scoped("check repeats an Effect, and tells its last failure", () =>
    Effect.gen(function*() {
      const engine = yield* FakeEngine.make()
      const tries = yield* Ref.make(0)
      const third = Effect.filterOrFail(Ref.updateAndGet(tries, (n) => n + 1), (n) =>
        n === 3, (n) =>
        new Refused({ message: `try ${n}` }))
      const fiber = yield* starting(engine, Readiness.check("the third", third))
      yield* FakeEngine.adjust("1 seconds")
      assert.strictEqual((yield* Fiber.join(fiber))[1], 3)
      const late = yield* starting(engine, Readiness.check("more", third), { timeout: "0 millis" })
      yield* FakeEngine.adjust("1 seconds")
      assert.include((yield* failure(late)).detail, "waited for more: try 4")
    }))
})
