/** What all runners share: keeping output, the end of a run, judging the statuses. */
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Command } from "../Command.ts"
import { type Ended, NonZeroExit, Signaled, TimedOut } from "../CommandError.ts"
import type { StageResult } from "../CommandResult.ts"
import { type ExitStatus, isExited } from "../ExitStatus.ts"
import type { Process } from "../Process.ts"
import type { ProcessInfo } from "../ProcessInfo.ts"
import { ProcessSpawner } from "../ProcessSpawner.ts"
import { bounds } from "./bounds.ts"
import { map, name, specOf } from "./command.ts"
import { raceFirst } from "./fibers.ts"
import { internalsOf } from "./handles.ts"
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
export const withStdin = <E, R>(self: Command<E, R>): Command<E, R> =>
  map(self, (spec) => {
    const { stdin } = spec.stages[0]
    return stdin === undefined || stdin === "pipe" ? setStdin(spec, "ignore") : spec
  })

/** Reads one stream of a process to its end: all of it up to a limit, or only the tail. */
class Collector {
  private readonly limit: number
  private readonly chunks: Array<Uint8Array> = []
  private size = 0
  private readonly end: Tail

  constructor(limit: number, secrets: ReadonlyArray<string>) {
    this.limit = limit
    this.end = new Tail(secrets)
  }

  /** False once the limit is exceeded. */
  push(chunk: Uint8Array): boolean {
    this.end.push(chunk)
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
export const collectors = (self: Command<unknown, unknown>, capture: ReadonlyArray<StreamName>): Collectors => {
  const spec = specOf(self)
  const secrets = secretsOf(spec)
  const { maxOutput } = settingsOf(spec)
  const make = (stream: StreamName) => new Collector(capture.includes(stream) ? maxOutput : 0, secrets)
  return { stdout: make("stdout"), stderr: make("stderr") }
}

/** On the engine's clock: under a test's clock a run would never end. */
const sleepOn = (spawner: Spawner, duration: Duration.DurationInput): Effect.Effect<void> =>
  Effect.withClock(Effect.sleep(duration), spawner.clock)

/** What ended the output of a run, and whether everything has exited then. */
interface Finished {
  readonly leaked: ReadonlyArray<ProcessInfo>
  readonly exited: boolean
}

/**
 * The end of a run, once the process has exited: waits for the output a little, then ends what is left of the job. Returns
 * the descendants that were still there.
 */
/** @internal */
export const finish = (
  spawner: Spawner,
  process: Process<unknown>,
  output: Once<void>
): Effect.Effect<Finished> =>
  Effect.gen(function*() {
    const ended = (bound: Duration.Duration) =>
      output.isDone ? Effect.void : raceFirst(output.await, sleepOn(spawner, bound))
    yield* ended(bounds.drain)
    const leaked = yield* process.descendants
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
  Effect.map(Effect.exit(internalsOf(process)?.sinks ?? Effect.void), (sinks) => Exit.zipRight(sinks, exit))

/** The stage whose status is not accepted; of a process that is not ours, by the status alone. @internal */
export const failedOf = (
  self: Command<unknown, unknown>,
  process: Process<unknown>,
  exit: ExitStatus,
  stages: ReadonlyArray<StageResult>
): StageResult | undefined => {
  const own = internalsOf(process)
  if (own !== undefined) return own.failed()
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
