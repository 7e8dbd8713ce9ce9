/**
 * Immutable descriptions of child processes. Building one runs nothing and never throws: bad input is kept, and the
 * spawn fails with a `SpawnError` of reason `InvalidArgument` that names it.
 *
 * @example
 * import { Command } from "effect-process"
 *
 * // => Effect<string, CommandError, ProcessSpawner>
 * const lastCommits = Command.make("git", "log", "--oneline", "-n", "5").pipe(
 *   Command.timeout("10 seconds"),
 *   Command.string
 * )
 *
 * @since 0.1.0
 */
import type * as PlatformCommand from "@effect/platform/Command"
import type { PlatformError } from "@effect/platform/Error"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import { dual } from "effect/Function"
import type { Inspectable } from "effect/Inspectable"
import type { Pipeable } from "effect/Pipeable"
import * as Redacted from "effect/Redacted"
import type * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type * as Types from "effect/Types"
import type { Limits, User } from "./Engine.ts"
import * as internal from "./internal/command.ts"
import * as platform from "./internal/platform.ts"
import { shellTemplate } from "./internal/quoting.ts"
import * as spec from "./internal/spec.ts"
import { scrub } from "./internal/text.ts"
import { fromTemplate, reveal, type Word, word } from "./internal/words.ts"
import type { Signal } from "./Signal.ts"
import type * as Stdio from "./Stdio.ts"

export * from "./CommandRunner.ts"

/**
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: TypeId = internal.TypeId

/**
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
 * @since 0.1.0
 * @category models
 */
export type TemplateScalar = string | number | Redacted.Redacted<string>

/**
 * Whether a value is a command.
 *
 * @since 0.1.0
 * @category guards
 */
export const isCommand: (u: unknown) => u is Command<unknown, unknown> = internal.isCommand

const isTemplate = (u: unknown): u is TemplateStringsArray => Array.isArray(u) && "raw" in u

const fromWords = (parsed: Either.Either<ReadonlyArray<Word>, string>): Command =>
  internal.make(
    Either.match(parsed, {
      onLeft: (problem) => spec.withProblem(spec.single([]), problem),
      onRight: spec.single
    })
  )

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
} = (first: string | TemplateStringsArray, ...rest: ReadonlyArray<TemplateValue>): Command => {
  if (isTemplate(first)) return fromWords(fromTemplate(first, rest))
  const all: ReadonlyArray<unknown> = [first, ...rest]
  const at = all.findIndex((value) => typeof value !== "string" && !Redacted.isRedacted(value))
  return fromWords(
    at < 0
      ? Either.right((all as ReadonlyArray<string | Redacted.Redacted<string>>).map(word))
      : Either.left(
        `${at === 0 ? "the command" : `argument ${at}`} is ${
          spec.show(all[at])
        } and no string; convert it with String()`
      )
  )
}

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
 * String(Command.shell`wc -l < ${file}`) // one argument of wc, whatever it holds
 *
 * @since 0.1.0
 * @category constructors
 */
export const shell: {
  (script: string): Command
  (strings: TemplateStringsArray, ...values: ReadonlyArray<TemplateValue>): Command
} = (first: string | TemplateStringsArray, ...values: ReadonlyArray<TemplateValue>): Command => {
  const script = isTemplate(first)
    ? shellTemplate(first, values)
    : typeof first === "string"
    ? Either.right(word(first))
    : Either.left(`the script is ${spec.show(first)}; write a string`)
  return fromWords(Either.map(script, (text) => {
    // What begins like an option would be read as one.
    const end = /^[-+]/.test(reveal(text)) ? [word("--")] : []
    return [word("/bin/sh"), word("-c"), ...end, text]
  }))
}

