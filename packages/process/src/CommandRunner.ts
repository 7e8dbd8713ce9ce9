/**
 * The runners of `Command`. Each opens and closes its own scope, gives the command an empty stdin unless it has one, and
 * drains what it does not return, so that none can deadlock on a pipe.
 *
 * A runner is done when it has the exit status and the output has ended by itself, or 100 ms after the exit. Only then it
 * ends what is left of the job. Programs import them from `Command`.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import type { Command } from "./Command.ts"
import {
  type CommandError,
  InvalidOutput,
  type NonZeroExit,
  type NotReady,
  type OutputError,
  type OutputLimitExceeded,
  type Signaled,
  SpawnError,
  type SpawnServerLost,
  type StdinError,
  type TimedOut
} from "./CommandError.ts"
import type { CommandResult } from "./CommandResult.ts"
import type { ExitStatus } from "./ExitStatus.ts"
import { isCommand, map, name } from "./internal/command.ts"
import * as ready from "./internal/ready.ts"
import * as internal from "./internal/runner.ts"
import * as streaming from "./internal/streaming.ts"
import { setStdin, show } from "./internal/spec.ts"
import { decode, isEncoding, lines as splitLines } from "./internal/text.ts"
import type { Process } from "./Process.ts"
import { ProcessSpawner } from "./ProcessSpawner.ts"
import type { Readiness } from "./Readiness.ts"

/**
 * Starts a command in the surrounding scope, whose close ends it. Its stdin, stdout and stderr are pipes unless the command
 * says otherwise; output that nobody reads stops the child.
 *
 * @example
 * import { Effect, Stream } from "effect"
 * import { Command } from "effect-process"
 *
 * const program = Effect.gen(function*() {
 *   const ticker = yield* Command.start(Command.shell("while :; do echo tick; sleep 0.05; done"))
 *   return yield* ticker.stdout.pipe(Stream.decodeText(), Stream.splitLines, Stream.take(2), Stream.runCollect)
 * }).pipe(Effect.scoped) // => ["tick", "tick"]
 *
 * @since 0.1.0
 * @category runners
 */
export const start = <E, R>(
  self: Command<E, R>
): Effect.Effect<Process<E>, SpawnError | SpawnServerLost, ProcessSpawner | Scope.Scope | R> =>
  Effect.flatMap(ProcessSpawner, (spawner) => spawner.spawn(self))

/**
 * Starts a server in the surrounding scope and waits until it is ready: what it is waited for stands beside the process in the
 * result. Fails with `NotReady` as soon as the server ends, or when the time is up, which is 30 seconds unless `timeout` says
 * otherwise (`Infinity`: never); the server has been ended by then. Waiting and time-out run on the engine's clock.
 *
 * Output that nobody reads does not stop the server: the last 1 MiB of each stream is kept, and when something had to be
 * dropped, that is logged once. Who reads `stdout` or `stderr` of the process first gets what is kept, what readiness saw
 * among it, and from then on the server waits for its reader.
 *
 * @example
 * import { NodeProcess } from "@effect-process/node"
 * import { Effect } from "effect"
 * import { Command, Readiness } from "effect-process"
 *
 * const server = Command.make("python3", "-m", "http.server", "8000")
 *
 * const program = Effect.scoped(
 *   Effect.gen(function*() {
 *     const [process] = yield* Command.startReady(server, Readiness.http("http://localhost:8000/"), { timeout: "10 seconds" })
 *     return process.pid
 *   })
 * ) // here the server is gone
 *
 * Effect.runPromise(program.pipe(Effect.provide(NodeProcess.layer)))
 *
 * @since 0.1.0
 * @category runners
 */
export const startReady: {
  <A, E2, R2>(
    readiness: Readiness<A, E2, R2>,
    options?: { readonly timeout?: Duration.DurationInput }
  ): <E, R>(
    self: Command<E, R>
  ) => Effect.Effect<
    readonly [Process<E>, A],
    SpawnError | SpawnServerLost | NotReady | E2,
    ProcessSpawner | Scope.Scope | R | R2
  >
  <E, R, A, E2, R2>(
    self: Command<E, R>,
    readiness: Readiness<A, E2, R2>,
    options?: { readonly timeout?: Duration.DurationInput }
  ): Effect.Effect<
    readonly [Process<E>, A],
    SpawnError | SpawnServerLost | NotReady | E2,
    ProcessSpawner | Scope.Scope | R | R2
  >
} = dual((args) => isCommand(args[0]), ready.startReady)

/**
 * Runs a command to its end and captures both outputs, each up to `Command.maxOutput`. Fails when the status is not
 * accepted.
 *
 * @example
 * import { NodeProcess } from "@effect-process/node"
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * const program = Command.make("sh", "-c", "echo out; echo err >&2").pipe(
 *   Command.run,
 *   Effect.map((result) => [result.stdoutText, result.stderrText])
 * )
 *
 * Effect.runPromise(program.pipe(Effect.provide(NodeProcess.layer))) // => ["out\n", "err\n"]
 *
 * @since 0.1.0
 * @category runners
 */
