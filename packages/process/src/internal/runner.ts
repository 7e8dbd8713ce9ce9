/** The runners that return when the command has ended. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { ArrayFormatter, type ParseIssue } from "effect/ParseResult"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Command } from "../Command.ts"
import {
  type CommandError,
  NonZeroExit,
  type OutputError,
  OutputLimitExceeded,
  Signaled,
  type SpawnServerLost,
  TimedOut
} from "../CommandError.ts"
import { type CommandResult, make as makeResult, type StageResult } from "../CommandResult.ts"
import { type ExitStatus, isExited } from "../ExitStatus.ts"
import type { Process } from "../Process.ts"
import { combineUsage, noUsage, type ProcessInfo } from "../ProcessInfo.ts"
import { ProcessSpawner } from "../ProcessSpawner.ts"
import { specOf } from "./command.ts"
import { Handle } from "./handle.ts"
import type { Job } from "./job.ts"
import { Once } from "./once.ts"
import { secretsOf, settingsOf } from "./spec.ts"
import { withProcess } from "./spawn.ts"
import { printable, scrub, Tail } from "./text.ts"
import {
  afterSinks,
  type Collectors,
  collectors,
  endedAs,
  failedOf,
  failureOf,
  finish,
  type Run,
  type Spawner,
  type StreamName,
  streamNames,
  withOutput,
  withStdin
} from "./run.ts"

interface Collected {
  readonly exit: ExitStatus
  /** The stage whose status is not accepted. */
  readonly failed: StageResult | undefined
  readonly run: Run
  readonly leaked: ReadonlyArray<ProcessInfo>
}

const resultOf = ({ exit, leaked, run }: Collected): CommandResult => {
  const { duration, outputs, stages } = run
  return makeResult({
    exit,
    stages,
    stdout: outputs.stdout.bytes(),
    stderr: outputs.stderr.bytes(),
    duration,
    tails: () => ({ stdout: outputs.stdout.tail(), stderr: outputs.stderr.tail() }),
    usage: stages.map(({ usage }) => usage).reduce(combineUsage, noUsage),
    leaked
  })
}

type First<E> = Once<ExitStatus, E | TimedOut | SpawnServerLost | OutputError | Exceeded>

/** Has an output read. Fibers only where the process is not ours. */
const drainOf = <E>(
  job: Job<E> | undefined,
  process: Process<E>,
  stream: StreamName,
  push: (bytes: Uint8Array) => void,
  done: (failure: OutputError | undefined) => void
): Effect.Effect<unknown, never, Scope.Scope> | undefined => {
  if (job !== undefined) {
    job.stdio[stream].drain(push, done)
    return undefined
  }
  const reader = Stream.runForEach(process[stream], (bytes) => Effect.sync(() => push(bytes)))
  return Effect.forkScoped(Effect.match(reader, { onFailure: done, onSuccess: () => done(undefined) }))
}

/**
 * Runs a command and keeps what it prints on the streams that `capture` names. `judge` says what becomes of it, before the
 * process is released, so that its span tells the same.
 */
