/**
 * Immutable descriptions of child processes. Building one runs nothing and never throws: bad input is kept, and the
 * spawn fails with a `SpawnError` of reason `InvalidArgument` that names it.
 *
 * @example
 * import { Command } from "effect-process"
 *
 * // An Effect<string, CommandError, ProcessSpawner>
 * const lastCommits = Command.make("git", "log", "--oneline", "-n", "5").pipe(
 *   Command.timeout("10 seconds"),
 *   Command.string
 * )
 *
 * @since 0.1.0
 */
import { dual } from "effect/Function"
import type { Inspectable } from "effect/Inspectable"
import type { Pipeable } from "effect/Pipeable"
import type * as Redacted from "effect/Redacted"
import type * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type * as Types from "effect/Types"
import * as internal from "./internal/command.ts"
import * as constructors from "./internal/constructors.ts"
import * as spec from "./internal/spec.ts"
import { scrub } from "./internal/text.ts"
import type * as Stdio from "./Stdio.ts"

export * from "./CommandPlatform.ts"
export * from "./CommandRunner.ts"
export * from "./CommandSettings.ts"

/**
 * By this key a value is known as a command.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: TypeId = internal.TypeId

/**
 * The type of the key of commands.
 *
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof internal.TypeId

/**
 * What to run and how. `E` and `R` are those of the Streams that feed it and of its Sinks. Printing it shows the command line, with
 * redacted values hidden.
 *
 * @since 0.1.0
 * @category models
 */
export interface Command<out E = never, out R = never> extends Pipeable, Inspectable {
  readonly [TypeId]: { readonly _E: Types.Covariant<E>; readonly _R: Types.Covariant<R> }
}

/**
 * What a child reads: a pipe that the handle's `stdin` writes, the owner's own stdin, nothing (`/dev/null`), a file, or a
 * Stream, whose strings are encoded as UTF-8.
 *
 * @since 0.1.0
 * @category models
 */
export type Stdin<E = never, R = never> = Stdio.Input<E, R>

/**
 * Where a child writes: a pipe, the owner's own stream, nowhere (`/dev/null`), a file, or a Sink.
 *
 * @since 0.1.0
 * @category models
 */
export type Stdout<E = never, R = never> = Stdio.Output<E, R>

/**
 * As `Stdout`, and `Stdio.toStdout`.
 *
 * @since 0.1.0
 * @category models
 */
export type Stderr<E = never, R = never> = Stdio.Output<E, R> | Stdio.ToStdout

/**
 * A value in a `Command.make` or `Command.shell` template. An array is as many words.
 *
 * @since 0.1.0
 * @category models
 */
export type TemplateValue = TemplateScalar | ReadonlyArray<TemplateScalar>

/**
 * One value of a template. A number is written as `String` writes it; a redacted one is hidden in all that this library shows.
 *
 * @since 0.1.0
 * @category models
 */
export type TemplateScalar = string | number | Redacted.Redacted<string>

/**
 * Whether a value is a command.
 *
 * @example
 * import { Command } from "effect-process"
 *
 * Command.isCommand(Command.make("ls")) // => true
 * Command.isCommand("ls") // => false
 *
 * @since 0.1.0
 * @category guards
 */
export const isCommand: (u: unknown) => u is Command<unknown, unknown> = internal.isCommand

/**
 * A program and its arguments, each handed on as it is: no shell sees them.
 *
 * In the template form white space splits the literal text only, and quotes mean nothing in it. A value (string, number,
 * Redacted, or an array of these) is an argument whatever it holds; one that touches text joins it; an array is as many
 * arguments, an empty one none, an empty string one. An array that touches text is refused.
 *
 * A redacted argument is hidden in all that this library shows. The kernel's process table still shows it to every user
 * of the machine (proc_pid_cmdline(5)): hand secrets over by `env` or stdin. A lone surrogate, which has no UTF-8 form,
 * arrives as U+FFFD.
 *
 * @example
 * import { Command } from "effect-process"
 *
 * const paths = ["src", "my docs"]
 *
 * String(Command.make("ls", "-l", ...paths)) // => "ls -l src 'my docs'"
 * String(Command.make`ls -l --width=${80} ${paths}`) // => "ls -l --width=80 src 'my docs'"
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: {
  (strings: TemplateStringsArray, ...values: ReadonlyArray<TemplateValue>): Command
  (file: string, ...args: ReadonlyArray<string | Redacted.Redacted<string>>): Command
} = constructors.make

/**
 * A script for `/bin/sh -c`. In the template form each value becomes one quoted word, an array as many; a value in a place
 * where quoting cannot protect it (inside quotes, backquotes, a here-document, a comment, an arithmetic or parameter
 * expansion) is refused with `InvalidArgument`. A plain string is the script as it stands.
 *
 * Quoting protects a word from the shell that reads this script, not from a second one: `eval ${x}` and `sh -c ${x}` run
 * what x says.
 *
 * @example
 * import { Command } from "effect-process"
 *
 * const file = "it's here; rm -rf *"
 * // One word, whatever it holds
 * const program = Command.shell`printf %s ${file}`.pipe(Command.string) // => "it's here; rm -rf *"
 *
 * @since 0.1.0
 * @category constructors
 */
