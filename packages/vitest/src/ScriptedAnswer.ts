/**
 * What a scripted command does: what it prints and when, how it ends, what it does with its stdin and with signals.
 * `ScriptedSpawner` exports all of this.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { ExitStatus, Signal } from "effect-process"
import type { SpawnReason, SpawnStage } from "effect-process/Engine"

/**
 * A command as a rule sees it, with everything resolved: secrets revealed, the environment complete. Do not print it where
 * secrets matter.
 *
 * - `stage`, `stages`: which command of a pipeline, counted from 0, and of how many
 *
 * @since 0.1.0
 * @category models
 */
export interface Invocation {
  readonly file: string
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
  readonly workingDirectory: string | undefined
  readonly stage: number
  readonly stages: number
}

/**
 * An invocation with its whole stdin. `stdinText` is the same decoded as UTF-8.
 *
 * @since 0.1.0
 * @category models
 */
export interface Received extends Invocation {
  readonly stdin: Uint8Array
  readonly stdinText: string
}

/**
 * A piece of output, `after` this much time since the piece before it in the same stream, or since the spawn. The time is
 * that of the spawner's clock: a `TestClock` moves it. A bare number is milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Chunk {
  readonly after?: Duration.DurationInput
  readonly data: string | Uint8Array
}

/**
 * What goes to one stream: all at once, or in pieces.
 *
 * @since 0.1.0
 * @category models
 */
export type Printed = string | Uint8Array | ReadonlyArray<string | Uint8Array | Chunk>

/**
 * A signal that a program can catch; `SIGKILL` and `SIGSTOP` it cannot. Source: signal(7).
 *
 * @since 0.1.0
 * @category models
 */
export type CatchableSignal = Exclude<Signal.Signal, "SIGKILL" | "SIGSTOP">

/**
 * What a program does when it catches a signal: nothing, or it prints something, takes its time, and exits where `exit` is
 * given. Without `exit` it goes on.
 *
 * @since 0.1.0
 * @category models
 */
export type Reaction = "ignore" | {
  readonly stdout?: string | Uint8Array
  readonly stderr?: string | Uint8Array
  readonly takes?: Duration.DurationInput
  readonly exit?: number
}

/**
 * What programs that start have in common.
 *
 * - `stdout`, `stderr`, `descriptors`: what is printed, to the last by number; one does not wait for the other
 * - `takes`: the time that the program runs at least
 * - `stdin`: `read` (also when nothing is said): reads it, and does not end before it ends, where that is a Stream of the
 *   command, a file or the stage before; the stdin of a handle is read for as long as the program runs. `leave`: never reads
 * - `signals`: what is caught; every other signal does what signal(7) says
 * - `leaves`: command lines of processes that are left in the background and hold the outputs until they are ended
 *
 * @since 0.1.0
 * @category models
 */
export interface Runs {
  readonly stdout?: Printed
  readonly stderr?: Printed
  readonly descriptors?: Readonly<Record<number, Printed>>
  readonly takes?: Duration.DurationInput
  readonly stdin?: "read" | "leave"
  readonly signals?: { readonly [signal in CatchableSignal]?: Reaction }
  readonly leaves?: ReadonlyArray<string>
}

type Without<Keys extends string> = { readonly [key in Keys]?: never }

/**
 * A program that exits, with code 0 when nothing is said.
 *
 * @since 0.1.0
 * @category models
 */
export interface Exits extends Runs, Without<"signal" | "coreDumped" | "hangs" | "spawnError"> {
  readonly exit?: number
}

/**
 * A program that a signal kills.
 *
 * @since 0.1.0
 * @category models
 */
export interface Dies extends Runs, Without<"exit" | "hangs" | "spawnError"> {
  readonly signal: Signal.Signal
  readonly coreDumped?: boolean
}

/**
 * A program that does not end until it is ended. With `signals: { SIGTERM: "ignore" }` it takes `SIGKILL`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Hangs extends Runs, Without<"exit" | "signal" | "coreDumped" | "spawnError"> {
  readonly hangs: true
}

/**
 * A program that cannot be started. What is left out is what the system says for the reason: `NotFound` is `ENOENT` of the
 * `exec`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Refused extends Without<keyof Runs | "exit" | "signal" | "coreDumped" | "hangs"> {
  readonly spawnError: SpawnReason | {
    readonly reason: SpawnReason
    readonly stage?: SpawnStage
    readonly errno?: string
    readonly path?: string
    readonly detail?: string
  }
}

/**
 * What a command does. The four ways to end exclude each other, by type and when the answer is made.
 *
 * @since 0.1.0
 * @category models
 */
export type Answer = Exits | Dies | Hangs | Refused

/**
 * A running program, for a script that plays it itself.
 *
 * - `input`: all that it reads from stdin; it ends where stdin ends
 * - `stdout`, `stderr`, `write`: print; the program dies of `SIGPIPE` when nobody reads any more, and waits when the pipe is full
 * - `trap`: catches a signal; without that it dies of it
 * - `leave`: leaves processes in the background, which hold the outputs until they are ended
 *
 * @since 0.1.0
 * @category models
 */
export interface Child extends Invocation {
  readonly pid: number
  readonly input: Stream.Stream<Uint8Array>
  readonly stdout: (data: string | Uint8Array) => Effect.Effect<void>
  readonly stderr: (data: string | Uint8Array) => Effect.Effect<void>
  readonly write: (descriptor: number, data: string | Uint8Array) => Effect.Effect<void>
  readonly trap: (signal: CatchableSignal, handler: Effect.Effect<void>) => Effect.Effect<void>
  readonly leave: (...commandLines: ReadonlyArray<string>) => Effect.Effect<void>
}

/**
 * A program, played: it ends with the exit code or status that the Effect returns.
 *
 * @since 0.1.0
 * @category models
 */
export type Program = (child: Child) => Effect.Effect<number | ExitStatus.ExitStatus>

/**
 * An answer that no program can give, such as exit code 300. It is thrown where the answer is made; from a function that
 * computes one it ends the test as a defect.
 *
 * @example
 * import { ScriptedSpawner } from "@effect-process/vitest"
 * import { expect, it } from "vitest"
 *
 * it("knows which exit codes there are", () => {
 *   expect(() => ScriptedSpawner.on("true").pipe(ScriptedSpawner.answers({ exit: 300 }))).toThrow(
 *     ScriptedSpawner.InvalidAnswer
 *   )
 * })
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidAnswer extends Data.TaggedError("InvalidAnswer")<{ readonly detail: string }> {
  override get message(): string {
    return `no program can answer like this: ${this.detail}`
  }
}
