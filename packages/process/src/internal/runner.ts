/** What the runners share: collecting output, the end of a run, judging the status. */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Data from "effect/Data"
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
import { type ExitStatus, isExited, type Killed } from "../ExitStatus.ts"
import type { Process } from "../Process.ts"
import { combineUsage, noUsage, type ProcessInfo } from "../ProcessInfo.ts"
import { ProcessSpawner } from "../ProcessSpawner.ts"
import { bounds } from "./bounds.ts"
import { map, name, specOf } from "./command.ts"
import { exitOf, fork, raceFirst } from "./job.ts"
import { Once } from "./once.ts"
import { outputOf } from "./output.ts"
import { secretsOf } from "./spec.ts"
import { concat, LineSplitter, printable, scrub, Tail } from "./text.ts"

type StreamName = "stdout" | "stderr"
const streamNames: ReadonlyArray<StreamName> = ["stdout", "stderr"]

type Spawner = Context.Tag.Service<ProcessSpawner>

/** Nobody is there to write a runner's stdin, so a pipe would only keep the child waiting. */
const withStdin = <E, R>(self: Command<E, R>): Command<E, R> =>
  map(self, (spec) => spec.stdin === undefined || spec.stdin === "pipe" ? { ...spec, stdin: "ignore" } : spec)

const isAccepted = (self: Command<unknown, unknown>, exit: ExitStatus): boolean => {
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

/** What every error of a command that ran tells. */
const endedAs = <Exit>(
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

const failureOf = (
  self: Command<unknown, unknown>,
  exit: ExitStatus,
  run: Run
): Effect.Effect<never, NonZeroExit | Signaled> =>
  isExited(exit) ? new NonZeroExit({ ...endedAs(self, exit, run), exitCode: exit.code }) : signaled(self, exit, run)

const signaled = (self: Command<unknown, unknown>, exit: Killed, run: Run): Signaled =>
  new Signaled({ ...endedAs(self, exit, run), signal: exit.signal, coreDumped: exit.coreDumped })

interface Run {
  readonly stages: ReadonlyArray<StageResult>
  readonly duration: Duration.Duration
  readonly outputs: Collectors
}

interface Collected {
  readonly exit: ExitStatus
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
      const exit = exitOf(process)
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
    const spec = specOf(self)
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
    let reading = 0
    for (const stream of streamNames) {
      if (spec[stream] !== "pipe") continue
      reading++
      yield* readers.drain(process[stream], (chunk) => {
        if (!outputs[stream].push(chunk) && capture.includes(stream)) fail(new Exceeded({ stream }))
      }, (error) => {
        if (error !== undefined) fail(error)
        else if (--reading === 0) read.done(Exit.void)
      })
    }
    if (reading === 0) read.done(Exit.void)
    yield* readers.listen(process, (exit) => first.done(exit))
    const ended = yield* Effect.exit(first.await)
    const duration = Duration.millis(spawner.clock.unsafeCurrentTimeMillis() - started)
    // Of an output that failed, or that nobody wants more of, the end is not waited for.
    if (problem !== undefined) read.done(Exit.void)
    const { exited, leaked } = yield* finish(spawner, process, read)
    // What could not be killed has no status to wait for.
    const stages = exited || Exit.isSuccess(ended) ? yield* Effect.orElseSucceed(process.stages, () => []) : []
    const run = { stages, duration, outputs }
    // The bytes that were too many may have come with the exit.
    const exit = Exit.isSuccess(ended) ? problem ?? ended : ended
    if (Exit.isSuccess(exit)) return { exit: exit.value, run, leaked }
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
  run: Run
): A | TimedOut =>
  error instanceof TimedOut
    ? new TimedOut({ ...endedAs(self, last, run), duration: error.duration, after: error.after })
    : error

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
      isAccepted(self, collected.exit)
        ? Effect.succeed(resultOf(collected))
        : failureOf(self, collected.exit, collected.run)
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
  Effect.flatMap(drain(self), ({ exit, run }) => isExited(exit) ? Effect.succeed(exit.code) : signaled(self, exit, run))

/** @internal */
export const success = <E, R>(self: Command<E, R>) => Effect.map(drain(self), ({ exit }) => isAccepted(self, exit))

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
  readonly run: Run
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
    const read = new Once<void>()
    let reading = streamNames.length
    const output = (stream: StreamName) =>
      (spec[stream] === "pipe" ? process[stream] : Stream.empty).pipe(
        Stream.tap((chunk) => Effect.sync(() => outputs[stream].push(chunk))),
        Stream.ensuring(Effect.sync(() => --reading === 0 && read.done(Exit.void)))
      )
    const ending = yield* Effect.gen(function*() {
      // `exit` itself would warn of output that a slow consumer has yet to take.
      yield* raceFirst(Effect.exit(process.stages), Effect.exit(process.empty))
      const exit = yield* Effect.exit(process.exit)
      const duration = Duration.millis(spawner.clock.unsafeCurrentTimeMillis() - started)
      const { exited } = yield* finish(spawner, process, read)
      const stages = exited || Exit.isSuccess(exit) ? yield* Effect.orElseSucceed(process.stages, () => []) : []
      return { exit, run: { stages, duration, outputs } }
    }).pipe(Effect.interruptible, Effect.forkIn(readers))
    const exit = Effect.flatMap(Fiber.join(ending), ({ exit, run }) =>
      Exit.match(exit, {
        onSuccess: (status) => Effect.succeed({ status, run }),
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
    const judge = Effect.flatMap(exit, ({ run, status }) =>
      isAccepted(self, status) ? Effect.void : failureOf(self, status, run))
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
