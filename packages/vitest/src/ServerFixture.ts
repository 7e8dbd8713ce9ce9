/**
 * Servers for test suites: started once, on a port of their own, and ready when the first test begins. The log is kept and printed
 * only when a test fails; a server that dies fails the tests that use it, and says why.
 *
 * @since 0.1.0
 */
import type { Command, NotReady, Process, ProcessSpawner, Readiness, SpawnError, SpawnServerLost } from "effect-process"
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as internal from "./internal/serverFixture.ts"

export { ServerDied } from "./internal/serverExits.ts"

/**
 * A running server.
 *
 * - `port`: the free one that command and readiness were given; where they are no functions, what `Readiness` found, when that is a
 *   number or a match whose first group is one; else 0
 * - `url`: `http://localhost:` and the port
 * - `process`: the handle. Its outputs are read for the log, so they are not to be had any more
 * - `ready`: what `Readiness` found
 * - `log`: the last 64 KiB of what it wrote to stdout and stderr, by lines, without secrets
 *
 * @since 0.1.0
 * @category models
 */
export interface Server<out A = unknown, out E = never> {
  readonly port: number
  readonly url: string
  readonly process: Omit<Process.Process<E>, "stdout" | "stderr">
  readonly ready: A
  readonly log: Effect.Effect<string>
}

/**
 * What `layer` can be told.
 *
 * - `timeout`: how long it may take until it is ready; 20 seconds when nothing is said. vitest bounds the whole hook in which a layer is
 *   built: 30 seconds with `layer` of this package, 10 with that of `@effect/vitest`, unless they are told otherwise
 * - `name`: what logs and errors call it; the key of the tag when nothing is said
 * - `mayEnd`: whether tests may end it on purpose. Its end is no failure then
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly timeout?: Duration.DurationInput
  readonly name?: string
  readonly mayEnd?: boolean
}

type LayerOf<I, E2, R> = Layer.Layer<
  I,
  SpawnError | SpawnServerLost | NotReady | E2,
  ProcessSpawner | Exclude<R, Scope.Scope>
>

/**
 * A server as a layer, which is ready when it has been built, and gone when it has been released.
 *
 * The service is the `Server`, or what `make` makes of it.
 *
 * When command or readiness are functions, they are given a port that was free just before. Should another program take it first, the
 * server is started again on another port, up to three times.
 *
 * With `layer` of this package the tests of a suite are raced with its servers: one that dies fails them at once with `ServerDied`, which
 * has its exit status and the end of its log, and when a test fails, what the servers wrote since the last failure is printed.
 * With `layer` of `@effect/vitest` a server serves as well, but its death is not told and its log not printed.
 *
 * A server that goes into the background has ended as far as its layer can see, and `NotReady` says so: tell it to stay in the
 * foreground.
 *
 * @example
 * import { NodeProcess } from "@effect-process/node"
 * import { ServerFixture } from "@effect-process/vitest"
 * import { expect, layer } from "@effect/vitest"
 * import { Context, Effect, Layer } from "effect"
 * import { Command, Readiness } from "effect-process"
 *
 * class Files extends Context.Tag("Files")<Files, ServerFixture.Server>() {
 *   static readonly layer = ServerFixture.layer(
 *     Files,
 *     (port) => Command.make("python3", "-m", "http.server", `${port}`),
 *     (port) => Readiness.http(`http://localhost:${port}/`)
 *   )
 * }
 *
 * layer(Files.layer.pipe(Layer.provide(NodeProcess.layer)))("the file server", (it) => {
 *   it.effect("lists the directory", () =>
 *     Effect.gen(function*() {
 *       const { url } = yield* Files
 *       const page = yield* Effect.promise(() => fetch(url).then((response) => response.text()))
 *       expect(page).toContain("Directory listing")
 *     }))
 * })
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: {
  <I, S, E, R, A, E2, R2>(
    tag: Context.Tag<I, S>,
    command: Command.Command<E, R> | ((port: number) => Command.Command<E, R>),
    readiness: Readiness.Readiness<A, E2, R2> | ((port: number) => Readiness.Readiness<A, E2, R2>),
    options?: Options & { readonly make?: never }
    // A condition on the tag would keep the types of the functions from being found.
  ): [Server<A, E>] extends [S] ? LayerOf<I, E2, R | R2> : "the service is no Server; say by `make` what it is"
  <I, S, E, R, A, E2, R2>(
    tag: Context.Tag<I, S>,
    command: Command.Command<E, R> | ((port: number) => Command.Command<E, R>),
    readiness: Readiness.Readiness<A, E2, R2> | ((port: number) => Readiness.Readiness<A, E2, R2>),
    options: Options & { readonly make: (server: Server<A, E>) => S }
  ): LayerOf<I, E2, R | R2>
} = internal.layer
