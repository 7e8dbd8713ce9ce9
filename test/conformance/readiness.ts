/** Servers that become ready, in each way of telling it, and those that do not. */
import { assert } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestContext from "effect/TestContext"
import { Command, ExitStatus, NotReady, Readiness } from "effect-process"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import * as fixtures from "../support/fixtures.ts"
import * as observer from "../support/observer.ts"
import { type Scenario, type Suite, timed, until, within } from "../support/scenario.ts"

const mebibyte = 1024 * 1024

/** A server of ours, until the scope closes; it tells its port. */
const listen = Effect.acquireRelease(
  Effect.async<net.Server>((resume) => {
    const server = net.createServer()
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.async<void>((resume) => void server.close(() => resume(Effect.void)))
).pipe(Effect.map((server) => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}))

let nextPort = 20_000 + process.pid % 10_000

/** Below those that the system gives to whoever asks for any (ip_local_port_range), so that nobody gets it before the server. */
const freePort: Effect.Effect<number> = Effect.async((resume) => {
  const port = nextPort++
  const server = net.createServer()
  server.once("error", () => resume(freePort))
  server.listen(port, "127.0.0.1", () => server.close(() => resume(Effect.succeed(port))))
})

const node = (t: Scenario, ...args: ReadonlyArray<string>) =>
  t.mark(Command.make(process.execPath, fixtures.script("server"), ...args))

const get = (url: string) => Effect.promise(() => fetch(url).then((response) => response.text()))

const failure = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    if (!(error instanceof NotReady)) throw new Error(`not the expected failure: ${String(error)}`)
    return error
  })

const bytes = <E, R>(stream: Stream.Stream<Uint8Array, E, R>) =>
  Effect.map(Stream.runCollect(stream), (all) => Buffer.concat(Chunk.toReadonlyArray(all)))

