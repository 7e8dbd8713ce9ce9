/** What the runners share: collecting output, the end of a run, judging the status. */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { ArrayFormatter, type ParseIssue } from "effect/ParseResult"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Command } from "../Command.ts"
import {
  type CommandError,
  type Ended,
  NonZeroExit,
  type OutputError,
  OutputLimitExceeded,
  Signaled,
  type SpawnError,
  type SpawnServerLost,
  TimedOut
} from "../CommandError.ts"
import { type CommandResult, make as makeResult, type StageResult } from "../CommandResult.ts"
import type { CommandEvent } from "../CommandRunner.ts"
import { type ExitStatus, isExited } from "../ExitStatus.ts"
import type { Process } from "../Process.ts"
import { combineUsage, noUsage, type ProcessInfo } from "../ProcessInfo.ts"
import { ProcessSpawner } from "../ProcessSpawner.ts"
import { bounds } from "./bounds.ts"
import { map, name, specOf } from "./command.ts"
import { raceFirst } from "./job.ts"
import { secretsOf } from "./spec.ts"
import { concat, LineSplitter, printable, scrub, Tail } from "./text.ts"

type StreamName = "stdout" | "stderr"
const streamNames: ReadonlyArray<StreamName> = ["stdout", "stderr"]

type Spawner = Context.Tag.Service<ProcessSpawner>

/** Nobody is there to write a runner's stdin, so a pipe would only keep the child waiting. */
const withStdin = <E, R>(self: Command<E, R>): Command<E, R> =>
  map(self, (spec) => spec.stdin === undefined || spec.stdin === "pipe" ? { ...spec, stdin: "ignore" } : spec)

/** @internal */
export const isAccepted = (self: Command<unknown, unknown>, exit: ExitStatus): boolean => {
  const { accepted } = specOf(self)
  return accepted === "any" || (isExited(exit) && accepted.includes(exit.code))
}

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

type Collectors = { readonly [name in StreamName]: Collector }

