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
import type * as Exit from "effect/Exit"
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
 * @example
 * import { Engine } from "effect-process"
 *
 * // How an engine says that there is no such program
 * const failure = new Engine.SpawnFailure({
 *   reason: "NotFound",
 *   stage: "exec",
 *   errno: "ENOENT",
 *   path: "prog",
 *   detail: "it is in none of the directories of PATH"
 * })
 *
 * failure._tag // => "SpawnFailure"
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
  /** Which command of the pipeline, counted from 0; the first one when nothing is said. */
  readonly index?: number
}> {}

/**
 * Reading or writing a pipe failed. `errno` is the name of errno(3).
 *
 * @example
 * import { Engine } from "effect-process"
 *
 * // What an engine's `poll` returns when read(2) has failed
 * new Engine.PipeFailure({ errno: "EIO" }).errno // => "EIO"
 *
 * @since 0.1.0
 * @category errors
 */
export class PipeFailure extends Data.TaggedError("PipeFailure")<{ readonly errno: string }> {}

/**
 * A signal was not delivered: nobody was there to get it, or the system refused.
 *
 * @example
 * import { Effect } from "effect"
 * import { Engine } from "effect-process"
 *
 * const signalled = (job: Engine.EngineJob) =>
 *   Effect.catchIf(
 *     job.signal("SIGHUP", "leader"),
 *     (error) => error instanceof Engine.SignalFailure && error.reason === "Gone",
 *     () => Effect.void
 *   )
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
  /** Takes the next bytes: `undefined` when there are none yet, `null` at the end. */
  readonly poll: () => Uint8Array | PipeFailure | null | undefined
  /**
   * Has one function called whenever `poll` may have something new to say since it was last called, at once where it has
   * already. It takes the place of an earlier one.
   */
  readonly listen: (listener: (() => void) | undefined) => void
  /** Whether bytes wait that nobody has read. */
  readonly holdsData: () => boolean
  /** Takes into memory what the pipe holds now, frees the descriptor, and lets `poll` end after that. */
  readonly cut: () => void
  /** Frees the descriptor; what was not read is dropped. */
  readonly close: () => void
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
  readonly close: () => void
}

/**
 * What becomes of a descriptor in the child:
 *
 * - `inherit`: the owner's own descriptor of that number, 0 to 2
 * - `null`: `/dev/null`
 * - `file`: opened by the engine, created with the umask of the stage (open(2)); a relative path is below the owner's directory
 * - `pipe`: an end of one of the request's pipes, by its index
 * - `descriptor`: what descriptor `of` is when all others are in place, as `2>&1` says
 * - `terminal`: the request's terminal
 *
 * @since 0.1.0
 * @category models
 */
export type Redirect =
  | { readonly fd: number; readonly to: "inherit" }
  | { readonly fd: number; readonly to: "null" }
  | { readonly fd: number; readonly to: "file"; readonly path: string; readonly mode: "read" | "write" | "append" }
  | { readonly fd: number; readonly to: "pipe"; readonly pipe: number; readonly end: "read" | "write" }
  | { readonly fd: number; readonly to: "descriptor"; readonly of: number }
  | { readonly fd: number; readonly to: "terminal" }

/**
 * A pipe of the job: the owner holds one end, or none when it joins two stages. `fed` says that the owner writes it from a
 * Stream of the command and closes it at the end of that; what else it writes is up to whoever has the handle.
 *
 * @since 0.1.0
 * @category models
 */
export interface PipeRequest {
  readonly owner: "reads" | "writes" | "none"
  readonly fed?: boolean
}

/**
 * A pseudo-terminal of the job, in its foreground. What the owner writes to the pipe `input` is typed, and its end is the
 * end of input as it is typed (Ctrl-D); what is shown comes out of the pipe `output`. Without an input nothing is typed, without
 * an output what is shown is dropped. Columns and rows are 1 to 65535.
 *
 * @since 0.1.0
 * @category models
 */
export interface TerminalRequest {
  readonly columns: number
  readonly rows: number
  readonly input: number | undefined
  readonly output: number | undefined
}

/**
 * Resource limits, each the soft and the hard one. `cpu` in seconds; `addressSpace`, `fileSize` and `core` in bytes; `openFiles` and
 * `processes` (of the user) are numbers. `Infinity` is no limit, which takes privileges where there is one. Source: setrlimit(2).
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
  /** One for each of the descriptors 0 to 2, and for more that the child is to have. */
  readonly redirects: ReadonlyArray<Redirect>
  readonly limits: Limits | undefined
  readonly nice: number | undefined
  readonly umask: number | undefined
  readonly user: User | undefined
}

/**
 * One job to start: the stages of a pipeline, all in one process group. `killSignal` and `gracePeriod` are what the engine needs when the owner dies, `timeout` when it
 * enforces deadlines by itself. `secrets` are the texts that were given as redacted: whatever an engine shows, logs or
 * writes of a job must not hold them.
 *
 * @since 0.1.0
 * @category models
 */
export interface SpawnRequest {
  readonly stages: readonly [StageRequest, ...ReadonlyArray<StageRequest>]
  readonly pipes: ReadonlyArray<PipeRequest>
  readonly killSignal: Signal
  readonly gracePeriod: Duration.Duration
  readonly timeout: Duration.Duration | undefined
  readonly secrets: ReadonlyArray<string>
  /** An engine that has none refuses it with `Unsupported`. */
  readonly terminal?: TerminalRequest | undefined
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
  /** Counts up in the order in which the stages of a job exited; equal where the engine could not tell. */
  readonly order: number
}

/**
 * What happens to a job. Functions, because a short job is over before a fiber that waits for it has been started.
 *
 * @since 0.1.0
 * @category models
 */
export interface JobObserver {
  /** Every stage has exited. */
  readonly exited: (exits: Exit.Exit<ReadonlyArray<StageExit>, SpawnServerLost>) => void
  /** Nothing that this engine reaches is left, not even a zombie of ours. Never before `exited`. */
  readonly emptied: (empty: Exit.Exit<void, SpawnServerLost>) => void
  /** The engine itself has found the deadline passed; never where `guarantees.deadline` is `event-loop`. */
  readonly deadlinePassed: () => void
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
  /** The owner's end of a pipe that the owner writes, by its index in the request; once. */
  readonly input: (pipe: number) => InputPipe
  /** The owner's end of a pipe that the owner reads, by its index in the request; once. */
  readonly output: (pipe: number) => OutputPipe
  /** Tells one observer of what happens, and at once of what has happened already. */
  readonly observe: (observer: JobObserver) => void
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
  /** Changes the size of the job's terminal; left out by an engine that has none. `Gone` when there is no terminal any more. */
  readonly resize?: (columns: number, rows: number) => Effect.Effect<void, SignalFailure | SpawnServerLost>
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
 * - `backstop`: what ends a job whose engine is lost as well: a cgroup of the layer's own, which nothing leaves and no
 *   credentials protect, or nothing beyond what `reach` says
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
  readonly backstop: "cgroup" | "none"
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
  /** Whether a TCP connection to the port succeeds; not where there can be none, as to port 0. */
  readonly connect: (port: number, host: string) => Effect.Effect<boolean>
}
