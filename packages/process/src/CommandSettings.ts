/**
 * Combinators of `Command` that say how a job runs and ends: its termination, its bounds, whom it runs as, what is told of it.
 * Programs import them from `Command`.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import { dual } from "effect/Function"
import type { Command } from "./Command.ts"
import type { Limits, User } from "./Engine.ts"
import * as internal from "./internal/command.ts"
import * as spec from "./internal/spec.ts"
import type { Signal } from "./Signal.ts"

/**
 * The first signal of a termination; `SIGTERM` when nothing is said.
 *
 * @example
 * import { Command } from "effect-process"
 *
 * // PostgreSQL takes SIGINT for a fast shutdown
 * Command.make("postgres", "-D", "data").pipe(Command.killSignal("SIGINT"))
 *
 * @since 0.1.0
 * @category combinators
 */
export const killSignal: {
  (signal: Signal): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, signal: Signal): Command<E, R>
} = internal.setter(spec.setKillSignal)

/**
 * The time from the first signal of a termination to `SIGKILL`; 5 seconds when nothing is said, a bare number is
 * milliseconds. It must be finite. A job that ends sooner is not waited for.
 *
 * @example
 * import { Command } from "effect-process"
 *
 * Command.make("redis-server").pipe(Command.gracePeriod("30 seconds"))
 *
 * @since 0.1.0
 * @category combinators
 */
export const gracePeriod: {
  (duration: Duration.DurationInput): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, duration: Duration.DurationInput): Command<E, R>
} = internal.setter((old, duration) => spec.setDuration(old, "gracePeriod", duration))

/**
 * A deadline, from the spawn until the job is empty. When it passes, the job is terminated, and `exit` and every runner
 * fail with `TimedOut`, which holds what had been captured. A bare number is milliseconds.
 *
 * `Effect.timeout` interrupts instead, and returns after the release without the output.
 *
 * @example
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * const program = Command.shell("echo working; sleep 60").pipe(
 *   Command.timeout("1 second"),
 *   Command.run,
 *   Effect.catchTag("TimedOut", ({ stdoutTail }) => Effect.succeed(stdoutTail))
 * ) // => "working\n"
 *
 * @since 0.1.0
 * @category combinators
 */
export const timeout: {
  (duration: Duration.DurationInput): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, duration: Duration.DurationInput): Command<E, R>
} = internal.setter((old, duration) => spec.setDuration(old, "timeout", duration))

/**
 * The exit codes that are a success, instead of 0; with `"any"` every status is, death by a signal too.
 *
 * @example
 * import { Command } from "effect-process"
 *
 * // grep(1) exits with 1 when no line matches
 * Command.make("grep", "-c", "needle", "haystack.txt").pipe(Command.acceptExitCodes(0, 1), Command.string)
 *
 * @since 0.1.0
 * @category combinators
 */
export const acceptExitCodes: {
  (...codes: ReadonlyArray<number | "any">): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, ...codes: ReadonlyArray<number | "any">): Command<E, R>
} = dual(
  (args) => internal.isCommand(args[0]),
  <E, R>(self: Command<E, R>, ...codes: ReadonlyArray<number | "any">): Command<E, R> =>
    internal.map(self, (old) => spec.setAccepted(old, codes))
)

/**
 * How many bytes a runner captures of each stream; 100 MiB when nothing is said. A command that writes more is
 * terminated, and the runner fails with `OutputLimitExceeded`. Streams are not bounded by it, but each line of `streamLines` and `events` is.
 *
 * @example
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * const program = Command.make("yes").pipe(
 *   Command.maxOutput(1024),
 *   Command.string,
 *   Effect.catchTag("OutputLimitExceeded", ({ limit, stream }) => Effect.succeed([stream, limit]))
 * ) // => ["stdout", 1024]
 *
 * @since 0.1.0
 * @category combinators
 */
export const maxOutput: {
  (bytes: number): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, bytes: number): Command<E, R>
} = internal.setter(spec.setMaxOutput)

/**
 * Resource limits of the program, soft and hard: seconds of `cpu`, bytes of `addressSpace`, `fileSize` and `core`, numbers of
 * `openFiles` and `processes`. A second call merges. Source: setrlimit(2).
 *
 * @example
 * import { Command } from "effect-process"
 *
 * // At most 256 MiB of address space, and 5 seconds of CPU time
 * Command.make("convert", "huge.png", "small.png").pipe(Command.limits({ addressSpace: 256 * 1024 ** 2, cpu: 5 }))
 *
 * const program = Command.shell("ulimit -n").pipe(Command.limits({ openFiles: 100 }), Command.string) // => "100\n"
 *
 * @since 0.1.0
 * @category combinators
 */
export const limits: {
  (limits: Limits): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, limits: Limits): Command<E, R>
} = internal.setter(spec.setLimits)

/**
 * The scheduling priority, from -20 (first) to 19 (last). Source: nice(2).
 *
 * @example
 * import { Command } from "effect-process"
 *
 * Command.make("make", "-j8").pipe(Command.nice(10))
 *
 * @since 0.1.0
 * @category combinators
 */
export const nice: {
  (nice: number): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, nice: number): Command<E, R>
} = internal.setter(spec.setNice)

/**
 * The permissions that files made by the program, or for its redirections, do not get. Source: umask(2).
 *
 * @example
 * import { Command } from "effect-process"
 *
 * const program = Command.shell("umask").pipe(Command.umask(0o077), Command.string) // => "0077\n"
 *
 * @since 0.1.0
 * @category combinators
 */
