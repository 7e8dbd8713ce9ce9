/**
 * The ways in which a command fails. Each error names the command as a user would type it, with redacted values
 * hidden; `message` is one line; messages, JSON and inspection show the ends of outputs only.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import type * as ParseResult from "effect/ParseResult"
import type { StageResult } from "./CommandResult.ts"
import type { SpawnReason, SpawnStage } from "./Engine.ts"
import type { ExitStatus } from "./ExitStatus.ts"
import type { OutputError, StdinError } from "./internal/handleErrors.ts"
import { lastLine } from "./internal/text.ts"
import type { Signal } from "./Signal.ts"

export * from "./internal/handleErrors.ts"

const because = (text: string): string => text === "" ? "" : `: ${text}`

/**
 * The command was not started, and nothing is left of the attempt.
 *
 * - `reason`: what a program matches on
 * - `stage`: the step that failed; `validate` is before anything was forked
 * - `errno`: the name of errno(3), where the system gave one
 * - `path`: the file or directory at fault
 * - `detail`: what is wrong and how to mend it
 *
 * @example
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * const program = Command.run(Command.make("no-such-program")).pipe(
 *   Effect.catchTag("SpawnError", ({ errno, reason }) => Effect.succeed([reason, errno]))
 * ) // => ["NotFound", "ENOENT"]
 *
 * @since 0.1.0
 * @category errors
 */
export class SpawnError extends Data.TaggedError("SpawnError")<{
  readonly command: string
  readonly reason: SpawnReason
  readonly stage: SpawnStage
  readonly errno: string | undefined
  readonly path: string | undefined
  readonly detail: string
}> {
  override get message(): string {
    return `${this.command}: ${this.reason}: ${this.detail}${this.errno === undefined ? "" : ` (${this.errno})`}`
  }
}

/**
 * What the errors of a command that ran have in common.
 *
 * - `exit`: of the stage that failed. Undefined only when a process could not be killed, so that it has none
 * - `stages`: how each stage ended
 * - `duration`: from the spawn to the last exit
 * - `stdoutTail`, `stderrTail`: the last 8 KiB of each
 * - `stdout`: all that the runner had captured
 *
 * @since 0.1.0
 * @category models
 */
export interface Ended<Exit = ExitStatus> {
  readonly command: string
  readonly exit: Exit
  readonly stages: ReadonlyArray<StageResult>
  readonly duration: Duration.Duration
  readonly stdoutTail: string
  readonly stderrTail: string
  readonly stdout: Uint8Array
}

/** What may be large or secret stays readable and out of JSON and inspection. */
const hide = <K extends PropertyKey>(self: Error & { readonly [key in K]: unknown }, key: K): void => {
  Object.defineProperties(self, {
    [key]: { value: self[key], enumerable: false },
    // That of `Data.TaggedError` shows all that the constructor was given.
    toJSON: { value: () => ({ ...self, message: self.message }), enumerable: false }
  })
}

/**
 * The command returned a code that `Command.acceptExitCodes` does not list.
 *
 * @example
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * const program = Command.run(Command.shell("echo no disk left >&2; exit 3")).pipe(
 *   Effect.catchTag("NonZeroExit", ({ exitCode, stderrTail }) => Effect.succeed([exitCode, stderrTail]))
 * ) // => [3, "no disk left\n"]
 *
 * @since 0.1.0
 * @category errors
 */
export class NonZeroExit extends Data.TaggedError("NonZeroExit")<Ended & { readonly exitCode: number }> {
  constructor(fields: Ended & { readonly exitCode: number }) {
    super(fields)
    hide(this, "stdout")
  }
  override get message(): string {
    return `${this.command}: exit code ${this.exitCode}${because(lastLine(this.stderrTail))}`
  }
}

/**
 * A signal ended the command.
 *
 * @example
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * const program = Command.run(Command.shell("kill -USR1 $$")).pipe(
 *   Effect.catchTag("Signaled", ({ signal }) => Effect.succeed(signal))
 * ) // => "SIGUSR1"
 *
 * @since 0.1.0
 * @category errors
 */
export class Signaled extends Data.TaggedError("Signaled")<
  Ended & { readonly signal: Signal; readonly coreDumped: boolean }
> {
  constructor(fields: Ended & { readonly signal: Signal; readonly coreDumped: boolean }) {
    super(fields)
    hide(this, "stdout")
  }
  override get message(): string {
    const core = this.coreDumped ? " (core dumped)" : ""
    return `${this.command}: killed by ${this.signal}${core}${because(lastLine(this.stderrTail))}`
  }
}

/**
 * The deadline of `Command.timeout` passed before the job was empty. `after` is that time.
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
 * @category errors
 */
export class TimedOut extends Data.TaggedError("TimedOut")<
  Ended<ExitStatus | undefined> & { readonly after: Duration.Duration }
> {
  constructor(fields: Ended<ExitStatus | undefined> & { readonly after: Duration.Duration }) {
    super(fields)
    hide(this, "stdout")
  }
  override get message(): string {
    return `${this.command}: timed out after ${Duration.format(this.after)}${because(lastLine(this.stderrTail))}`
  }
}

