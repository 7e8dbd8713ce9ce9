/** One server of a suite: its port, its start, its log, and its death. */
import { Command, NotReady, type Process, ProcessSpawner, type Readiness } from "effect-process"
import type { SpawnError, SpawnServerLost } from "effect-process"
import * as Console from "effect/Console"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { constUndefined, identity } from "effect/Function"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as net from "node:net"
import type { Options, Server } from "../ServerFixture.ts"
import { CurrentServerExits, ServerDied } from "./serverExits.ts"
import { indent, printable, ServerLog } from "./serverLog.ts"
import { look } from "./view.ts"

const defaultTimeout = Duration.seconds(20)

/** Another program was quicker to take the port. */
const tries = 3

/** What is left of an output when the process has exited comes within this time, and those who hold it longer are ended. */
const outputBound = Duration.millis(200)

/** Ports that were given away: the system may offer one again as long as nobody listens there. */
const given = new Set<number>()

/** Asked of the system, which has it free again before the server is started. */
const freePort: Effect.Effect<number> = Effect.async<number>((resume) => {
  const server = net.createServer()
  server.once("error", (error) => resume(Effect.die(error)))
  server.listen(0, () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
}).pipe(
  Effect.repeat({ until: (port) => !given.has(port) || given.size > 1_000 }),
  Effect.tap((port) => Effect.sync(() => given.add(port)))
)

/** Of what a readiness found. */
const portIn = (found: unknown): number => {
  const port = Number(Array.isArray(found) ? found[1] : typeof found === "number" ? found : 0)
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : 0
}

const isTaken = ({ detail, stderrTail, stdoutTail }: NotReady): boolean =>
  detail.startsWith("something else listens") ||
  /EADDRINUSE|address (is )?already in use/i.test(`${stdoutTail}\n${stderrTail}`)

type OfPort<A> = A | ((port: number) => A)

const withPort = <A>(what: OfPort<A>, port: number): A =>
  typeof what === "function" ? (what as (port: number) => A)(port) : what

/** A suite whose layer fails runs no test, so it is told here what the server had to say. */
const explain = (name: string, { message, stderrTail, stdoutTail }: NotReady): string =>
  [
    `the server ${name}: ${message}`,
    ...Object.entries({ stdout: stdoutTail, stderr: stderrTail }).flatMap(([stream, tail]) =>
      tail === "" ? [] : [`the end of its ${stream}:\n${indent(printable(tail))}`]
    )
  ].join("\n")

interface Started<E, A> {
  readonly command: Command.Command<unknown, unknown>
  readonly port: number
  readonly process: Process.Process<E>
  readonly ready: A
}

const start = <E, R, A, E2, R2>(
  command: OfPort<Command.Command<E, R>>,
  readiness: OfPort<Readiness.Readiness<A, E2, R2>>,
  timeout: Duration.DurationInput
): Effect.Effect<
  Started<E, A>,
  SpawnError | SpawnServerLost | NotReady | E2,
  ProcessSpawner | Scope.Scope | R | R2
> => {
  const onPort = (port: number) => {
    const known = withPort(command, port)
    return Effect.map(
      Command.startReady(known, withPort(readiness, port), { timeout }),
      ([process, ready]): Started<E, A> => ({ command: known, port: port || portIn(ready), process, ready })
    )
  }
  if (typeof command !== "function" && typeof readiness !== "function") return onPort(0)
  const attempt = Effect.flatMap(freePort, onPort)
  return Effect.retry(attempt, { times: tries - 1, while: (error) => error instanceof NotReady && isTaken(error) })
}

/** Keeps what a server writes, to its end. */
const record = <E>(process: Process.Process<E>, log: ServerLog): Effect.Effect<Fiber.RuntimeFiber<void>> =>
  Effect.forEach(["stdout", "stderr"] as const, (stream) =>
    process[stream].pipe(
      Stream.decodeText(),
      Stream.splitLines,
      Stream.runForEach((line) => Effect.sync(() => log.push(line))),
      // One that goes elsewhere has nothing for the log.
      Effect.ignore
    ), { concurrency: "unbounded", discard: true }).pipe(Effect.interruptible, Effect.forkDaemon)

/** Whether a process that the system knows has ended since; of one that it does not know, a fake's, that cannot be said. */
const endOf = (pid: number): () => boolean => {
  const start = look().row(pid)?.start
  return () => {
    const row = look().row(pid)
    return start !== undefined && (row === undefined || row.start !== start || row.state.startsWith("Z"))
  }
}

const make = <E, R, A, E2, R2>(
  name: string,
  command: OfPort<Command.Command<E, R>>,
  readiness: OfPort<Readiness.Readiness<A, E2, R2>>,
  { mayEnd = false, timeout = defaultTimeout }: { readonly mayEnd?: boolean; readonly timeout?: Duration.DurationInput }
): Effect.Effect<
  Server<A, E>,
  SpawnError | SpawnServerLost | NotReady | E2,
  ProcessSpawner | Scope.Scope | R | R2
> =>
  Effect.gen(function*() {
    const exits = yield* CurrentServerExits
    const { clock } = yield* ProcessSpawner
    let recorder: Fiber.RuntimeFiber<void> | undefined
    const recorded = Effect.suspend(() => recorder === undefined ? Effect.void : Fiber.await(recorder)).pipe(
      Effect.interruptible,
      Effect.timeoutOption(outputBound),
      Effect.withClock(clock)
    )
    // After the release, in which the server has its last words.
    yield* Effect.addFinalizer(() =>
      Effect.zipRight(recorded, recorder === undefined ? Effect.void : Fiber.interrupt(recorder))
    )
    const { command: known, port, process, ready } = yield* Effect.tapError(
      start(command, readiness, timeout),
      (error) => error instanceof NotReady ? Console.error(explain(name, error)) : Effect.void
    )
    const log = new ServerLog((text) => Command.redact(known, text))
    recorder = yield* record(process, log)
    const death = Effect.gen(function*() {
      const exit = yield* Effect.exit(process.exit)
      yield* recorded
      const last = Effect.map(Effect.orElseSucceed(process.stages, () => []), (stages) => stages.at(-1)?.exit)
      const status = Exit.isSuccess(exit)
        ? exit.value
        : yield* Effect.withClock(
          Effect.timeoutTo(last, { duration: outputBound, onSuccess: identity, onTimeout: constUndefined }),
          clock
        )
      return new ServerDied({ server: name, command: String(known), exit: status, log: log.tail })
    })
    yield* exits.add({
      name,
      death: mayEnd ? Effect.never : death,
      hasEnded: mayEnd ? () => false : endOf(process.pid),
      takeLog: () => log.take()
    })
    return { port, url: `http://localhost:${port}`, process, ready, log: Effect.sync(() => log.text) }
  })

/** @internal */
export const layer = <I, S, E, R, A, E2, R2>(
  tag: Context.Tag<I, S>,
  command: OfPort<Command.Command<E, R>>,
  readiness: OfPort<Readiness.Readiness<A, E2, R2>>,
  options: Options & { readonly make?: (server: Server<A, E>) => S } = {}
): Layer.Layer<I, SpawnError | SpawnServerLost | NotReady | E2, ProcessSpawner | Exclude<R | R2, Scope.Scope>> =>
  Layer.scoped(
    tag,
    Effect.map(
      make(options.name ?? tag.key, command, readiness, options),
      // Without `make` the types say that the service is the server itself.
      (server) => options.make === undefined ? server as S : options.make(server)
    )
  )
