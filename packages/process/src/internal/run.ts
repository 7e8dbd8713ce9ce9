/** What all runners share: keeping output, the end of a run, judging the statuses. */
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import type { Command } from "../Command.ts"
import { type Ended, NonZeroExit, Signaled, TimedOut } from "../CommandError.ts"
import type { StageResult } from "../CommandResult.ts"
import { type ExitStatus, isExited } from "../ExitStatus.ts"
import type { Process } from "../Process.ts"
import type { ProcessInfo } from "../ProcessInfo.ts"
import { ProcessSpawner } from "../ProcessSpawner.ts"
import { bounds } from "./bounds.ts"
import { map, name, specOf } from "./command.ts"
import { raceFirst } from "./fork.ts"
import { Handle } from "./handle.ts"
import type { Job } from "./job.ts"
import { Once } from "./once.ts"
import { lastOf, secretsOf, setStdin, settingsOf } from "./spec.ts"
import { isAccepted } from "./statuses.ts"
import { concat, Tail } from "./text.ts"

/** @internal */
export type StreamName = "stdout" | "stderr"
/** @internal */
export const streamNames: ReadonlyArray<StreamName> = ["stdout", "stderr"]

/** @internal */
export type Spawner = Context.Tag.Service<ProcessSpawner>

/** Nobody is there to write a runner's stdin, so a pipe would only keep the child waiting. @internal */
export const withStdin = <E, R>(self: Command<E, R>): Command<E, R> => {
  const { stdin } = specOf(self).stages[0]
  if (stdin !== undefined && stdin !== "pipe") return self
  const known = withEmptyStdin.get(self)
  if (known !== undefined) return known as Command<E, R>
  // On a terminal the end of the input is typed: /dev/null would take the keyboard away.
  const made = map<E, R>(
    self,
    (spec) => setStdin(spec, spec.settings.terminal === undefined ? "ignore" : Stream.empty)
  )
  withEmptyStdin.set(self, made)
  return made
}

/** Most commands that are run are run again. */
const withEmptyStdin = new WeakMap<Command<unknown, unknown>, Command<unknown, unknown>>()

/** Keeps what one stream of a process gives, up to a limit, and its end. */
class Collector {
  private readonly limit: number
  private readonly chunks: Array<Uint8Array> = []
  private size = 0
  /** That of the process itself, or one of our own. */
  private readonly end: Tail
  private readonly endIsOurs: boolean

  constructor(limit: number, secrets: ReadonlyArray<string>, end: Tail | undefined) {
    this.limit = limit
    this.end = end ?? new Tail(secrets)
    this.endIsOurs = end === undefined
  }

  /** False once the limit is exceeded. */
  push(chunk: Uint8Array): boolean {
    if (this.endIsOurs) this.end.push(chunk)
    const room = this.limit - this.size
    if (room > 0 && chunk.byteLength > 0) this.chunks.push(chunk.byteLength > room ? chunk.subarray(0, room) : chunk)
    this.size += Math.min(room, chunk.byteLength)
    return chunk.byteLength <= room
  }

  bytes(): Uint8Array {
    return concat(this.chunks)
  }

  tail(): string {
    return this.end.text()
  }
}

/** @internal */
export type Collectors = { readonly [name in StreamName]: Collector }

/** @internal */
export const collectors = <E>(
  self: Command<unknown, unknown>,
  job: Job<E> | undefined,
  capture: ReadonlyArray<StreamName>
): Collectors => {
  const spec = specOf(self)
  const secrets = secretsOf(spec)
  const { maxOutput } = settingsOf(spec)
  const make = (stream: StreamName) =>
    new Collector(capture.includes(stream) ? maxOutput : 0, secrets, job?.stdio[stream].tail)
  return { stdout: make("stdout"), stderr: make("stderr") }
}

/** On the engine's clock: under a test's clock a run would never end. @internal */
export const sleepOn = (spawner: Spawner, duration: Duration.DurationInput): Effect.Effect<void> =>
  Effect.withClock(Effect.sleep(duration), spawner.clock)