export const umask: {
  (mode: number): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, mode: number): Command<E, R>
} = internal.setter(spec.setUmask)

/**
 * Whom the program runs as, which takes privileges. A different user is the only boundary that a hostile child cannot
 * cross: with the owner's own uid it can signal and trace the owner. Source: credentials(7).
 *
 * @example
 * import { Command } from "effect-process"
 *
 * // As nobody, which has no supplementary groups then
 * Command.make("node", "plugin.js").pipe(Command.user({ uid: 65534, gid: 65534 }))
 *
 * @since 0.1.0
 * @category combinators
 */
export const user: {
  (user: User): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, user: User): Command<E, R>
} = internal.setter(spec.setUser)

/**
 * The name that the program finds as its argument 0.
 *
 * @example
 * import { Command } from "effect-process"
 *
 * // A shell whose name begins with - is a login shell
 * Command.make("bash").pipe(Command.argv0("-bash"))
 *
 * @since 0.1.0
 * @category combinators
 */
export const argv0: {
  (name: string): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, name: string): Command<E, R>
} = internal.setter((old, name) => spec.each(old, (stage) => ({ ...stage, argv0: name })))

/**
 * A terminal of its own for the job, 80 columns and 24 rows when nothing is said: its stdin, stdout and stderr are a
 * pseudo-terminal, so it prompts, colours and edits lines as for a person. What is written to `stdin` is typed, Ctrl-C
 * (`"\x03"`) and its like too; what it shows, what was typed and is echoed among it, comes out of `stdout`, with `\r\n` at the ends of
 * lines. `stderr` has nothing of its own.
 *
 * The end of the input is typed as Ctrl-D; a runner types it at once where it is given no input. What is sent elsewhere (a
 * file, `"ignore"`, a Sink for stderr) is not on the terminal; a Stream as stdin is typed, and a Sink for stdout takes what is
 * shown. Of a pipeline, the first stage reads the keyboard, and the last one and every stderr write the screen. A
 * reader that stops early hangs the terminal up (`SIGHUP`). `TERM` is what the environment says.
 *
 * Interactive shells ignore `SIGTERM`: end them with `Command.killSignal("SIGHUP")`. The engine on `node:child_process` has
 * no terminals and refuses with `Unsupported`.
 *
 * @example
 * import { Command } from "effect-process"
 *
 * // => "24 80\r\n"
 * Command.make("stty", "size").pipe(Command.terminal(), Command.string)
 *
 * @since 0.1.0
 * @category combinators
 */
export const terminal: {
  (options?: { readonly columns?: number; readonly rows?: number }): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, options?: { readonly columns?: number; readonly rows?: number }): Command<E, R>
} = dual(
  (args) => internal.isCommand(args[0]),
  <E, R>(self: Command<E, R>, options?: { readonly columns?: number; readonly rows?: number }): Command<E, R> =>
    internal.map(self, (old) => spec.setTerminal(old, options))
)

/**
 * A name for the job in logs and spans.
 *
 * @example
 * import { Command } from "effect-process"
 *
 * // The log says job=backup, whatever the command line is
 * Command.shell("pg_dump shop | gzip > shop.sql.gz").pipe(Command.label("backup"))
 *
 * @since 0.1.0
 * @category combinators
 */
export const label: {
  (name: string): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, name: string): Command<E, R>
} = internal.setter((old, name) => ({ ...old, settings: { ...old.settings, label: name } }))

/**
 * Hands the trace on to the child: the variable `TRACEPARENT` names the job's own span, so that spans of the child hang
 * below it. `TRACESTATE` of the owner's environment is handed on only where it belongs to the same trace. What `env` says of either
 * wins. Without a span (`Effect.withTracerEnabled(false)`) the environment stays as it is.
 *
 * Source: https://www.w3.org/TR/trace-context/ and https://opentelemetry.io/docs/specs/otel/context/env-carriers/
 *
 * @example
 * import { Command } from "effect-process"
 * import { Effect } from "effect"
 *
 * // Prints the like of 00-3c1cb1a6b3cc5c4bd1d4d8ba0a1cbf7d-1f7a1c0f2e1d3b4a-01
 * Command.make("printenv", "TRACEPARENT").pipe(Command.propagateTrace, Command.string, Effect.withSpan("release"))
 *
 * @since 0.1.0
 * @category combinators
 */
export const propagateTrace = <E, R>(self: Command<E, R>): Command<E, R> =>
  internal.map(self, (old) => spec.each(old, (stage) => ({ ...stage, traced: true })))

/**
 * Prints what a shell's `set -x` and `time` would, on stderr by the `Console` of the fiber: before the spawn `+` and the command,
 * quoted for a shell and with redacted values hidden, a line for each stage of a pipeline; when the job is empty the real, user
 * and system time as bash prints them. The real time is that until the last stage exited.
 *
 * @example
 * import { Command } from "effect-process"
 *
 * // + LANG=C grep -c 'two words' notes.txt
 * //
 * // real	0m0.003s
 * // user	0m0.001s
 * // sys	0m0.001s
 * Command.make("grep", "-c", "two words", "notes.txt").pipe(Command.env({ LANG: "C" }), Command.verbose, Command.string)
 *
 * @since 0.1.0
 * @category combinators
 */
export const verbose = <E, R>(self: Command<E, R>): Command<E, R> =>
  internal.map(self, (old) => ({ ...old, settings: { ...old.settings, verbose: true } }))