const collect = <E, R, A, E2>(
  self: Command<E, R>,
  capture: ReadonlyArray<StreamName>,
  judge: (collected: Collected) => Effect.Effect<A, E2>
): Effect.Effect<A, Exclude<CommandError, NonZeroExit | Signaled> | E | E2, ProcessSpawner | R> =>
  withSpawner((spawner) => {
    const started = spawner.clock.unsafeCurrentTimeMillis()
    return withProcess(spawner, withStdin(self), (process) => {
      const job = Handle.jobOf(process)
      const outputs = collectors(self, job, capture)
      const first: First<E> = new Once()
      const read = new Once<void>()
      let problem: Exit.Exit<never, OutputError | Exceeded> | undefined
      const fail = (error: OutputError | Exceeded) => {
        problem ??= Exit.fail(error)
        first.done(problem)
      }
      let reading = streamNames.length
      const drains = streamNames.map((stream) =>
        drainOf(job, process, stream, (chunk) => {
          if (!outputs[stream].push(chunk) && capture.includes(stream)) fail(new Exceeded({ stream }))
        }, (error) => {
          if (error !== undefined && error.reason !== "NotPiped") fail(error)
          else if (--reading === 0) read.done(Exit.void)
        })
      ).filter((drain) => drain !== undefined)
      // `exit` itself looks after unread output, and there is none.
      if (job !== undefined) job.exit.onDone((exit) => first.done(exit))
      else drains.push(Effect.forkScoped(Effect.map(Effect.exit(process.exit), (exit) => first.done(exit))))
      const end = (ended: Finishing<E>["ended"]) => {
        const duration = Duration.millis(spawner.clock.unsafeCurrentTimeMillis() - started)
        // Of an output that failed, or that nobody wants more of, the end is not waited for.
        if (problem !== undefined) read.done(Exit.void)
        const run = { ended, duration, outputs, read, problem: () => problem }
        const collected = job && collectedNow(job, run)
        return collected === undefined ? Effect.flatMap(settle(self, spawner, process, run), judge) : judge(collected)
      }
      const { exit } = first
      if (exit !== undefined) return end(exit)
      return Effect.matchCauseEffect(
        drains.length === 0 ? first.only : Effect.zipRight(Effect.all(drains), first.only),
        {
          onFailure: (cause) => end(Exit.failCause(cause)),
          onSuccess: (status) => end(Exit.succeed(status))
        }
      )
    })
  })

