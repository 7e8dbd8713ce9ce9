/** The runners that return when the command has ended. */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { ArrayFormatter, type ParseIssue } from "effect/ParseResult"
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
import { fork } from "./fibers.ts"
import { internalsOf } from "./handles.ts"
import { Once } from "./once.ts"
import { outputOf } from "./output.ts"
import { secretsOf, settingsOf } from "./spec.ts"
import { printable, scrub, Tail } from "./text.ts"
import {
  afterSinks,
  collectors,
  endedAs,
  failedOf,
  failureOf,
  finish,
  type Run,
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

/** What reads a process beyond its scope: what it prints while it ends is still read. Fibers only where it is not ours. */
class Readers {
  private readonly fibers: Array<Fiber.RuntimeFiber<unknown, unknown>> = []

  drain(
    stream: Stream.Stream<Uint8Array, OutputError>,
    push: (bytes: Uint8Array) => void,
    done: (failure: OutputError | undefined) => void
  ): Effect.Effect<void> {
    return Effect.suspend(() => {
      const output = outputOf(stream)
      if (output !== undefined) return Effect.succeed(output.drain(push, done))
      const reader = Stream.runForEach(stream, (bytes) => Effect.sync(() => push(bytes)))
      return this.fork(Effect.match(reader, { onFailure: done, onSuccess: () => done(undefined) }))
    })
  }

  listen<E>(
    process: Process<E>,
    listener: (exit: Exit.Exit<ExitStatus, E | TimedOut | SpawnServerLost>) => void
  ): Effect.Effect<void> {
    return Effect.suspend(() => {
      const exit = internalsOf(process)?.exit
      if (exit === undefined) return this.fork(Effect.map(Effect.exit(process.exit), listener))
      exit.onDone(listener)
      return Effect.void
    })
  }

  private fork(effect: Effect.Effect<unknown>): Effect.Effect<void> {
    return Effect.map(fork(effect), (fiber) => void this.fibers.push(fiber))
  }

  readonly end: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach(this.fibers, Fiber.interruptFork, { discard: true })
  )
}

/** Runs a command and keeps what it prints on the streams that `capture` names. Does not judge the status. */
const collect = <E, R>(
  self: Command<E, R>,
  capture: ReadonlyArray<StreamName>
): Effect.Effect<Collected, Exclude<CommandError, NonZeroExit | Signaled> | E, ProcessSpawner | R> =>
  Effect.scoped(Effect.gen(function*() {
    const readers = yield* Effect.acquireRelease(Effect.sync(() => new Readers()), (self) => self.end)
    const spawner = yield* ProcessSpawner
    const started = spawner.clock.unsafeCurrentTimeMillis()
    const process = yield* spawner.spawn(withStdin(self))
    const outputs = collectors(self, capture)
    const first = new Once<ExitStatus, E | TimedOut | SpawnServerLost | OutputError | Exceeded>()
    const read = new Once<void>()
    let problem: Exit.Exit<never, OutputError | Exceeded> | undefined
    const fail = (error: OutputError | Exceeded) => {
      problem ??= Exit.fail(error)
      first.done(problem)
    }
    let reading = streamNames.length
    for (const stream of streamNames) {
      yield* readers.drain(process[stream], (chunk) => {
        if (!outputs[stream].push(chunk) && capture.includes(stream)) fail(new Exceeded({ stream }))
      }, (error) => {
        if (error !== undefined && error.reason !== "NotPiped") fail(error)
        else if (--reading === 0) read.done(Exit.void)
      })
    }
    yield* readers.listen(process, (exit) => first.done(exit))
    const ended = yield* Effect.exit(first.await)
    const duration = Duration.millis(spawner.clock.unsafeCurrentTimeMillis() - started)
    // Of an output that failed, or that nobody wants more of, the end is not waited for.
    if (problem !== undefined) read.done(Exit.void)
    const { exited, leaked } = yield* finish(spawner, process, read)
    // What could not be killed has no status to wait for.
    const stages = exited || Exit.isSuccess(ended) ? yield* Effect.orElseSucceed(process.stages, () => []) : []
    const run = { stages, duration, outputs }
    // The bytes that were too many may have come with the exit, and what a Sink does with the last ones comes later.
    const exit = Exit.isSuccess(ended) ? problem ?? (yield* afterSinks(process, ended)) : ended
    if (Exit.isSuccess(exit)) {
      return { exit: exit.value, failed: failedOf(self, process, exit.value, stages), run, leaked }
    }
    const last = run.stages.at(-1)?.exit
    return yield* Effect.failCause(Cause.map(exit.cause, (error) => {
      if (error instanceof Exceeded) {
        return new OutputLimitExceeded({
          ...endedAs(self, last, run),
          limit: settingsOf(specOf(self)).maxOutput,
          stream: error.stream
        })
      }
      return withOutput(self, error, last, run)
    }))
  }))

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
  Effect.flatMap(
    collect(self, capture),
    (collected) =>
      collected.failed === undefined
        ? Effect.succeed(resultOf(collected))
        : failureOf(self, collected.failed, collected.run)
  )

/** As `collect` of nothing: the output is dropped, so it cannot be too much. */
const drain = <E, R>(self: Command<E, R>) =>
  collect(self, []) as Effect.Effect<
    Collected,
    Exclude<CommandError, NonZeroExit | Signaled | OutputLimitExceeded> | E,
    ProcessSpawner | R
  >

/** @internal */
export const exitCode = <E, R>(self: Command<E, R>) =>
  Effect.flatMap(drain(self), ({ exit, failed, run }) =>
    isExited(exit)
      ? Effect.succeed(exit.code)
      : new Signaled({
        ...endedAs(self, exit, run),
        ...(failed && { command: failed.command, stderrTail: failed.stderrTail }),
        signal: exit.signal,
        coreDumped: exit.coreDumped
      }))

/** @internal */
export const success = <E, R>(self: Command<E, R>) => Effect.map(drain(self), ({ failed }) => failed === undefined)

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