export const readiness = ({ bounds: { e, g }, scenario, subject }: Suite): void => {
  scenario("port: of a server that listens late", (t) =>
    Effect.gen(function*() {
      const directory = yield* fixtures.temporaryDirectory
      const listens = path.join(directory, "listens")
      const port = yield* freePort
      const url = `http://127.0.0.1:${port}/`
      yield* Effect.scoped(Effect.gen(function*() {
        const server = node(t, `${port}`, listens)
        const start = Command.startReady(server, Readiness.port(port, "127.0.0.1"))
        const fiber = yield* Effect.forkScoped(start)
        yield* t.seeAlive(1)
        assert.strictEqual((yield* Fiber.poll(fiber))._tag, "None")
        fs.writeFileSync(listens, "")
        const [job] = yield* Fiber.join(fiber)
        assert.strictEqual(yield* get(url), "GET / keep-alive\n")
        assert.isTrue(yield* job.isRunning)
      }))
      yield* t.isEmpty
    }))

  scenario("http: of a server that is healthy late, without keeping a connection to it", (t) =>
    Effect.gen(function*() {
      const healthy = path.join(yield* fixtures.temporaryDirectory, "healthy")
      const port = yield* freePort
      const ready = Readiness.http(`http://127.0.0.1:${port}/health`)
      const unhealthy = Command.startReady(node(t, `${port}`, "-", healthy), ready, { timeout: "3 seconds" })
      assert.include((yield* failure(unhealthy)).detail, "it answers with status 503")
      yield* t.isEmpty
      fs.writeFileSync(healthy, "")
      yield* Command.startReady(node(t, `${port}`, "-", healthy), ready)
      assert.strictEqual(yield* get(`http://127.0.0.1:${port}/`), "GET / keep-alive\n")
      // The state 01 is that of a connection which stands.
      const standing = fs.readFileSync("/proc/net/tcp", "latin1").split("\n")
        .filter((line) => line.includes(`:${port.toString(16).toUpperCase().padStart(4, "0")} 01 `))
      assert.isAtMost(standing.length, 1, "that of the test itself")
    }))

  scenario("line: tells the port, and an answer is waited for there", (t) =>
    Effect.gen(function*() {
      const ready = Readiness.line(/listening on (http:\S+)/).pipe(
        Readiness.flatMap(([, url = ""]) => Readiness.map(Readiness.http(url), () => url))
      )
      const [job, url] = yield* Command.startReady(node(t), ready)
      assert.strictEqual(yield* get(url), "GET / keep-alive\n")
      yield* job.terminate()
      assert.strictEqual((yield* bytes(job.stdout)).toString(), `listening on ${url}\n`)
      assert.strictEqual((yield* bytes(job.stderr)).toString(), "starting\n")
    }))

  for (const to of ["1", "2"]) {
    scenario(`line: in pieces, and without a newline at its end, on descriptor ${to}`, (t) =>
      Effect.gen(function*() {
        const pieces = t.sh(
          `for piece in 'liste' 'ning on 8' '0' '80\n' more; do printf "$piece"; sleep .02; done >&${to}
          sleep 100; :`
        )
        const [, match] = yield* Command.startReady(pieces, Readiness.line(/listening on (\d+)$/))
        assert.strictEqual(match[1], "8080")
        const prompt = t.sh(`printf 'first\n> ' >&${to}; sleep 100; :`)
        yield* Command.startReady(prompt, Readiness.line(/^> $/))
        const closes = t.sh(`printf last >&${to}; exec >&- 2>&-; sleep 100; :`)
        yield* Command.startReady(closes, Readiness.line(/^last$/))
      }))
  }

  scenario("command: a probe that fails at first", (t) =>
    Effect.gen(function*() {
      const directory = yield* fixtures.temporaryDirectory
      const file = path.join(directory, "ready")
      const probe = t.sh(`echo x >> "$1.tries"; test -e "$1"`, file)
      const fiber = yield* Effect.forkScoped(Command.startReady(t.sh("sleep 100; :"), Readiness.command(probe)))
      yield* until("three tries", () =>
        fs.existsSync(`${file}.tries`) && fs.readFileSync(`${file}.tries`).byteLength >= 6 || undefined)
      fs.writeFileSync(file, "")
      const [job] = yield* Fiber.join(fiber)
      assert.isTrue(yield* job.isRunning)
      const missing = Readiness.command(Command.make("/no/such/probe"))
      const error = yield* Effect.flip(Command.startReady(t.sh("sleep 100; :"), missing))
      assert.deepStrictEqual([error._tag, "reason" in error && error.reason], ["SpawnError", "NotFound"])
    }))

  scenario(
    "a server that dies while it starts is told at once, with its status and last words",
    (t) =>
      Effect.gen(function*() {
        const dying = t.sh("echo starting; echo 'no such directory: data' >&2; exit 78")
        const all = Readiness.all(Readiness.line(/ready/), Readiness.port(yield* freePort, "127.0.0.1"))
        const [elapsed, error] = yield* timed(failure(Command.startReady(dying, all)))
        within(elapsed, e)
        assert.deepStrictEqual(error.exit, ExitStatus.exited(78))
        assert.deepStrictEqual([error.stdoutTail, error.stderrTail], ["starting\n", "no such directory: data\n"])
        assert.include(error.message, "it ended with exit code 78")
        const killed = yield* failure(Command.startReady(t.sh("kill -SEGV $$"), Readiness.line(/ready/)))
        assert.strictEqual(killed.exit?._tag, "Killed")
      })
  )

  scenario(
    "a server that goes into the background has ended, and what it left is ended with it",
    (t) =>
      Effect.gen(function*() {
        const file = path.join(yield* fixtures.temporaryDirectory, "pid")
        const backgrounds = [t.sh(`sleep 100 & echo $! > "$1"; exit 0`, file)]
        if (subject.guarantees.reach === "descendants") {
          backgrounds.push(
            t.sh(`(setsid sh -c 'echo $$ > "$1"; exec sleep 100' sh "$1" &); while ! test -s "$1"; do :; done`, file)
          )
        }
        for (const background of backgrounds) {
          fs.rmSync(file, { force: true })
          const error = yield* failure(Command.startReady(background, Readiness.line(/never/)))
          assert.deepStrictEqual(error.exit, ExitStatus.exited(0))
          assert.include(error.message, "must be told to stay in the foreground")
          // The positive control: there was one.
          const pid = Number(fs.readFileSync(file, "utf8"))
          assert.isAbove(pid, 0)
          assert.isFalse(observer.isAlive(pid))
        }
        yield* t.isEmpty
      })
  )

  scenario(
    "one that is not ready in time has been ended when that is told, also one that ignores TERM",
    (t) =>
      Effect.gen(function*() {
        const stubborn = t.sh(`trap "" TERM; echo starting; while :; do sleep 1; done`)
        // Long enough for a shell on a busy machine to come to its trap.
        const timeout = 1_000
        const [elapsed, error] = yield* timed(
          failure(Command.startReady(stubborn, Readiness.line(/ready/), { timeout }))
        )
        yield* t.isEmpty
        within(elapsed, timeout + g + e)
        assert.isAtLeast(elapsed, timeout + g - 20)
        assert.strictEqual(error.exit, undefined)
        assert.isAtLeast(Duration.toMillis(error.after), timeout - 1)
        assert.strictEqual(error.stdoutTail, "starting\n")
      })
  )

  scenario("interrupted while it is waited for, and with its scope", (t) =>
    Effect.gen(function*() {
      const ready = Readiness.all(Readiness.line(/ready/), Readiness.command(t.sh("sleep 100; :")))
      const fiber = yield* Effect.fork(Effect.scoped(Command.startReady(t.sh("sleep 100; :"), ready)))
      yield* t.seeAlive(4)
      const [elapsed] = yield* timed(Fiber.interrupt(fiber))
      within(elapsed, e)
      yield* t.isEmpty
    }))

  scenario(
    "its last words are read before its pipes are closed, also by one who reads slowly",
    (t) =>
      Effect.gen(function*() {
        // In the grace period it has to start seq and to write.
        const polite = t.sh(`trap 'seq 1 30000; echo bye; exit 0' TERM; echo ready; while :; do sleep .01; done`).pipe(
          Command.gracePeriod("20 seconds")
        )
        const seen: Array<Uint8Array> = []
        yield* Effect.scoped(Effect.gen(function*() {
          const [job] = yield* Command.startReady(polite, Readiness.line(/ready/))
          const read = Stream.runForEach(
            job.stdout,
            (chunk) => Effect.zipRight(Effect.sync(() => seen.push(chunk)), Effect.yieldNow())
          )
          yield* Effect.forkDaemon(Effect.ignore(read))
        }))
        assert.strictEqual(Buffer.concat(seen).toString().slice(-10), "30000\nbye\n")
      })
  )

  scenario("a port that something else listens on: nothing is started", (t) =>
    Effect.gen(function*() {
      const port = yield* listen
      const file = path.join(yield* fixtures.temporaryDirectory, "started")
      const server = t.sh(`: > "$1"; sleep 100`, file)
      const error = yield* failure(Command.startReady(server, Readiness.port(port, "127.0.0.1")))
      assert.include(error.message, `something else listens on port ${port} of 127.0.0.1 already`)
      assert.isFalse(fs.existsSync(file))
    }))

  scenario("under a test's clock it waits as ever", (t) =>
    Effect.gen(function*() {
      const late = t.sh("sleep .1; printf ready; sleep 100")
      const [job] = yield* Command.startReady(late, Readiness.line(/ready/))
      assert.isTrue(yield* job.isRunning)
      yield* failure(Command.startReady(late, Readiness.line(/never/), { timeout: "50 millis" }))
    }).pipe(Effect.provide(TestContext.TestContext)))

  scenario(
    "a log that nobody reads stops no server; its last MiB is there for who comes later",
    (t) =>
      Effect.gen(function*() {
        const directory = yield* fixtures.temporaryDirectory
        const written = path.join(directory, "written")
        const script = `echo ready; i=0
        while [ $i -lt 40 ]; do head -c 262144 /dev/zero; head -c 262144 /dev/zero >&2; i=$((i+1)); done
        echo end; echo end >&2; : > "$1"; sleep 100`
        const [job] = yield* Command.startReady(t.sh(script, written), Readiness.line(/ready/))
        yield* until("all written", () => fs.existsSync(written) || undefined)
        yield* job.terminate()
        for (const stream of [job.stdout, job.stderr]) {
          const all = yield* bytes(stream)
          assert.strictEqual(all.byteLength, mebibyte)
          assert.strictEqual(all.subarray(-5).toString(), "\0end\n")
        }
      })
  )

  scenario("a reader gets every byte, those before readiness first, and is waited for", (t) =>
    Effect.gen(function*() {
      const script = `echo ready; seq 1 100000; read go; seq 100001 2000000; printf last`
      const [job] = yield* Command.startReady(t.sh(script), Readiness.line(/^100000$/))
      const seen = createHash("sha256")
      const expected = createHash("sha256").update("ready\n")
      for (let i = 1; i <= 2_000_000; i++) expected.update(`${i}\n`)
      expected.update("last")
      const reader = yield* Effect.forkScoped(
        Stream.runForEach(job.stdout, (chunk) => Effect.sync(() => seen.update(chunk)))
      )
      yield* Stream.run(Stream.encodeText(Stream.make("go\n")), job.stdin)
      yield* Fiber.join(reader)
      assert.strictEqual(seen.digest("hex"), expected.digest("hex"))
    }))

  scenario(
    "a reader who is slow keeps the server waiting, not the owner's memory growing",
    (t) =>
      Effect.gen(function*() {
        const [job] = yield* Command.startReady(
          t.sh("echo ready; read go; exec head -c 1G /dev/zero"),
          Readiness.line(/ready/)
        )
        const before = process.memoryUsage().rss
        let taken = 0
        const slow = Stream.runForEach(job.stdout, (chunk) =>
          Effect.zipRight(
            Effect.sync(() => taken += chunk.byteLength),
            taken > mebibyte ? Effect.never : Effect.void
          ))
        yield* Effect.forkScoped(slow)
        yield* Stream.run(Stream.encodeText(Stream.make("go\n")), job.stdin)
        yield* until("blocked", () => taken > mebibyte && observer.see(job.pid)?.state === "S" || undefined)
        assert.isBelow(process.memoryUsage().rss - before, 64 * mebibyte)
        const [elapsed] = yield* timed(job.terminate())
        within(elapsed, e)
      })
  )
}