export const shell: {
  (script: string): Command
  (strings: TemplateStringsArray, ...values: ReadonlyArray<TemplateValue>): Command
} = constructors.shell

/**
 * Adds variables to the owner's environment, which is read at each spawn. `undefined` removes one; a redacted value is
 * hidden in all that this library shows. A second call merges. With `extendEnv: false` the child gets these alone (and the
 * mark `EFFECT_PROCESS_OWNER`, see `NodeProcess`).
 *
 * @example
 * import { Command } from "effect-process"
 * import { Redacted } from "effect"
 *
 * Command.make("psql").pipe(Command.env({ PGPASSWORD: Redacted.make("s3cret"), PGUSER: undefined }))
 *
 * @since 0.1.0
 * @category combinators
 */
export const env: {
  (
    vars: Readonly<Record<string, string | Redacted.Redacted<string> | undefined>>,
    options?: { readonly extendEnv?: boolean }
  ): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(
    self: Command<E, R>,
    vars: Readonly<Record<string, string | Redacted.Redacted<string> | undefined>>,
    options?: { readonly extendEnv?: boolean }
  ): Command<E, R>
} = dual(
  (args) => isCommand(args[0]),
  (
    self: Command<unknown, unknown>,
    vars: Parameters<typeof spec.setEnv>[1],
    options?: { readonly extendEnv?: boolean }
  ) => internal.map(self, (old) => spec.setEnv(old, vars, options))
)

/**
 * The directory in which the program starts; a relative one is below the owner's. A relative program path and relative
 * entries of PATH are looked up from there.
 *
 * @example
 * import { Command } from "effect-process"
 *
 * const program = Command.make("pwd").pipe(Command.workingDirectory("/"), Command.string) // => "/\n"
 *
 * @since 0.1.0
 * @category combinators
 */
export const workingDirectory: {
  (path: string): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, path: string): Command<E, R>
} = internal.setter((old, path) => spec.each(old, (stage) => ({ ...stage, workingDirectory: path })))

/**
 * What the child reads. Without it a runner gives an empty stdin, `start` a pipe.
 *
 * The child sees the end of file only when a Stream ended successfully. When it fails, the job is terminated with its stdin
 * still open, and `exit` and every runner fail with the Stream's error: `gzip > f.tmp && mv f.tmp f` never commits half a
 * file. A child that stops reading ends the Stream early, which is no error.
 *
 * @example
 * import { Command } from "effect-process"
 * import { Stream } from "effect"
 *
 * // => "B\nA\n"
 * Command.make("sort", "-r").pipe(Command.stdin(Stream.make("A\n", "B\n")), Command.string)
 *
 * @since 0.1.0
 * @category combinators
 */
export const stdin: {
  <E = never, R = never>(stdin: Stdin<E, R>): <E0, R0>(self: Command<E0, R0>) => Command<E | E0, R | R0>
  <E0, R0, E = never, R = never>(self: Command<E0, R0>, stdin: Stdin<E, R>): Command<E | E0, R | R0>
} = dual(2, internal.changing(spec.setStdin))

/**
 * The whole stdin of the child, given at once. A string is encoded as UTF-8.
 *
 * @example
 * import { Command } from "effect-process"
 *
 * const program = Command.make("wc", "-c").pipe(Command.feed("hello"), Command.lines) // => ["5"]
 *
 * @since 0.1.0
 * @category combinators
 */
export const feed: {
  (input: string | Uint8Array): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, input: string | Uint8Array): Command<E, R>
} = internal.setter((old, input) => spec.setStdin(old, Stream.make(input)))

/**
 * Where the child's stdout goes; a pipe when nothing is said. What is not piped is not captured. Of a pipeline it is the
 * last stage's.
 *
 * A Sink runs beside the command, with back-pressure. One that is done closes the pipe, as `head` does; one that fails ends
 * the job, and `exit` and every runner fail with its error. Two Sinks take the same output with `Sink.zip`.
 *
 * @example
 * import { Command } from "effect-process"
 * import { Effect, Sink } from "effect"
 *
 * const size = Sink.foldLeft(0, (n: number, bytes: Uint8Array) => n + bytes.length)
 * const log = Sink.forEach((bytes: Uint8Array) => Effect.log(bytes.length))
 *
 * Command.make("make").pipe(Command.stdout(Sink.zip(size, log, { concurrent: true })), Command.run)
 *
 * @since 0.1.0
 * @category combinators
 */
export const stdout: {
  <E = never, R = never>(stdout: Stdout<E, R>): <E0, R0>(self: Command<E0, R0>) => Command<E | E0, R | R0>
  <E0, R0, E = never, R = never>(self: Command<E0, R0>, stdout: Stdout<E, R>): Command<E | E0, R | R0>
} = dual(2, internal.changing(spec.setStdout))

/**
 * Where the child's stderr goes; a pipe when nothing is said. Of a pipeline it is that of every stage that does not pipe
 * its stderr on.
 *
 * @example
 * import { Command } from "effect-process"
 *
 * const program = Command.shell("echo made; echo said >&2").pipe(Command.stderr("ignore"), Command.string) // => "made\n"
 *
 * @since 0.1.0
 * @category combinators
 */
