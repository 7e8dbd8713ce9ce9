/**
 * What a platform provides so that commands run on it. The policy (deadlines, escalation, bounds, capture, errors) is
 * not here: it is written once, over this interface, and `ProcessSpawner.fromEngine` joins the two.
 *
 * Programs do not need this module; engines and fakes do.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { SpawnServerLost } from "./CommandError.ts"
import type { ExitStatus } from "./ExitStatus.ts"
import type { ProcessInfo, ResourceUsage } from "./ProcessInfo.ts"
import type { Signal } from "./Signal.ts"

/**
 * Why a spawn failed.
 *
 * @since 0.1.0
 * @category models
 */
export type SpawnReason =
  | "NotFound"
  | "PermissionDenied"
  | "NotExecutable"
  | "BadWorkingDirectory"
  | "InvalidArgument"
  | "ArgumentListTooLong"
  | "ResourceExhausted"
  | "Unsupported"
  | "Unknown"

/**
 * The step of a spawn that failed. `validate` is before anything was forked.
 *
 * @since 0.1.0
 * @category models
 */
export type SpawnStage = "validate" | "fork" | "chdir" | "open" | "limits" | "user" | "exec"

/**
 * A spawn failed and nothing is left of it. `detail` says what a person needs to mend it and never holds an argument or
 * a value of the environment, which may be secret.
 *
 * @since 0.1.0
 * @category errors
 */
export class SpawnFailure extends Data.TaggedError("SpawnFailure")<{
  readonly reason: SpawnReason
  readonly stage: SpawnStage
  readonly errno: string | undefined
  readonly path: string | undefined
  readonly detail: string
}> {}

/**
 * Reading or writing a pipe failed. `errno` is the name of errno(3).
 *
 * @since 0.1.0
 * @category errors
 */
export class PipeFailure extends Data.TaggedError("PipeFailure")<{ readonly errno: string }> {}

/**
 * A signal was not delivered: nobody was there to get it, or the system refused.
 *
 * @since 0.1.0
 * @category errors
 */
export class SignalFailure
  extends Data.TaggedError("SignalFailure")<{ readonly reason: "Gone" | "PermissionDenied" }>
{}

/**
 * The read end of a pipe that the child writes. It has one reader at a time.
 *
 * @since 0.1.0
 * @category models
 */
export interface OutputPipe {
  /** The next bytes, or `None` at the end. Interruption loses nothing. */
  readonly read: Effect.Effect<Option.Option<Uint8Array>, PipeFailure>
  /**
   * Instead of `read`, for one who takes all there is: hands every piece to `push` as it comes, and calls `done` once, at the
   * end. No fiber waits meanwhile.
   */
  readonly drain: (push: (bytes: Uint8Array) => void, done: (failure: PipeFailure | undefined) => void) => void
  /** Whether bytes wait that nobody has read. */
  readonly holdsData: Effect.Effect<boolean>
  /** Takes into memory what the pipe holds now, frees the descriptor, and lets `read` end after that. */
  readonly cut: Effect.Effect<void>
  /** Frees the descriptor; what was not read is dropped. */
  readonly close: Effect.Effect<void>
}

/**
 * The write end of a pipe that the child reads.
 *
 * @since 0.1.0
 * @category models
 */
export interface InputPipe {
  /** Completes when the kernel took the bytes; false when nobody reads any more (EPIPE), which is no failure. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<boolean, PipeFailure>
  /** Frees the descriptor: the child reads the end of file. */
  readonly close: Effect.Effect<void>
}

/**
 * What becomes of a descriptor 0 to 2 in the child.
 *
 * @since 0.1.0
 * @category models
 */
export type StdioRequest = "pipe" | "inherit" | "ignore"

/**
 * Resource limits, each the soft and the hard one. `cpu` in seconds; `addressSpace`, `fileSize` and `core` in bytes.
 * Source: setrlimit(2).
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  readonly cpu?: number
  readonly addressSpace?: number
  readonly openFiles?: number
  readonly fileSize?: number
  readonly processes?: number
  readonly core?: number
}

/**
 * Whom a process runs as. Without `groups` it keeps no supplementary group. Source: credentials(7).
 *
 * @since 0.1.0
 * @category models
 */
export interface User {
  readonly uid: number
  readonly gid: number
  readonly groups?: ReadonlyArray<number>
}

/**
 * One program to start, with everything resolved: secrets revealed, the environment complete.
 *
 * @since 0.1.0
 * @category models
 */