export const run = <E, R>(
  self: Command<E, R>
): Effect.Effect<CommandResult, CommandError | E, ProcessSpawner | R> =>
  internal.collectAccepted(self, ["stdout", "stderr"])

/**
 * The exit code, whichever it is. Death by a signal has none and fails with `Signaled`. The output is read and dropped.
 *
 * @example
 * import { Command } from "effect-process"
 *
 * const program = Command.exitCode(Command.make("sh", "-c", "exit 3")) // => 3
 *
 * @since 0.1.0
 * @category runners
 */
export const exitCode = <E, R>(
  self: Command<E, R>
): Effect.Effect<
  number,
  Exclude<CommandError, NonZeroExit | OutputLimitExceeded> | E,
  ProcessSpawner | R
> => internal.exitCode(self)

/**
 * Whether the command ended with an accepted status. The output is read and dropped.
 *
 * @example
 * import { Command } from "effect-process"
 *
 * const program = Command.success(Command.make("test", "-d", "/etc")) // => true
 *
 * @since 0.1.0
 * @category runners
 */
export const success = <E, R>(
  self: Command<E, R>
): Effect.Effect<
  boolean,
  Exclude<CommandError, NonZeroExit | Signaled | OutputLimitExceeded> | E,
  ProcessSpawner | R
> => internal.success(self)

/**
 * The stdout, decoded, nothing stripped. `encoding` is a label of the Encoding Standard and UTF-8 when nothing is said.
 *
 * @example
 * import { Command } from "effect-process"
 *
 * const program = Command.string(Command.make("printf", "caf\\351"), "latin1") // => "café"
 *
 * @since 0.1.0
 * @category runners
 */
export const string = <E, R>(
  self: Command<E, R>,
  encoding?: string
): Effect.Effect<string, CommandError | E, ProcessSpawner | R> =>
  Effect.suspend((): Effect.Effect<string, CommandError | E, ProcessSpawner | R> => {
    // `commands.map(Command.string)` hands over an index.
    const label = typeof encoding === "string" ? encoding : "utf-8"
    if (!isEncoding(label)) {
      return new SpawnError({
        command: name(self),
        reason: "InvalidArgument",
        stage: "validate",
        errno: undefined,
        path: undefined,
        detail: `${show(label)} names no encoding; write a label such as "utf-8" or "latin1"`
      })
    }
    return Effect.map(internal.collectStdout(self), (bytes) => decode(bytes, label))
  })

/**
 * The lines of stdout without their ends (`\n` or `\r\n`); what follows the last newline is a line when it is not empty.
 *
 * @example
 * import { Command } from "effect-process"
 *
 * const program = Command.lines(Command.make("printf", "a\\nb\\n")) // => ["a", "b"]
 *
 * @since 0.1.0
 * @category runners
 */
export const lines = <E, R>(
  self: Command<E, R>
): Effect.Effect<ReadonlyArray<string>, CommandError | E, ProcessSpawner | R> =>
  Effect.map(internal.collectStdout(self), splitLines)

/**
 * The stdout parsed as JSON and decoded with a schema. What departs from it fails with `InvalidOutput`, which says where.
 *
 * @example
 * import { Schema } from "effect"
 * import { Command } from "effect-process"
 *
 * const Package = Schema.Struct({ name: Schema.String, version: Schema.String })
 *
 * const program = Command.make("echo", `{ "name": "shop", "version": "1.2.0" }`).pipe(
 *   Command.json(Package)
 * ) // => { name: "shop", version: "1.2.0" }
 *
 * @since 0.1.0
 * @category runners
 */
export const json: {
  <A, I, R2>(
    schema: Schema.Schema<A, I, R2>
  ): <E, R>(self: Command<E, R>) => Effect.Effect<A, CommandError | InvalidOutput | E, ProcessSpawner | R | R2>
  <E, R, A, I, R2>(
    self: Command<E, R>,
    schema: Schema.Schema<A, I, R2>
  ): Effect.Effect<A, CommandError | InvalidOutput | E, ProcessSpawner | R | R2>
} = dual(2, <E, R, A, I, R2>(
  self: Command<E, R>,
  schema: Schema.Schema<A, I, R2>
): Effect.Effect<A, CommandError | InvalidOutput | E, ProcessSpawner | R | R2> => {
  const decodeJson = Schema.decode(Schema.parseJson(schema))
  return Effect.flatMap(
    internal.collectStdout(self),
    (bytes) =>
      Effect.mapError(
        decodeJson(decode(bytes)),
        ({ issue }) => new InvalidOutput({ command: name(self), issue, ...internal.departure(self, issue, bytes) })
      )
  )
})