export const stderr: {
  <E = never, R = never>(stderr: Stderr<E, R>): <E0, R0>(self: Command<E0, R0>) => Command<E | E0, R | R0>
  <E0, R0, E = never, R = never>(self: Command<E0, R0>, stderr: Stderr<E, R>): Command<E | E0, R | R0>
} = dual(2, internal.changing(spec.setStderr))

/**
 * What a descriptor of the child from 3 on is: a Stream that the child reads, a Sink for what it writes, a file, or
 * `/dev/null`. The child has no others than these and 0 to 2. Streams and Sinks are treated as those of `stdin` and `stdout`.
 *
 * @example
 * import { Command } from "effect-process"
 * import { Stream } from "effect"
 *
 * // No other process can see it
 * Command.make("cat", "/dev/fd/3").pipe(Command.fd(3, Stream.make("s3cret\n")), Command.string) // => "s3cret\n"
 *
 * @since 0.1.0
 * @category combinators
 */
export const fd: {
  <E = never, R = never>(
    fd: number,
    to: Descriptor<E, R>
  ): <E0, R0>(self: Command<E0, R0>) => Command<E | E0, R | R0>
  <E0, R0, E = never, R = never>(self: Command<E0, R0>, fd: number, to: Descriptor<E, R>): Command<E | E0, R | R0>
} = dual(
  3,
  (self: Command<unknown, unknown>, fd: number, to: Descriptor<unknown, unknown>): Command =>
    internal.map(self, (old) => spec.setDescriptor(old, fd, to))
)

/**
 * What `fd` takes.
 *
 * @since 0.1.0
 * @category models
 */
export type Descriptor<E = never, R = never> =
  | "ignore"
  | Stdio.File
  | Stream.Stream<Uint8Array | string, E, R>
  | Sink.Sink<unknown, Uint8Array, unknown, E, R>

/**
 * A pipeline: what the command writes is the stdin of the next one, through a pipe of the kernel. Its stages are one job in
 * one process group, and each keeps what it was given: environment, directory, user, limits, redirections. `from` says
 * what is piped on: `stdout` when nothing is said, `stderr` (the stdout then goes where that of the pipeline goes), or `all`,
 * both in the order in which they are written. A stage's own redirection wins over the pipe, as in a shell.
 *
 * A combinator applied to a pipeline applies to every stage; `stdin` and `feed` to the first, `stdout` to the last, `stderr`
 * to those that do not pipe theirs on. `timeout`, `gracePeriod`, `killSignal`, `maxOutput`, `terminal` and `label` are the whole job's: those
 * of the left-most stage that has one.
 *
 * A pipeline fails when any stage does (pipefail), and the error is that of the last one that did. A stage that dies of SIGPIPE
 * because its reader ended first, or closed the pipe, has not failed.
 *
 * @example
 * import { Command } from "effect-process"
 *
 * const top = Command.make("cut", "-d:", "-f7", "/etc/passwd").pipe(
 *   Command.pipeTo(Command.make("sort")),
 *   Command.pipeTo(Command.make("uniq", "-c")),
 *   Command.lines
 * )
 *
 * @since 0.1.0
 * @category combinators
 */
export const pipeTo: {
  <E, R>(
    next: Command<E, R>,
    options?: { readonly from?: "stdout" | "stderr" | "all" }
  ): <E0, R0>(self: Command<E0, R0>) => Command<E | E0, R | R0>
  <E0, R0, E, R>(
    self: Command<E0, R0>,
    next: Command<E, R>,
    options?: { readonly from?: "stdout" | "stderr" | "all" }
  ): Command<E | E0, R | R0>
} = dual(
  // Options are an object or left out; whatever else comes second is meant to be the next command.
  (args) => isCommand(args[0]) && args[1] !== undefined && (isCommand(args[1]) || !spec.isObject(args[1])),
  (
    self: Command<unknown, unknown>,
    next: Command<unknown, unknown>,
    options?: { readonly from?: "stdout" | "stderr" | "all" }
  ): Command =>
    internal.map(self, (old) =>
      isCommand(next)
        ? spec.pipe(old, internal.specOf(next), options?.from ?? "stdout")
        : spec.withProblem(old, `pipeTo: ${spec.show(next)} is no command; write Command.make(program)`))
)

/**
 * A text without what the command was given as `Redacted`, for showing what the command printed. Errors and logs of this library
 * do so by themselves.
 *
 * @example
 * import { Redacted } from "effect"
 * import { Command } from "effect-process"
 *
 * const login = Command.make("login", "--token", Redacted.make("s3cret"))
 *
 * Command.redact(login, "the token s3cret has expired") // => "the token <redacted> has expired"
 *
 * @since 0.1.0
 * @category getters
 */
export const redact: {
  (text: string): <E, R>(self: Command<E, R>) => string
  <E, R>(self: Command<E, R>, text: string): string
} = dual(2, <E, R>(self: Command<E, R>, text: string): string => scrub(text, spec.secretsOf(internal.specOf(self))))