/** As `Effect.flatMap(ProcessSpawner, use)`, in one step. */
const withSpawner = <A, E, R>(
  use: (spawner: Spawner) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, ProcessSpawner | R> =>
  Effect.withFiberRuntime((fiber) => use(Context.unsafeGet(fiber.currentContext, ProcessSpawner)))

/** What is known of a run whose process has exited, or is to be ended. */
interface Finishing<E> {
  readonly ended: Exit.Exit<ExitStatus, E | TimedOut | SpawnServerLost | OutputError | Exceeded>
  readonly duration: Duration.Duration
  readonly outputs: Collectors
  readonly read: Once<void>
  readonly problem: () => Exit.Exit<never, OutputError | Exceeded> | undefined
}

/** A run that has ended by itself. A class, as a getter of an object literal would keep the job: see "What V8 keeps" in ARCHITECTURE.md. */
class Ran<E> implements Run {
  private readonly job: Job<E>
  readonly duration: Duration.Duration
  readonly outputs: Collectors

  constructor(job: Job<E>, duration: Duration.Duration, outputs: Collectors) {
    this.job = job
    this.duration = duration
    this.outputs = outputs
  }

  get stages(): ReadonlyArray<StageResult> {
    return this.job.stageResults
  }
}

/** All of it, where the job has ended by itself and nothing is to be waited for: most often so, and told without an Effect. */
const collectedNow = <E>(job: Job<E>, run: Finishing<E>): Collected | undefined => {
  const { duration, ended, outputs, problem, read } = run
  if (!job.hasEnded || !read.isDone || Exit.isFailure(ended) || problem() !== undefined) return undefined
  return {
    exit: ended.value,
    failed: job.failed,
    run: new Ran(job, duration, outputs),
    leaked: []
  }
}

const settle = <E, R>(
  self: Command<E, R>,
  spawner: Spawner,
  process: Process<E>,
  run: Finishing<E>
): Effect.Effect<Collected, E | TimedOut | SpawnServerLost | OutputError | OutputLimitExceeded> =>
  Effect.flatMap(finish(spawner, process, run.read), ({ exited, leaked }) => {
    const { duration, ended, outputs } = run
    // What could not be killed has no status to wait for.
    const known = exited || Exit.isSuccess(ended) ? Effect.orElseSucceed(process.stages, () => []) : Effect.succeed([])
    // The bytes that were too many may have come with the exit, and what a Sink does with the last ones comes later.
    const late = Exit.isSuccess(ended) ? run.problem() : ended
    return Effect.zipWith(
      known,
      late === undefined ? afterSinks(process, ended) : Effect.succeed(late),
      (stages, exit) => {
        const run: Run = { stages, duration, outputs }
        if (Exit.isSuccess(exit)) {
          return Exit.succeed({ exit: exit.value, failed: failedOf(self, process, exit.value, stages), run, leaked })
        }
        const last = stages.at(-1)?.exit
        return Exit.failCause(Cause.map(exit.cause, (error) =>
          error instanceof Exceeded
            ? new OutputLimitExceeded({
              ...endedAs(self, last, run),
              limit: settingsOf(specOf(self)).maxOutput,
              stream: error.stream
            })
            : withOutput(self, error, last, run)))
      }
    ).pipe(Effect.flatten)
  })

class Exceeded extends Data.TaggedClass("Exceeded")<{ readonly stream: StreamName }> {}

/**
 * Runs a command, keeps what it prints on the streams that `capture` names, and fails when the status is not accepted.
 *
 * @internal
 */
export const collectAccepted = <E, R>(
  self: Command<E, R>,
  capture: ReadonlyArray<StreamName>
): Effect.Effect<CommandResult, CommandError | E, ProcessSpawner | R> =>
  collect(
    self,
    capture,
    (collected): Effect.Effect<CommandResult, NonZeroExit | Signaled> =>
      collected.failed === undefined
        ? Effect.succeed(resultOf(collected))
        : failureOf(self, collected.failed, collected.run)
  )

/**
 * As `collectAccepted` of stdout alone.
 *
 * @internal
 */
export const collectStdout = <E, R>(
  self: Command<E, R>
): Effect.Effect<Uint8Array, CommandError | E, ProcessSpawner | R> =>
  collect(
    self,
    ["stdout"],
    ({ failed, run }): Effect.Effect<Uint8Array, NonZeroExit | Signaled> =>
      failed === undefined ? Effect.succeed(run.outputs.stdout.bytes()) : failureOf(self, failed, run)
  )

/** As `collect` of nothing: the output is dropped, so it cannot be too much. */
const drain = <E, R, A, E2>(self: Command<E, R>, judge: (collected: Collected) => Effect.Effect<A, E2>) =>
  collect(self, [], judge) as Effect.Effect<
    A,
    Exclude<CommandError, NonZeroExit | Signaled | OutputLimitExceeded> | E | E2,
    ProcessSpawner | R
  >

/** @internal */
export const exitCode = <E, R>(self: Command<E, R>) =>
  drain(self, ({ exit, failed, run }): Effect.Effect<number, Signaled> =>
    isExited(exit)
      ? Effect.succeed(exit.code)
      : new Signaled({
        ...endedAs(self, exit, run),
        ...(failed && { command: failed.command, stderrTail: failed.stderrTail }),
        signal: exit.signal,
        coreDumped: exit.coreDumped
      }))

/** @internal */
export const success = <E, R>(self: Command<E, R>) => drain(self, ({ failed }) => Effect.succeed(failed === undefined))

/**
 * Where an output departs from its schema, without secrets.
 *
 * @internal
 */
export const departure = (
  self: Command<unknown, unknown>,
  issue: ParseIssue,
  output: Uint8Array
): { readonly detail: string; readonly stdoutTail: string } => {
  const secrets = secretsOf(specOf(self))
  const first = ArrayFormatter.formatIssueSync(issue)[0]
  const path = (first?.path ?? []).map((key) => `[${JSON.stringify(String(key))}]`).join("")
  // V8 quotes the beginning of what it cannot parse, which may be half a secret.
  const message = secrets.length === 0
    ? first?.message
    : first?.message.replace(/, (\.\.\.)?".*"(\.\.\.)? is not valid JSON/s, "; it is not valid JSON")
  // Scrubbed before it is cut: the beginning of a secret would not be recognized.
  const what = printable(scrub(message ?? "it does not parse", secrets).split("\n")[0] ?? "").slice(0, 300)
  const tail = new Tail(secrets)
  tail.push(output)
  return { detail: path === "" ? what : `at ${printable(scrub(path, secrets))}: ${what}`, stdoutTail: tail.text() }
}