/**
 * The command wrote more than `Command.maxOutput` lets a runner capture. `limit` is in bytes; `stdout` holds what fits.
 *
 * @example
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * const program = Command.make("yes").pipe(
 *   Command.maxOutput(4),
 *   Command.run,
 *   Effect.catchTag("OutputLimitExceeded", ({ stdout }) => Effect.succeed(new TextDecoder().decode(stdout)))
 * ) // => "y\ny\n"
 *
 * @since 0.1.0
 * @category errors
 */
export class OutputLimitExceeded extends Data.TaggedError("OutputLimitExceeded")<
  Ended<ExitStatus | undefined> & { readonly limit: number; readonly stream: "stdout" | "stderr" }
> {
  constructor(
    fields: Ended<ExitStatus | undefined> & { readonly limit: number; readonly stream: "stdout" | "stderr" }
  ) {
    super(fields)
    hide(this, "stdout")
  }
  override get message(): string {
    return `${this.command}: ${this.stream} exceeds ${this.limit} bytes; raise Command.maxOutput, or read it with ` +
      "Command.stream"
  }
}

/**
 * The output is not what the schema of `Command.json` describes. `detail` says where it departs, in one line; `issue`
 * says it whole and holds the output, so it is not shown in JSON and inspection.
 *
 * @example
 * import { Effect, Schema } from "effect"
 * import { Command } from "effect-process"
 *
 * const Status = Schema.Struct({ port: Schema.Number })
 *
 * const program = Command.make("echo", `{"port":"none"}`).pipe(
 *   Command.json(Status),
 *   Effect.catchTag("InvalidOutput", ({ stdoutTail }) => Effect.succeed(stdoutTail))
 * ) // => `{"port":"none"}\n`
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidOutput extends Data.TaggedError("InvalidOutput")<{
  readonly command: string
  readonly issue: ParseResult.ParseIssue
  readonly detail: string
  readonly stdoutTail: string
}> {
  constructor(fields: {
    readonly command: string
    readonly issue: ParseResult.ParseIssue
    readonly detail: string
    readonly stdoutTail: string
  }) {
    super(fields)
    hide(this, "issue")
  }
  override get message(): string {
    return `${this.command}: its output departs from the schema: ${this.detail}`
  }
}

/**
 * A server was not ready in time, or ended before it was. It has been ended when this is told.
 *
 * - `readiness`: what was waited for
 * - `after`: the time from the start
 * - `exit`: how the server ended by itself; undefined when it was still running, or was not started
 * - `detail`: why it is given up, and what is still missing
 * - `stdoutTail`, `stderrTail`: the last 8 KiB of each
 *
 * @example
 * import { Effect } from "effect"
 * import { Command, Readiness } from "effect-process"
 *
 * const server = Command.shell("echo no licence >&2; exit 1")
 *
 * const program = Effect.scoped(Command.startReady(server, Readiness.line(/ready/))).pipe(
 *   Effect.catchTag("NotReady", ({ exit, stderrTail }) => Effect.succeed([String(exit), stderrTail]))
 * ) // => ["exit code 1", "no licence\n"]
 *
 * @since 0.1.0
 * @category errors
 */
export class NotReady extends Data.TaggedError("NotReady")<{
  readonly command: string
  readonly readiness: string
  readonly after: Duration.Duration
  readonly exit: ExitStatus | undefined
  readonly detail: string
  readonly stdoutTail: string
  readonly stderrTail: string
}> {
  override get message(): string {
    return `${this.command}: not ready: ${this.detail}${
      because(lastLine(this.stderrTail) || lastLine(this.stdoutTail))
    }`
  }
}

/**
 * The spawn server is gone. What it ran has been ended; `lost` says what that was. A later spawn starts a new server.
 *
 * @example
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * // What may be done twice is done again, on another server.
 * const read = Command.string(Command.make("uname")).pipe(
 *   Effect.retry({ while: ({ _tag }) => _tag === "SpawnServerLost", times: 1 })
 * )
 *
 * @since 0.1.0
 * @category errors
 */
export class SpawnServerLost extends Data.TaggedError("SpawnServerLost")<{ readonly lost: string }> {
  override get message(): string {
    return `the spawn server is gone, and with it ${this.lost}`
  }
}

/**
 * An engine does not run here.
 *
 * @example
 * import { NodeProcess } from "@effect-process/node"
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * const program = Command.string(Command.make("echo", "hi")).pipe(
 *   Effect.provide(NodeProcess.layerSpawnServerWith({ binary: "/nowhere/effect-process-spawn-server" })),
 *   Effect.catchTag("EngineUnavailable", ({ engine }) => Effect.succeed(engine))
 * ) // => "spawn-server"
 *
 * @since 0.1.0
 * @category errors
 */
export class EngineUnavailable extends Data.TaggedError("EngineUnavailable")<{
  readonly engine: string
  readonly reason: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `the ${this.engine} engine is unavailable: ${this.reason}`
  }
}

/**
 * What a runner fails with.
 *
 * @since 0.1.0
 * @category models
 */
export type CommandError =
  | SpawnError
  | NonZeroExit
  | Signaled
  | TimedOut
  | OutputLimitExceeded
  | StdinError
  | OutputError
  | SpawnServerLost