const collectors = (self: Command<unknown, unknown>, capture: ReadonlyArray<StreamName>): Collectors => {
  const spec = specOf(self)
  const secrets = secretsOf(spec)
  const make = (stream: StreamName) => new Collector(capture.includes(stream) ? spec.maxOutput : 0, secrets)
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
const finish = (
  spawner: Spawner,
  process: Process<unknown>,
  outputEnded: Effect.Effect<unknown>
): Effect.Effect<Finished> =>
  Effect.gen(function*() {
    yield* raceFirst(outputEnded, sleepOn(spawner, bounds.drain))
    const leaked = yield* process.descendants
    // What cannot be killed is reported when the scope closes.
    const ended = yield* Effect.exit(process.terminate())
    // The job cuts the streams within the drain bound; this one only guards against a reader that does not return.
    yield* raceFirst(outputEnded, sleepOn(spawner, Duration.times(bounds.drain, 2)))
    return { leaked, exited: Exit.isSuccess(ended) }
  })

/** What every error of a command that ran tells. */
const endedAs = <Exit>(
  self: Command<unknown, unknown>,
  exit: Exit,
  run: {
    readonly stages: ReadonlyArray<StageResult>
    readonly duration: Duration.Duration
    readonly outputs: Collectors
  }
): Ended<Exit> => ({
  command: name(self),
  exit,
  stages: run.stages,
  duration: run.duration,
  stdoutTail: run.outputs.stdout.tail(),
  stderrTail: run.outputs.stderr.tail(),
  stdout: run.outputs.stdout.bytes()
})

const failureOf = (exit: ExitStatus, ended: Ended): NonZeroExit | Signaled =>
  isExited(exit)
    ? new NonZeroExit({ ...ended, exitCode: exit.code })
    : new Signaled({ ...ended, signal: exit.signal, coreDumped: exit.coreDumped })

interface Collected {
  readonly exit: ExitStatus
  readonly result: CommandResult
  readonly ended: Ended
}

/**
 * Runs a command and keeps what it prints on the streams that `capture` names. Does not judge the status.
 *
 * @internal
 */
export const collect = <E, R>(
  self: Command<E, R>,
  capture: ReadonlyArray<StreamName>
): Effect.Effect<Collected, Exclude<CommandError, NonZeroExit | Signaled> | E, ProcessSpawner | R> =>
  Effect.scoped(Effect.gen(function*() {
    const spec = specOf(self)
    const spawner = yield* ProcessSpawner
    // Made before the job, so closed after it: what the job prints while it ends is still read.
    const readers = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    const started = spawner.clock.unsafeCurrentTimeMillis()
    const process = yield* spawner.spawn(withStdin(self))
    const outputs = collectors(self, capture)
    const problem = yield* Deferred.make<never, OutputError | Exceeded>()
    const read = (stream: StreamName) =>
      spec[stream] !== "pipe" ? Effect.void : process[stream].pipe(
        Stream.runForEach((chunk) =>
          outputs[stream].push(chunk) || !capture.includes(stream)
            ? Effect.void
            : Deferred.fail(problem, new Exceeded({ stream }))
        ),
        Effect.catchAll((error) => Deferred.fail(problem, error))
      )
    const fibers = yield* Effect.forEach(
      streamNames,
      (stream) => Effect.forkIn(Effect.interruptible(read(stream)), readers)
    )
    const first = yield* Effect.exit(raceFirst(process.exit, Deferred.await(problem)))
    const duration = Duration.millis(spawner.clock.unsafeCurrentTimeMillis() - started)
    const early = yield* Deferred.isDone(problem)
    const { exited, leaked } = yield* finish(spawner, process, early ? Effect.void : Fiber.awaitAll(fibers))
    // What could not be killed has no status to wait for.
    const stages = exited || Exit.isSuccess(first) ? yield* Effect.orElseSucceed(process.stages, () => []) : []
    const run = { stages, duration, outputs }
    const exit = Exit.isSuccess(first) && (yield* Deferred.isDone(problem))
      // The bytes that were too many came with the exit.
      ? yield* Effect.exit(Deferred.await(problem))
      : first
    if (Exit.isSuccess(exit)) {
      const ended = endedAs(self, exit.value, run)
      const result = makeResult({
        exit: exit.value,
        stages: run.stages,
        stdout: ended.stdout,
        stderr: outputs.stderr.bytes(),
        tails: { stdout: ended.stdoutTail, stderr: ended.stderrTail },
        duration,
        usage: run.stages.map(({ usage }) => usage).reduce(combineUsage, noUsage),
        leaked
      })
      return { exit: exit.value, result, ended }
    }
    const last = run.stages.at(-1)?.exit
    return yield* Effect.failCause(Cause.map(exit.cause, (error) => {
      if (error instanceof Exceeded) {
        return new OutputLimitExceeded({
          ...endedAs(self, last, run),
          limit: spec.maxOutput,
          stream: error.stream
        })
      }
      return withOutput(self, error, last, run)
    }))
  }))

class Exceeded extends Data.TaggedClass("Exceeded")<{ readonly stream: StreamName }> {}

/** The process knows when it timed out, its runner knows what it had printed. */
const withOutput = <A>(
  self: Command<unknown, unknown>,
  error: A,
  last: ExitStatus | undefined,
  run: Parameters<typeof endedAs>[2]
): A | TimedOut =>
  error instanceof TimedOut
    ? new TimedOut({ ...endedAs(self, last, run), duration: error.duration, after: error.after })
    : error

/**
 * As `collect`, and fails when the status is not accepted.
 *
 * @internal
 */
export const collectAccepted = <E, R>(
  self: Command<E, R>,
  capture: ReadonlyArray<StreamName>
): Effect.Effect<CommandResult, CommandError | E, ProcessSpawner | R> =>
  Effect.flatMap(
    collect(self, capture),
    ({ ended, exit, result }) => isAccepted(self, exit) ? Effect.succeed(result) : Effect.fail(failureOf(exit, ended))
  )

/**
 * As `collect` of nothing: the output is dropped, so it cannot be too much.
 *
 * @internal
 */
export const drain = <E, R>(
  self: Command<E, R>
): Effect.Effect<
  Collected,
  Exclude<CommandError, NonZeroExit | Signaled | OutputLimitExceeded> | E,
  ProcessSpawner | R
> =>
  collect(self, []) as Effect.Effect<
    Collected,
    Exclude<CommandError, NonZeroExit | Signaled | OutputLimitExceeded> | E,
    ProcessSpawner | R
  >

/** @internal */
export const toLines = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<string, E, R> =>
  Stream.suspend(() => {
    const splitter = new LineSplitter()
    return Stream.concat(
      Stream.mapConcat(bytes, (chunk) => splitter.push(chunk)),
      Stream.suspend(() => Stream.fromIterable(splitter.end()))
    )
  })

interface Opened<E> {
  readonly process: Process<E>
  readonly output: (stream: StreamName) => Stream.Stream<Uint8Array, OutputError>
  /** The status, once what was printed before it has been read or the run has been ended. */
  readonly exit: Effect.Effect<Ran, E | TimedOut | SpawnServerLost>
  /** Outlives the process: what it prints while it ends is still read. */
  readonly readers: Scope.Scope
}

interface Ran {
  readonly status: ExitStatus
  readonly ended: Ended
}

/** A process whose output is streamed, and which is ended like that of any runner once it has exited. */
const open = <E, R>(
  self: Command<E, R>
): Effect.Effect<Opened<E>, SpawnError | SpawnServerLost, Scope.Scope | ProcessSpawner | R> =>
  Effect.gen(function*() {
    const spec = specOf(self)
    const spawner = yield* ProcessSpawner
    const readers = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    const started = spawner.clock.unsafeCurrentTimeMillis()
    const process = yield* spawner.spawn(withStdin(self))
    const outputs = collectors(self, [])
    const read = { stdout: yield* Deferred.make<void>(), stderr: yield* Deferred.make<void>() }
    const output = (stream: StreamName) =>
      (spec[stream] === "pipe" ? process[stream] : Stream.empty).pipe(
        Stream.tap((chunk) => Effect.sync(() => outputs[stream].push(chunk))),
        Stream.ensuring(Deferred.succeed(read[stream], undefined))
      )
    const outputEnded = Effect.zipRight(Deferred.await(read.stdout), Deferred.await(read.stderr))
    const ending = yield* Effect.gen(function*() {
      const exit = yield* Effect.exit(process.exit)
      const duration = Duration.millis(spawner.clock.unsafeCurrentTimeMillis() - started)
      const { exited } = yield* finish(spawner, process, outputEnded)
      const stages = exited || Exit.isSuccess(exit) ? yield* Effect.orElseSucceed(process.stages, () => []) : []
      return { exit, run: { stages, duration, outputs } }
    }).pipe(Effect.interruptible, Effect.forkIn(readers))
    const exit = Effect.flatMap(Fiber.join(ending), ({ exit, run }) =>
      Exit.match(exit, {
        onSuccess: (status) => Effect.succeed({ status, ended: endedAs(self, status, run) }),
        onFailure: (cause) =>
          Effect.failCause(Cause.map(cause, (error) => withOutput(self, error, run.stages.at(-1)?.exit, run)))
      }))
    return { process, output, exit, readers }
  })

/**
 * Stdout as it comes, made into what the caller wants before the status is judged: a failure must not cost the last line.
 *
 * @internal
 */
export const stream = <E, R, A>(
  self: Command<E, R>,
  decode: (bytes: Stream.Stream<Uint8Array, OutputError>) => Stream.Stream<A, OutputError>
): Stream.Stream<A, CommandError | E, ProcessSpawner | R> =>
  Stream.unwrapScoped(Effect.gen(function*() {
    const { exit, output, readers } = yield* open(self)
    yield* Effect.forkIn(Effect.interruptible(Effect.ignore(Stream.runDrain(output("stderr")))), readers)
    const judge = Effect.flatMap(exit, ({ ended, status }) =>
      isAccepted(self, status) ? Effect.void : Effect.fail(failureOf(status, ended)))
    return Stream.concat(decode(output("stdout")), Stream.execute(judge))
  }))

/** @internal */
export const events = <E, R>(
  self: Command<E, R>
): Stream.Stream<
  CommandEvent,
  SpawnError | SpawnServerLost | TimedOut | OutputError | E,
  ProcessSpawner | R
> =>
  Stream.unwrapScoped(
    Effect.map(open(self), ({ exit, output, process }) =>
      Stream.make<[CommandEvent]>({ _tag: "Started", pid: process.pid }).pipe(
        Stream.concat(Stream.merge(
          Stream.map(toLines(output("stdout")), (line): CommandEvent => ({ _tag: "Stdout", line })),
          Stream.map(toLines(output("stderr")), (line): CommandEvent => ({ _tag: "Stderr", line }))
        )),
        Stream.concat(
          Stream.fromEffect(Effect.map(exit, ({ status }): CommandEvent => ({ _tag: "Ended", exit: status })))
        )
      ))
  )

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
  // Scrubbed before it is cut: the beginning of a secret would not be recognized. The formatter writes values as JSON.
  const quoted = secrets.map((secret) => JSON.stringify(secret).slice(1, -1))
  const safe = (text: string) => scrub(text, [...secrets, ...quoted])
  const what = printable(safe(first?.message ?? "it does not parse").split("\n")[0] ?? "").slice(0, 300)
  const tail = new Tail(secrets)
  tail.push(output)
  return { detail: path === "" ? what : `at ${printable(safe(path))}: ${what}`, stdoutTail: tail.text() }
}