/**
 * The stdout as it comes, with back-pressure. The stream fails at its end when the status is not accepted. A consumer who
 * stops early ends the job, which is no failure.
 *
 * @example
 * import { Stream } from "effect"
 * import { Command } from "effect-process"
 *
 * // As much as is wanted of an output without an end; then the command is ended.
 * const program = Command.stream(Command.make("cat", "/dev/zero")).pipe(
 *   Stream.map((bytes) => bytes.length),
 *   Stream.scan(0, (sum, length) => sum + length),
 *   Stream.takeUntil((sum) => sum > 1_000_000),
 *   Stream.runDrain
 * )
 *
 * @since 0.1.0
 * @category runners
 */
export const stream = <E, R>(
  self: Command<E, R>
): Stream.Stream<Uint8Array, CommandError | E, ProcessSpawner | R> =>
  streaming.stream(self, ({ output }) => output("stdout"))

/**
 * The lines of stdout as they come; see `lines` and `stream`. A line of more characters than `Command.maxOutput` has bytes ends the
 * command and fails with `OutputLimitExceeded`.
 *
 * @example
 * import { NodeProcess } from "@effect-process/node"
 * import { Effect, Stream } from "effect"
 * import { Command } from "effect-process"
 *
 * const program = Command.streamLines(Command.make("yes")).pipe(Stream.take(2), Stream.runCollect)
 *
 * Effect.runPromise(program.pipe(Effect.provide(NodeProcess.layer))) // => ["y", "y"]
 *
 * @since 0.1.0
 * @category runners
 */
export const streamLines = <E, R>(
  self: Command<E, R>
): Stream.Stream<string, CommandError | E, ProcessSpawner | R> => streaming.stream(self, ({ lines }) => lines("stdout"))

/**
 * A command as an operator on a Stream, which becomes its stdin; what comes back is its stdout. There is back-pressure both
 * ways. An input that fails ends the job, and the result fails with its error; a command that fails ends the input.
 *
 * @example
 * import { NodeProcess } from "@effect-process/node"
 * import { Effect, Stream } from "effect"
 * import { Command } from "effect-process"
 *
 * const program = Stream.make("b\n", "a\n").pipe(
 *   Stream.encodeText,
 *   Command.through(Command.make("sort")),
 *   Stream.decodeText(),
 *   Stream.mkString
 * )
 *
 * Effect.runPromise(program.pipe(Effect.provide(NodeProcess.layer))) // => "a\nb\n"
 *
 * @since 0.1.0
 * @category runners
 */
export const through = <E2, R2>(
  self: Command<E2, R2>
): <E, R>(
  input: Stream.Stream<Uint8Array, E, R>
) => Stream.Stream<Uint8Array, E | E2 | CommandError, R | R2 | ProcessSpawner> =>
<E, R>(input: Stream.Stream<Uint8Array, E, R>) => stream(map<E | E2, R | R2>(self, (spec) => setStdin(spec, input)))

/**
 * A command as a Sink: what the Sink is given is its stdin. It is done when the command has ended, early when the command
 * stops reading, and fails when the status is not accepted. Both outputs are captured, up to `Command.maxOutput`.
 *
 * @example
 * import { NodeProcess } from "@effect-process/node"
 * import { Effect, Stream } from "effect"
 * import { Command } from "effect-process"
 *
 * const program = Stream.make("one\n", "two\n").pipe(
 *   Stream.encodeText,
 *   Stream.run(Command.sink(Command.make("wc", "-l"))),
 *   Effect.map((result) => Number(result.stdoutText))
 * )
 *
 * Effect.runPromise(program.pipe(Effect.provide(NodeProcess.layer))) // => 2
 *
 * @since 0.1.0
 * @category runners
 */
export const sink = <E, R>(
  self: Command<E, R>
): Sink.Sink<CommandResult, Uint8Array, never, CommandError | E, ProcessSpawner | R> => streaming.sink(self)

/**
 * What happens to a command, in order of arrival: it started, it wrote a line, it ended.
 *
 * @since 0.1.0
 * @category models
 */
export type CommandEvent =
  | { readonly _tag: "Started"; readonly pid: number }
  | { readonly _tag: "Stdout"; readonly line: string }
  | { readonly _tag: "Stderr"; readonly line: string }
  | { readonly _tag: "Ended"; readonly exit: ExitStatus }

/**
 * Both outputs by lines, and how the command ended. Does not fail on a status. A line is bounded as by `streamLines`.
 *
 * @example
 * import { Stream } from "effect"
 * import { Command } from "effect-process"
 *
 * const program = Command.events(Command.shell("echo out; exit 3")).pipe(
 *   Stream.map((event) => event._tag === "Ended" ? String(event.exit) : event._tag),
 *   Stream.runCollect
 * ) // => ["Started", "Stdout", "exit code 3"]
 *
 * @since 0.1.0
 * @category runners
 */
export const events = <E, R>(
  self: Command<E, R>
): Stream.Stream<
  CommandEvent,
  SpawnError | SpawnServerLost | TimedOut | StdinError | OutputError | OutputLimitExceeded | E,
  ProcessSpawner | R
> => streaming.events(self)
