/** What fails of a running process: its pipes, its terminal, signals to it. Programs import them from `CommandError`. */
import * as Data from "effect/Data"

const pipeProblem = (
  name: string,
  { command, errno, reason }: {
    readonly command: string
    readonly errno: string | undefined
    readonly reason: "Io" | "AlreadyUsed" | "NotPiped"
  }
): string => {
  switch (reason) {
    case "Io":
      return `${command}: ${name}: input or output error (${errno ?? "unknown"})`
    case "AlreadyUsed":
      return `${command}: ${name}: already used; a stream of a process is used once, ` +
        "share it with Stream.broadcast or feed it from a Queue"
    case "NotPiped":
      return `${command}: ${name}: not a pipe; the command sends it elsewhere: leave that out, or say "pipe"`
  }
}

/**
 * Writing to stdin failed. A child that stops reading (EPIPE) is not an error.
 *
 * - `Io`: the system refused; `errno` says why
 * - `AlreadyUsed`: stdin was run once, and its end has closed it; feed a conversation from a `Queue`
 * - `NotPiped`: the command sends stdin elsewhere
 *
 * @example
 * import { Effect, Stream } from "effect"
 * import { Command } from "effect-process"
 *
 * const program = Effect.gen(function*() {
 *   const sorted = yield* Command.start(Command.make("sort").pipe(Command.stdin("ignore")))
 *   return yield* Stream.run(Stream.empty, sorted.stdin)
 * }).pipe(
 *   Effect.scoped,
 *   Effect.catchTag("StdinError", ({ reason }) => Effect.succeed(reason))
 * ) // => "NotPiped"
 *
 * @since 0.1.0
 * @category errors
 */
export class StdinError extends Data.TaggedError("StdinError")<{
  readonly command: string
  readonly reason: "Io" | "AlreadyUsed" | "NotPiped"
  readonly errno: string | undefined
}> {
  override get message(): string {
    return pipeProblem("stdin", this)
  }
}

/**
 * The terminal of a process cannot be changed: it has none, or the size is none. `detail` says how to mend it.
 *
 * @example
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * const program = Effect.gen(function*() {
 *   const job = yield* Command.start(Command.make("sleep", "60"))
 *   yield* job.resize(132, 50)
 * }).pipe(
 *   Effect.scoped,
 *   Effect.catchTag("TerminalError", ({ reason }) => Effect.succeed(reason))
 * ) // => "NoTerminal"
 *
 * @since 0.1.0
 * @category errors
 */
export class TerminalError extends Data.TaggedError("TerminalError")<{
  readonly command: string
  readonly reason: "NoTerminal" | "InvalidSize"
  readonly detail: string
}> {
  override get message(): string {
    return `${this.command}: ${this.reason}: ${this.detail}`
  }
}

/**
 * Reading what a command writes failed. The reasons are those of `StdinError`.
 *
 * @example
 * import { Effect, Stream } from "effect"
 * import { Command } from "effect-process"
 *
 * const program = Effect.gen(function*() {
 *   const job = yield* Command.start(Command.make("echo", "hi"))
 *   yield* Stream.runDrain(job.stdout)
 *   return yield* Stream.runDrain(job.stdout)
 * }).pipe(
 *   Effect.scoped,
 *   Effect.catchTag("OutputError", ({ reason, stream }) => Effect.succeed([stream, reason]))
 * ) // => ["stdout", "AlreadyUsed"]
 *
 * @since 0.1.0
 * @category errors
 */
export class OutputError extends Data.TaggedError("OutputError")<{
  readonly command: string
  readonly stream: "stdout" | "stderr" | `descriptor ${number}`
  readonly reason: "Io" | "AlreadyUsed" | "NotPiped"
  readonly errno: string | undefined
}> {
  override get message(): string {
    return pipeProblem(this.stream, this)
  }
}

/**
 * A signal found nobody: the process or its group has ended.
 *
 * @example
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * const program = Effect.gen(function*() {
 *   const job = yield* Command.start(Command.make("true"))
 *   yield* job.empty
 *   yield* job.signal("SIGHUP")
 * }).pipe(
 *   Effect.scoped,
 *   Effect.catchTag("ProcessGone", () => Effect.succeed("it has ended"))
 * ) // => "it has ended"
 *
 * @since 0.1.0
 * @category errors
 */
export class ProcessGone extends Data.TaggedError("ProcessGone")<{
  readonly command: string
  readonly pids: ReadonlyArray<number>
  readonly state: string
}> {
  override get message(): string {
    return `${this.command}: ${this.state} (pid ${this.pids.join(", ")})`
  }
}

/**
 * Processes are left that did not end within the kill bound after `SIGKILL`: another user's, in uninterruptible sleep,
 * or held by a tracer. `state` says what they are in, by pid.
 *
 * @example
 * import { Effect } from "effect"
 * import { type Process } from "effect-process"
 *
 * const stop = (job: Process.Process) =>
 *   job.terminate().pipe(
 *     Effect.catchTag("Unkillable", ({ pids, state }) => Effect.logError(`left: ${pids.join(", ")} (${state})`))
 *   )
 *
 * @since 0.1.0
 * @category errors
 */
export class Unkillable extends Data.TaggedError("Unkillable")<{
  readonly command: string
  readonly pids: ReadonlyArray<number>
  readonly state: string
}> {
  override get message(): string {
    return `${this.command}: could not be killed: ${this.state}`
  }
}