export interface StageRequest {
  readonly file: string
  readonly args: ReadonlyArray<string>
  readonly argv0: string | undefined
  readonly env: Readonly<Record<string, string>>
  readonly workingDirectory: string | undefined
  readonly stdin: StdioRequest
  readonly stdout: StdioRequest
  readonly stderr: StdioRequest
  readonly limits: Limits | undefined
  readonly nice: number | undefined
  readonly umask: number | undefined
  readonly user: User | undefined
}

/**
 * One job to start. `killSignal` and `gracePeriod` are what the engine needs when the owner dies, `timeout` when it
 * enforces deadlines by itself.
 *
 * @since 0.1.0
 * @category models
 */
export interface SpawnRequest {
  readonly stages: readonly [StageRequest, ...ReadonlyArray<StageRequest>]
  readonly killSignal: Signal
  readonly gracePeriod: Duration.Duration
  readonly timeout: Duration.Duration | undefined
}

/**
 * How one stage ended.
 *
 * @since 0.1.0
 * @category models
 */
export interface StageExit {
  readonly pid: number
  readonly exit: ExitStatus
  readonly usage: ResourceUsage
}

/**
 * A running job.
 *
 * @since 0.1.0
 * @category models
 */
export interface EngineJob {
  readonly pid: number
  readonly processGroupId: number
  readonly stdin: Option.Option<InputPipe>
  readonly stdout: Option.Option<OutputPipe>
  readonly stderr: Option.Option<OutputPipe>
  /** Every stage has exited. */
  readonly exits: Effect.Effect<ReadonlyArray<StageExit>, SpawnServerLost>
  /** Nothing that this engine reaches is left, not even a zombie of ours. Never before `exits`. */
  readonly empty: Effect.Effect<void, SpawnServerLost>
  /** Sends a signal to the group or the leader alone. */
  readonly signal: (signal: Signal, to: "group" | "leader") => Effect.Effect<void, SignalFailure | SpawnServerLost>
  /**
   * Begins a termination: the signal to all that the engine reaches, stopped processes too. An engine that can goes on
   * to SIGKILL by itself after `gracePeriod`; the policy calls `kill` in any case.
   */
  readonly terminate: (signal: Signal, gracePeriod: Duration.Duration) => Effect.Effect<void>
  /** SIGKILL to all that the engine reaches, again and again until nothing is left. */
  readonly kill: Effect.Effect<void>
  /** Descendants that are alive, the leader not among them. */
  readonly descendants: Effect.Effect<ReadonlyArray<ProcessInfo>>
  /** What the engine reaches and is not gone, the leader too. */
  readonly survivors: Effect.Effect<ReadonlyArray<{ readonly pid: number; readonly state: string }>>
  readonly usage: Effect.Effect<ResourceUsage>
  /** Completes when the engine itself has found the deadline passed; never where `guarantees.deadline` is `event-loop`. */
  readonly deadlineExpired: Effect.Effect<void>
  /** Moves the engine's own deadline. */
  readonly extendDeadline: (by: Duration.Duration) => Effect.Effect<void, SpawnServerLost>
}

/**
 * What an engine keeps of the library's promises.
 *
 * - `reach`: whether a termination finds every descendant, or those that stayed in the process group
 * - `ownerDeath`: what ends the jobs when the owner dies: a supervisor for each job, or one watchdog
 * - `deadline`: whether deadlines also fire while the owner's event loop is blocked
 * - `statuses`: whether core dumps and real-time signals can be told (`exact`), or what Node reports (`node`)
 * - `usage`: whether resource usage is the kernel's final count, or what was last seen in the process table
 *
 * @since 0.1.0
 * @category models
 */
export interface Guarantees {
  readonly engine: "spawn-server" | "child-process" | (string & {})
  readonly reach: "descendants" | "group"
  readonly ownerDeath: "supervisor" | "watchdog" | "none"
  readonly deadline: "external" | "event-loop"
  readonly statuses: "exact" | "node"
  readonly usage: "exact" | "sampled"
}

/**
 * What a platform provides.
 *
 * @since 0.1.0
 * @category models
 */
export interface Engine {
  readonly guarantees: Guarantees
  /** Grace periods, bounds, deadlines and warnings run on this one, never on a test's clock. */
  readonly clock: Clock.Clock
  /** The owner's environment, read now. */
  readonly environment: Effect.Effect<Readonly<Record<string, string>>>
  /** Uninterruptible, and bounded by the kill bound. */
  readonly spawn: (request: SpawnRequest) => Effect.Effect<EngineJob, SpawnFailure | SpawnServerLost>
  /** Whether a TCP connection to the port succeeds. */
  readonly connect: (port: number, host: string) => Effect.Effect<boolean>
}