/**
 * A command as `@effect/platform` describes it, as one of ours. `uid` and `gid` go together. A Sink takes the output here, where it
 * transforms it there; `NodeCommandExecutor` runs such a command as it is meant.
 *
 * @example
 * import * as Platform from "@effect/platform/Command"
 * import { Command } from "effect-process"
 *
 * const platform = Platform.make("ls", "-l").pipe(Platform.pipeTo(Platform.make("wc", "-l")))
 *
 * String(Command.fromPlatform(platform)) // => "ls -l | wc -l"
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromPlatform = (command: PlatformCommand.Command): Command<PlatformError> =>
  internal.make(platform.from(command))

/**
 * What `toPlatform` may lose, by the name of the combinator. `arguments` are redacted ones, and bad input.
 *
 * @since 0.1.0
 * @category models
 */
export type Setting =
  | "arguments"
  | "env"
  | "stdin"
  | "stdout"
  | "stderr"
  | "fd"
  | "pipeTo"
  | "killSignal"
  | "gracePeriod"
  | "timeout"
  | "acceptExitCodes"
  | "maxOutput"
  | "limits"
  | "nice"
  | "umask"
  | "user"
  | "argv0"
  | "propagateTrace"
  | "label"
  | "verbose"
  | "terminal"

/**
 * A command that `@effect/platform` cannot describe: it says nothing of `settings`, of which there is at least one.
 *
 * @since 0.1.0
 * @category errors
 */
export class SettingsLost extends Data.TaggedError("SettingsLost")<{
  readonly command: string
  readonly settings: ReadonlyArray<Setting>
}> {
  override get message(): string {
    return `${this.command}: @effect/platform cannot say: ${this.settings.join(", ")}`
  }
}

/**
 * The same command as `@effect/platform` describes it, for a library that takes one of those; or what would be lost. An
 * `Either` is also an Effect.
 *
 * Redacted values are not revealed, Sinks (which transform an output there) are not handed over, and neither is a stdin that is
 * empty or a file. The runners of `@effect/platform` judge no status, so `acceptExitCodes("any")` is not lost.
 *
 * @example
 * import { Command } from "effect-process"
 * import { Either } from "effect"
 *
 * Either.isRight(Command.toPlatform(Command.make("ls").pipe(Command.workingDirectory("/tmp")))) // => true
 *
 * const limited = Command.make("make").pipe(Command.timeout("1 minute"), Command.nice(10))
 * Either.getLeft(Command.toPlatform(limited)) // => Some(SettingsLost { settings: ["nice", "timeout"] })
 *
 * @since 0.1.0
 * @category conversions
 */
export const toPlatform = <E extends PlatformError = never>(
  self: Command<E>
): Either.Either<PlatformCommand.Command, SettingsLost> =>
  Either.mapLeft(
    platform.to(internal.specOf(self)),
    (settings) => new SettingsLost({ command: internal.name(self), settings })
  )

/**
 * The text without the redacted arguments and variables of the command, for whoever shows what it printed.
 *
 * @example
 * import { Command } from "effect-process"
 * import { Redacted } from "effect"
 *
 * const login = Command.make("login").pipe(Command.env({ TOKEN: Redacted.make("s3cret") }))
 *
 * Command.hideRedacted(login, "token s3cret refused") // => "token <redacted> refused"
 *
 * @since 0.1.0
 * @category conversions
 */
export const hideRedacted: {
  (text: string): <E, R>(self: Command<E, R>) => string
  <E, R>(self: Command<E, R>, text: string): string
} = dual(
  2,
  <E, R>(self: Command<E, R>, text: string): string => scrub(text, spec.secretsOf(internal.specOf(self)))
)

/** Makes a combinator of one argument dual. */
const setter = <A>(set: (self: spec.Spec, value: A) => spec.Spec): {
  (value: A): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, value: A): Command<E, R>
} => dual(2, <E, R>(self: Command<E, R>, value: A): Command<E, R> => internal.map(self, (old) => set(old, value)))

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
  <E, R>(
    self: Command<E, R>,
    vars: Readonly<Record<string, string | Redacted.Redacted<string> | undefined>>,
    options?: { readonly extendEnv?: boolean }
  ): Command<E, R> => internal.map(self, (old) => spec.setEnv(old, vars, options))
)

