/**
 * The servers that the layers of one suite have started: what a test is raced with, and the logs that explain its failure.
 *
 * A suite makes one registry (`make`), hands it to its layer (`provide`), and runs each test under `guard`. A nested layer is given the
 * registry of the suite around it, so that its tests are raced with the servers of both.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as ExitStatus from "effect-process/ExitStatus"
import { indent } from "./serverLog.ts"

/**
 * A server ended by itself while tests used it. `exit` is undefined when it was lost together with its engine; `log` is the end of
 * what it wrote.
 *
 * @example
 * import { ServerFixture } from "@effect-process/vitest"
 * import { ExitStatus } from "effect-process"
 *
 * new ServerFixture.ServerDied({
 *   server: "Shop",
 *   command: "node shop.js",
 *   exit: ExitStatus.exited(1),
 *   log: ""
 * }).message // => "the server Shop (node shop.js) exited with code 1 while its tests ran; it wrote nothing"
 *
 * @since 0.1.0
 * @category errors
 */
export class ServerDied extends Data.TaggedError("ServerDied")<{
  readonly server: string
  readonly command: string
  readonly exit: ExitStatus.ExitStatus | undefined
  readonly log: string
}> {
  override get message(): string {
    const how = this.exit === undefined ? "was lost" : ExitStatus.isExited(this.exit)
      ? `exited with code ${this.exit.code}`
      : `was killed by ${this.exit.signal}`
    const log = this.log.trimEnd()
    const said = log === "" ? "; it wrote nothing" : `; the end of its log:\n${indent(log)}`
    return `the server ${this.server} (${this.command}) ${how} while its tests ran${said}`
  }
}

/**
 * A running server, as its fixture tells of it.
 *
 * @internal
 */
export interface Server {
  readonly name: string
  /** Completes when the server has ended by itself. */
  readonly death: Effect.Effect<ServerDied>
  /** Whether the system says that it has ended by itself: then its death will be told. */
  readonly hasEnded: () => boolean
  /** What it has written and nobody was shown yet, at most the last of it. */
  readonly takeLog: () => string
}

/** @internal */
export interface ServerExits {
  /** Enters a server until the scope closes, which must be before the server is ended on purpose. */
  readonly add: (server: Server) => Effect.Effect<void, never, Scope.Scope>
  /** Without any there is nothing to race a test with. */
  readonly hasServers: () => boolean
  /** The first that has died. */
  readonly dead: () => ServerDied | undefined
  /** Whether one has ended and its death is still to be told. */
  readonly isDying: () => boolean
  /** Fails as soon as a server has died, at once where one has; else it never completes. */
  readonly died: Effect.Effect<never, ServerDied>
  /** The log of each server since the last call, in order of their start. */
  readonly takeLogs: Effect.Effect<ReadonlyArray<{ readonly name: string; readonly log: string }>>
}

/** No test can be failed, so it is at least said. */
const nobodys: ServerExits = {
  add: ({ death }) =>
    Effect.asVoid(
      Effect.forkScoped(Effect.interruptible(Effect.flatMap(death, ({ message }) => Console.error(message))))
    ),
  hasServers: () => false,
  dead: () => undefined,
  isDying: () => false,
  died: Effect.never,
  takeLogs: Effect.succeed([])
}

/**
 * The registry that a server enters itself into while its layer is built. Without a suite of ours it is nobody's.
 *
 * @internal
 */
export class CurrentServerExits extends Context.Reference<CurrentServerExits>()(
  "@effect-process/vitest/CurrentServerExits",
  { defaultValue: (): ServerExits => nobodys }
) {}

/** @internal */
export const make = (): ServerExits => {
  const servers = new Set<Server>()
  const dead = new Map<Server, ServerDied>()
  // Another one once the dead have left: a suite goes on after a nested suite whose server had died.
  let first = Deferred.unsafeMake<never, ServerDied>(FiberId.none)
  const remove = (server: Server) => {
    servers.delete(server)
    if (dead.delete(server) && dead.size === 0) first = Deferred.unsafeMake(FiberId.none)
  }
  const bury = (server: Server, died: ServerDied) =>
    Effect.suspend(() => {
      if (!servers.has(server)) return Effect.void
      dead.set(server, died)
      return Deferred.fail(first, died)
    })
  return {
    add: (server) =>
      Effect.asVoid(Effect.acquireRelease(
        Effect.suspend(() => {
          servers.add(server)
          return Effect.forkDaemon(Effect.interruptible(
            Effect.flatMap(server.death, (died) => bury(server, died))
          ))
        }),
        (watch) => Effect.zipRight(Effect.sync(() => remove(server)), Fiber.interrupt(watch))
      )),
    hasServers: () => servers.size > 0,
    dead: () => dead.values().next().value,
    isDying: () => [...servers].some((server) => !dead.has(server) && server.hasEnded()),
    died: Effect.suspend(() => Deferred.await(first)),
    takeLogs: Effect.sync(() =>
      [...servers].map(({ name, takeLog }) => ({ name, log: takeLog() })).filter(({ log }) => log !== "")
    )
  }
}

/**
 * Has all servers of a layer enter the registry, also those that the layer keeps to itself.
 *
 * @internal
 */
export const provide = <A, E, R>(layer: Layer.Layer<A, E, R>, exits: ServerExits): Layer.Layer<A, E, R> =>
  Layer.provide(layer, Layer.succeed(CurrentServerExits, exits))

/** A test notices the loss of a connection before anybody has heard of the exit. */
const news = Duration.millis(250)

/** When it is seen that a server has ended, only an engine that is held up can keep the news. */
const lateNews = Duration.seconds(5)

/** Servers are real whatever clock a test has. */
const live = Clock.make()

/**
 * A test that fails with `ServerDied` as soon as a server has died, instead of running into its time-out. When it fails by itself,
 * the death of a server is the failure that is told first.
 *
 * @internal
 */
export const guard = <A, E, R>(test: Effect.Effect<A, E, R>, exits: ServerExits): Effect.Effect<A, E | ServerDied, R> =>
  Effect.suspend((): Effect.Effect<A, E | ServerDied, R> => {
    if (!exits.hasServers()) return test
    const dead = exits.dead()
    if (dead !== undefined) return Effect.fail(dead)
    const within = (time: Duration.Duration) => Effect.withClock(Effect.timeoutOption(exits.died, time), live)
    const explained = Effect.catchAllCause(
      test,
      (cause): Effect.Effect<never, E | ServerDied> =>
        Cause.isInterruptedOnly(cause)
          ? Effect.failCause(cause)
          : Effect.matchCauseEffect(Effect.zipRight(within(news), Effect.when(within(lateNews), exits.isDying)), {
            onFailure: (died) => Effect.failCause(Cause.sequential(died, cause)),
            onSuccess: () => Effect.failCause(cause)
          })
    )
    return Effect.raceFirst(explained, exits.died)
  })