/** What ended the output of a run, and whether everything has exited then. */
interface Finished {
  readonly leaked: ReadonlyArray<ProcessInfo>
  readonly exited: boolean
}

/** Of a job that has ended by itself. */
const clean: Finished = { leaked: [], exited: true }

/**
 * The end of a run, once the process has exited: waits for the output a little, then ends what is left of the job. Returns
 * the descendants that were still there.
 *
 * @internal
 */
export const finish = <E>(
  spawner: Spawner,
  process: Process<E>,
  output: Once<void>
): Effect.Effect<Finished> =>
  Effect.suspend(() =>
    output.isDone && Handle.jobOf(process)?.empty.succeeded === true ? cleanly : end(spawner, process, output)
  )

const cleanly = Effect.succeed(clean)

const end = <E>(
  spawner: Spawner,
  process: Process<E>,
  output: Once<void>
): Effect.Effect<Finished> =>
  Effect.gen(function*() {
    const ended = (bound: Duration.Duration) =>
      output.isDone ? Effect.void : raceFirst(output.await, sleepOn(spawner, bound))
    yield* ended(bounds.drain)
    const leaked = yield* process.descendants
    yield* Handle.jobOf(process)?.leaked(leaked) ?? Effect.void
    // What cannot be killed is reported when the scope closes.
    const terminated = yield* Effect.exit(process.terminate())
    // The job cuts the streams within the drain bound; this one only guards against a reader that does not return.
    yield* ended(Duration.times(bounds.drain, 2))
    return { leaked, exited: Exit.isSuccess(terminated) }
  })

/** What every error of a command that ran tells. @internal */
export const endedAs = <Exit>(
  self: Command<unknown, unknown>,
  exit: Exit,
  run: Run
): Ended<Exit> => ({
  command: name(self),
  exit,
  stages: run.stages,
  duration: run.duration,
  stdoutTail: run.outputs.stdout.tail(),
  stderrTail: run.outputs.stderr.tail(),
  stdout: run.outputs.stdout.bytes()
})

/** A failing stage speaks for itself. @internal */
export const failureOf = (
  self: Command<unknown, unknown>,
  { command, exit, stderrTail }: StageResult,
  run: Run
): Effect.Effect<never, NonZeroExit | Signaled> => {
  const ended = { ...endedAs(self, exit, run), command, stderrTail }
  return isExited(exit)
    ? new NonZeroExit({ ...ended, exitCode: exit.code })
    : new Signaled({ ...ended, signal: exit.signal, coreDumped: exit.coreDumped })
}

/** @internal */
export interface Run {
  readonly stages: ReadonlyArray<StageResult>
  readonly duration: Duration.Duration
  readonly outputs: Collectors
}

/** Sinks have taken all there is, at their own pace. @internal */
export const afterSinks = <A, E>(process: Process<E>, exit: Exit.Exit<A, E>): Effect.Effect<Exit.Exit<A, E>> =>
  Effect.suspend(() => {
    const job = Handle.jobOf(process)
    if (job === undefined || job.stdio.sinks.succeeded) return Effect.succeed(exit)
    return Effect.map(Effect.exit(job.sinks), (sinks) => Exit.zipRight(sinks, exit))
  })

/** The stage whose status is not accepted; of a process that is not ours, by the status alone. @internal */
export const failedOf = (
  self: Command<unknown, unknown>,
  process: Process<unknown>,
  exit: ExitStatus,
  stages: ReadonlyArray<StageResult>
): StageResult | undefined => {
  const job = Handle.jobOf(process)
  if (job !== undefined) return job.failed
  return isAccepted(lastOf(specOf(self).stages), exit) ? undefined : stages.at(-1)
}

/** The process knows when it timed out, its runner knows what it had printed. @internal */
export const withOutput = <A>(
  self: Command<unknown, unknown>,
  error: A,
  last: ExitStatus | undefined,
  run: Run
): A | TimedOut =>
  error instanceof TimedOut
    ? new TimedOut({ ...endedAs(self, last, run), duration: error.duration, after: error.after })
    : error
