/**
 * When a server that was started is of use: it has printed a line, listens on a port, answers a request, or whatever a probe
 * says. `Command.startReady` starts a command and waits for that.
 *
 * @example
 * import { NodeProcess } from "@effect-process/node"
 * import { Effect } from "effect"
 * import { Command, Readiness } from "effect-process"
 *
 * const listening = Readiness.line(/listening on (\d+)/).pipe(Readiness.map((match) => Number(match[1])))
 *
 * const server = Command.make("node", "-e", `
 *   const server = require("node:http").createServer()
 *   server.listen(0, () => console.log("listening on", server.address().port))
 * `)
 *
 * const program = Effect.scoped(
 *   Effect.gen(function*() {
 *     const [process, port] = yield* Command.startReady(server, listening)
 *     yield* Effect.log(`${process.pid} listens on ${port}`)
 *   })
 * ) // here the server is gone
 *
 * Effect.runPromise(program.pipe(Effect.provide(NodeProcess.layer)))
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type { Inspectable } from "effect/Inspectable"
import type { Pipeable } from "effect/Pipeable"
import type * as Redacted from "effect/Redacted"
import type * as Types from "effect/Types"
import type { Command } from "./Command.ts"
import type { SpawnError, SpawnServerLost } from "./CommandError.ts"
import * as internal from "./internal/readiness.ts"
import type { ProcessSpawner } from "./ProcessSpawner.ts"

/**
 * By this key a value is known as a readiness.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: TypeId = internal.TypeId

/**
 * The type of the key of readinesses.
 *
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof internal.TypeId

/**
 * What to wait for: a description, which runs nothing. `A` is what was found out meanwhile; `E` is what ends the wait, and not
 * what only says that it goes on.
 *
 * @since 0.1.0
 * @category models
 */
export interface Readiness<out A, out E = never, out R = never> extends Pipeable, Inspectable {
  readonly [TypeId]: {
    readonly _A: Types.Covariant<A>
    readonly _E: Types.Covariant<E>
    readonly _R: Types.Covariant<R>
  }
}

/**
 * Whether a value is a readiness.
 *
 * @example
 * import { Readiness } from "effect-process"
 *
 * Readiness.isReadiness(Readiness.port(8080)) // => true
 *
 * @since 0.1.0
 * @category guards
 */
export const isReadiness: (u: unknown) => u is Readiness<unknown, unknown, unknown> = internal.isReadiness

/**
 * A line of stdout or stderr that matches, with what the expression found in it. Also the last line before the end of the
 * output, and one that has no end and does not grow for a second, as a prompt. Colours of a terminal are looked through; a
 * line of more than 1 MiB is looked at in parts. The flags `g` and `y` mean nothing here.
 *
 * @example
 * import { Effect } from "effect"
 * import { Command, Readiness } from "effect-process"
 *
 * const server = Command.shell("echo listening on 8080; sleep 60")
 *
 * const program = Command.startReady(server, Readiness.line(/listening on (\d+)/)).pipe(
 *   Effect.map(([, match]) => match[1]),
 *   Effect.scoped
 * ) // => "8080"
 *
 * @since 0.1.0
 * @category constructors
 */
export const line: (pattern: RegExp) => Readiness<RegExpExecArray> = internal.line

/**
 * The port accepts TCP connections, looked for by the spawner's `connect`. The host is `localhost` unless named. When something
 * accepts them before the start, the start fails with `NotReady` and runs nothing: that would be taken for the server. One
 * that takes the port in the short time from there to the server's own attempt cannot be told from it, unless the server ends
 * because of it before the port is looked at.
 *
 * @example
 * import { Command, Readiness } from "effect-process"
 *
 * const redis = Command.startReady(Command.make("redis-server", "--port", "6380"), Readiness.port(6380))
 *
 * @since 0.1.0
 * @category constructors
 */
export const port = (port: number, host = "localhost"): Readiness<void, never, ProcessSpawner> =>
  internal.port(port, host)

/**
 * The address answers with a status below 400; a redirection is not followed. An answer may take 5 seconds. Requests are made by
 * the global `fetch`, which Node.js and Bun have, once the port accepts connections; as with `port`, nothing may
 * listen there before the start. A user and a password in the address are sent by basic authentication and not shown; of one
 * that is `Redacted` nothing is shown.
 *
 * @example
 * import { Command, Readiness } from "effect-process"
 *
 * const shop = Command.startReady(Command.make("node", "shop.js"), Readiness.http("http://localhost:8080/health"))
 *
 * @since 0.1.0
 * @category constructors
 */
