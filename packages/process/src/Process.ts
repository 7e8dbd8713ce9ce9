/**
 * A running command: a scoped handle. Three facts are told apart: `exit` is the exit of the program, the end of `stdout`
 * is the end of its output, and `empty` is the end of the last process that it started. The close of the scope ends the
 * job and waits for all three.
 *
 * @example
 * import { NodeProcess } from "@effect-process/node"
 * import { Effect, Stream } from "effect"
 * import { Command } from "effect-process"
 *
 * const program = Effect.scoped(
 *   Effect.gen(function*() {
 *     const process = yield* Command.start(Command.make("sh", "-c", "echo ready; sleep 100"))
 *     yield* process.stdout.pipe(Stream.decodeText(), Stream.take(1), Stream.runDrain)
 *     return process.pid
 *   })
 * ) // here the shell and its sleep are gone
 *
 * Effect.runPromise(program.pipe(Effect.provide(NodeProcess.layer)))
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { Inspectable } from "effect/Inspectable"
import type * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import type {
  OutputError,
  ProcessGone,
  Signaled,
  SpawnServerLost,
  StdinError,
  TerminalError,
  TimedOut,
  Unkillable
} from "./CommandError.ts"
import type { StageResult } from "./CommandResult.ts"
import type { ExitStatus } from "./ExitStatus.ts"
import type { ProcessInfo, ResourceUsage } from "./ProcessInfo.ts"
import type { Signal } from "./Signal.ts"

/**
 * The handle of a running command, which lives as long as its scope. `E` is what the Streams that feed it and its Sinks fail with.
 *
 * @since 0.1.0
 * @category models
 */
export interface Process<out E = never> extends Inspectable {
  /** The pid of the leader. */
  readonly pid: number
  /** The id of the job's process group, which is the pid of the leader. */
  readonly processGroupId: number
  /**
   * Writes the child's stdin and closes it at the end of the input. It is run once. A child that stops reading ends the
   * sink early. When the input fails, the job is terminated with its stdin still open.
   */
  readonly stdin: Sink.Sink<void, Uint8Array, never, StdinError>
  /** Read once. Output that nobody reads stops the child, as in any pipe. */
  readonly stdout: Stream.Stream<Uint8Array, OutputError>
  /** Read once, like `stdout`. */
  readonly stderr: Stream.Stream<Uint8Array, OutputError>
  /**
   * The status, once every stage has exited; may be awaited any number of times. Fails with the error of a Stream or Sink
   * of the command that failed before, and with `TimedOut` when the deadline ended the job. A Sink may take longer than the exit: when
   * it fails after that, the closing scope logs it as an error; runners wait for it and fail. When it has been awaited for a second while an unread
   * stream holds data, a warning names the stream.
   */
  readonly exit: Effect.Effect<ExitStatus, E | TimedOut | SpawnServerLost>
  /** How each stage ended; completes with `exit`. */
  readonly stages: Effect.Effect<ReadonlyArray<StageResult>, SpawnServerLost>
  /** The exit code; a death by a signal fails with `Signaled`. */
  readonly exitCode: Effect.Effect<number, E | Signaled | TimedOut | SpawnServerLost>
  /** The last descendant is gone. Fails when a termination found that it cannot end one. */
  readonly empty: Effect.Effect<void, Unkillable | SpawnServerLost>
  /** Until `exit` completes. */
  readonly isRunning: Effect.Effect<boolean>
  /** What is alive below the leader now, as far as the engine's `reach` goes. */
  readonly descendants: Effect.Effect<ReadonlyArray<ProcessInfo>>
  /** What the job has used so far. */
  readonly usage: Effect.Effect<ResourceUsage>
  /**
   * Sends one signal, to the group (as `kill %1` does) or to the leader alone (for signals that mean "reload"). Escapees are
   * reached by `terminate`.
   */
  readonly signal: (
    signal: Signal,
    options?: { readonly to?: "group" | "leader" }
  ) => Effect.Effect<void, ProcessGone | Unkillable | SpawnServerLost>
  /**
   * Ends the job: the signal, a grace period, then SIGKILL for whatever is left; completes when nothing is. Concurrent
   * calls and the closing scope join one termination, the shortest grace period of them holds, and interrupting a waiter
   * does not cancel it. Without options, `Command.killSignal` and `Command.gracePeriod` hold.
   */
  readonly terminate: (
    options?: { readonly signal?: Signal; readonly gracePeriod?: Duration.DurationInput }
  ) => Effect.Effect<ExitStatus, Unkillable | SpawnServerLost>
  /** Changes the size of the terminal of `Command.terminal`; its foreground group is sent `SIGWINCH`. 1 to 65535 each. */
  readonly resize: (
    columns: number,
    rows: number
  ) => Effect.Effect<void, TerminalError | ProcessGone | SpawnServerLost>
  /** Moves the deadline of `Command.timeout` further away by this much. Without a deadline it does nothing. */
  readonly extendDeadline: (by: Duration.DurationInput) => Effect.Effect<void, ProcessGone | SpawnServerLost>
}