/**
 * The directory in which the program starts; a relative one is below the owner's. A relative program path and relative
 * entries of PATH are looked up from there.
 *
 * @since 0.1.0
 * @category combinators
 */
export const workingDirectory: {
  (path: string): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, path: string): Command<E, R>
} = setter((old, path) => spec.each(old, (stage) => ({ ...stage, workingDirectory: path })))

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
} = dual(
  2,
  <E0, R0, E, R>(self: Command<E0, R0>, input: Stdin<E, R>): Command<E | E0, R | R0> =>
    internal.map<E | E0, R | R0>(self, (old) => spec.setStdin(old, input))
)

/**
 * The whole stdin of the child, given at once. A string is encoded as UTF-8.
 *
 * @since 0.1.0
 * @category combinators
 */
export const feed: {
  (input: string | Uint8Array): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, input: string | Uint8Array): Command<E, R>
} = setter((old, input) => spec.setStdin(old, Stream.make(input)))

/**
 * Where the child's stdout goes; a pipe when nothing is said. What is not piped is not captured. Of a pipeline it is the
 * last stage's.
 *
 * A Sink runs beside the command, with back-pressure. One that is done closes the pipe, as `head` does; one that fails ends
 * the job, and `exit` and every runner fail with its error. Two Sinks take the same output with `Sink.zip`.
 *
 * @example
 * import { Command } from "effect-process"
 * import { Sink } from "effect"
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
} = dual(
  2,
  <E0, R0, E, R>(self: Command<E0, R0>, output: Stdout<E, R>): Command<E | E0, R | R0> =>
    internal.map<E | E0, R | R0>(self, (old) => spec.setStdout(old, output))
)

/**
 * Where the child's stderr goes; a pipe when nothing is said. Of a pipeline it is that of every stage that does not pipe
 * its stderr on.
 *
 * @since 0.1.0
 * @category combinators
 */
export const stderr: {
  <E = never, R = never>(stderr: Stderr<E, R>): <E0, R0>(self: Command<E0, R0>) => Command<E | E0, R | R0>
  <E0, R0, E = never, R = never>(self: Command<E0, R0>, stderr: Stderr<E, R>): Command<E | E0, R | R0>
} = dual(
  2,
  <E0, R0, E, R>(self: Command<E0, R0>, output: Stderr<E, R>): Command<E | E0, R | R0> =>
    internal.map<E | E0, R | R0>(self, (old) => spec.setStderr(old, output))
)

/**
 * What a descriptor of the child from 3 on is: a Stream that the child reads, a Sink for what it writes, a file, or
 * `/dev/null`. The child has no others than these and 0 to 2. Streams and Sinks are treated as those of `stdin` and `stdout`.
 *
 * @example
 * import { Command } from "effect-process"
 * import { Stream } from "effect"
 *
 * // => "s3cret\n", and no other process can see it
 * Command.make("cat", "/dev/fd/3").pipe(Command.fd(3, Stream.make("s3cret\n")), Command.string)
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
  <E0, R0, E, R>(self: Command<E0, R0>, fd: number, to: Descriptor<E, R>): Command<E | E0, R | R0> =>
    internal.map<E | E0, R | R0>(self, (old) => spec.setDescriptor(old, fd, to))
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
  <E0, R0, E, R>(
    self: Command<E0, R0>,
    next: Command<E, R>,
    options?: { readonly from?: "stdout" | "stderr" | "all" }
  ): Command<E | E0, R | R0> =>
    internal.map<E | E0, R | R0>(self, (old) =>
      isCommand(next)
        ? spec.pipe(old, internal.specOf(next), options?.from ?? "stdout")
        : spec.withProblem(old, `pipeTo: ${spec.show(next)} is no command; write Command.make(program)`))
)

/**
 * The first signal of a termination; `SIGTERM` when nothing is said.
 *
 * @since 0.1.0
 * @category combinators
 */