export const http: (url: string | URL | Redacted.Redacted<string>) => Readiness<void, never, ProcessSpawner> =
  internal.http

/**
 * A command succeeds, such as `pg_isready`. It is run again, a little later each time, until its status is accepted; a run may
 * take 5 seconds. What no repetition mends, such as a program that is not found, fails at once, and so does an input of its
 * own that fails.
 *
 * @example
 * import { Effect } from "effect"
 * import { Command, Readiness } from "effect-process"
 *
 * const server = Command.shell("sleep 0.1; echo > ready; sleep 60")
 *
 * const program = Command.startReady(server, Readiness.command(Command.make("test", "-f", "ready"))).pipe(
 *   Effect.map(([process]) => process.pid > 0),
 *   Effect.scoped
 * ) // => true
 *
 * @since 0.1.0
 * @category constructors
 */
export const command: <E, R>(
  command: Command<E, R>
) => Readiness<void, SpawnError | SpawnServerLost | E, ProcessSpawner | R> = internal.command

/**
 * An Effect succeeds, such as a query. It is run again, a little later each time, as long as it fails; a run may take
 * 5 seconds. `NotReady` tells the description and the last failure.
 *
 * @example
 * import { Effect } from "effect"
 * import { Readiness } from "effect-process"
 *
 * const migrated = (count: Effect.Effect<number>) =>
 *   Readiness.check("the migrations", Effect.filterOrFail(count, (count) => count > 0, () => "none was applied yet"))
 *
 * @since 0.1.0
 * @category constructors
 */
export const check: <A, E, R>(description: string, effect: Effect.Effect<A, E, R>) => Readiness<A, never, R> =
  internal.check

type ErrorOf<Member> = Member extends Readiness<infer _A, infer E, infer _R> ? E : never
type RequirementsOf<Member> = Member extends Readiness<infer _A, infer _E, infer R> ? R : never

/**
 * All of them, in any order. Fails as soon as one does. Without any, a server is ready when it has been started.
 *
 * @example
 * import { Readiness } from "effect-process"
 *
 * // Finds [RegExpExecArray, void]
 * const ready = Readiness.all(Readiness.line(/ready/), Readiness.port(5432))
 *
 * @since 0.1.0
 * @category combinators
 */
export const all = internal.all as <Members extends ReadonlyArray<Readiness<unknown, unknown, unknown>>>(
  ...members: Members
) => Readiness<
  { -readonly [K in keyof Members]: Members[K] extends Readiness<infer A, infer _E, infer _R> ? A : never },
  ErrorOf<Members[number]>,
  RequirementsOf<Members[number]>
>

/**
 * Makes something else of what was found out.
 *
 * @example
 * import { Effect } from "effect"
 * import { Command, Readiness } from "effect-process"
 *
 * const port = Readiness.line(/listening on (\d+)/).pipe(Readiness.map((match) => Number(match[1])))
 *
 * const program = Command.startReady(Command.shell("echo listening on 8080; sleep 60"), port).pipe(
 *   Effect.map(([, found]) => found),
 *   Effect.scoped
 * ) // => 8080
 *
 * @since 0.1.0
 * @category combinators
 */
export const map: {
  <A, B>(f: (value: A) => B): <E, R>(self: Readiness<A, E, R>) => Readiness<B, E, R>
  <A, E, R, B>(self: Readiness<A, E, R>, f: (value: A) => B): Readiness<B, E, R>
} = dual(2, internal.map)

/**
 * Goes on with what follows from the first: the port that a line tells, then an answer on that port. That nobody listens there
 * before the start can then not be looked at.
 *
 * @example
 * import { Readiness } from "effect-process"
 *
 * const ready = Readiness.line(/listening on (http:\S+)/).pipe(
 *   Readiness.flatMap(([, url = ""]) => Readiness.http(url).pipe(Readiness.map(() => url)))
 * )
 *
 * @since 0.1.0
 * @category combinators
 */
export const flatMap: {
  <A, B, E2, R2>(
    f: (value: A) => Readiness<B, E2, R2>
  ): <E, R>(self: Readiness<A, E, R>) => Readiness<B, E | E2, R | R2>
  <A, E, R, B, E2, R2>(
    self: Readiness<A, E, R>,
    f: (value: A) => Readiness<B, E2, R2>
  ): Readiness<B, E | E2, R | R2>
} = dual(2, internal.flatMap)