export const killSignal: {
  (signal: Signal): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, signal: Signal): Command<E, R>
} = setter(spec.setKillSignal)

/**
 * The time from the first signal of a termination to `SIGKILL`; 5 seconds when nothing is said, a bare number is
 * milliseconds. It must be finite. A job that ends sooner is not waited for.
 *
 * @since 0.1.0
 * @category combinators
 */
export const gracePeriod: {
  (duration: Duration.DurationInput): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, duration: Duration.DurationInput): Command<E, R>
} = setter((old, duration) => spec.setDuration(old, "gracePeriod", duration))

/**
 * A deadline, from the spawn until the job is empty. When it passes, the job is terminated, and `exit` and every runner
 * fail with `TimedOut`, which holds what had been captured. A bare number is milliseconds.
 *
 * `Effect.timeout` interrupts instead, and returns after the release without the output.
 *
 * @since 0.1.0
 * @category combinators
 */
export const timeout: {
  (duration: Duration.DurationInput): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, duration: Duration.DurationInput): Command<E, R>
} = setter((old, duration) => spec.setDuration(old, "timeout", duration))

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
  (args) => isCommand(args[0]),
  <E, R>(self: Command<E, R>, ...codes: ReadonlyArray<number | "any">): Command<E, R> =>
    internal.map(self, (old) => spec.setAccepted(old, codes))
)

/**
 * How many bytes a runner captures of each stream; 100 MiB when nothing is said. A command that writes more is
 * terminated, and the runner fails with `OutputLimitExceeded`. Streams are not bounded by it.
 *
 * @since 0.1.0
 * @category combinators
 */
export const maxOutput: {
  (bytes: number): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, bytes: number): Command<E, R>
} = setter(spec.setMaxOutput)

/**
 * Resource limits of the program, soft and hard. A second call merges. Source: setrlimit(2).
 *
 * @since 0.1.0
 * @category combinators
 */
export const limits: {
  (limits: Limits): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, limits: Limits): Command<E, R>
} = setter(spec.setLimits)

/**
 * The scheduling priority, from -20 (first) to 19 (last). Source: nice(2).
 *
 * @since 0.1.0
 * @category combinators
 */
export const nice: {
  (nice: number): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, nice: number): Command<E, R>
} = setter(spec.setNice)

/**
 * The permissions that files made by the program, or for its redirections, do not get. Source: umask(2).
 *
 * @since 0.1.0
 * @category combinators
 */
export const umask: {
  (mode: number): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, mode: number): Command<E, R>
} = setter(spec.setUmask)

/**
 * Whom the program runs as, which takes privileges. A different user is the only boundary that a hostile child cannot
 * cross: with the owner's own uid it can signal and trace the owner. Source: credentials(7).
 *
 * @since 0.1.0
 * @category combinators
 */
export const user: {
  (user: User): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, user: User): Command<E, R>
} = setter(spec.setUser)

/**
 * The name that the program finds as its argument 0.
 *
 * @since 0.1.0
 * @category combinators
 */
export const argv0: {
  (name: string): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, name: string): Command<E, R>
} = setter((old, name) => spec.each(old, (stage) => ({ ...stage, argv0: name })))

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
  (args) => isCommand(args[0]),
  <E, R>(self: Command<E, R>, options?: { readonly columns?: number; readonly rows?: number }): Command<E, R> =>
    internal.map(self, (old) => spec.setTerminal(old, options))
)

/**
 * A name for the job in logs and spans.
 *
 * @since 0.1.0
 * @category combinators
 */
export const label: {
  (name: string): <E, R>(self: Command<E, R>) => Command<E, R>
  <E, R>(self: Command<E, R>, name: string): Command<E, R>
} = setter((old, name) => ({ ...old, settings: { ...old.settings, label: name } }))

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
 * // => "00-3c1cb1a6b3cc5c4bd1d4d8ba0a1cbf7d-1f7a1c0f2e1d3b4a-01\n", or the like
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
