/** The runners that hand output on as it comes, or take input as it comes. */
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { identity } from "effect/Function"
import * as MergeDecision from "effect/MergeDecision"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type { Command } from "../Command.ts"
import {
  type CommandError,
  type OutputError,
  OutputLimitExceeded,
  type SpawnError,
  type SpawnServerLost,
  TimedOut
} from "../CommandError.ts"
import type { CommandResult, StageResult } from "../CommandResult.ts"
import type { CommandEvent } from "../CommandRunner.ts"
import type { ExitStatus } from "../ExitStatus.ts"
import type { Process } from "../Process.ts"
import { ProcessSpawner } from "../ProcessSpawner.ts"
import { map, specOf } from "./command.ts"
import { raceFirst } from "./fork.ts"
import { Handle } from "./handle.ts"
import { Once } from "./once.ts"
import { setStdin, settingsOf } from "./spec.ts"
import { LineSplitter } from "./text.ts"
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
import { collectAccepted } from "./runner.ts"
import { spawnFor } from "./spawn.ts"

/** In chunks of the size that Effect's own have: its folds call themselves for each element of one. */
const written = (lines: ReadonlyArray<string>) =>
  Channel.writeChunk(Chunk.chunksOf(Chunk.unsafeFromArray(lines), Stream.DefaultChunkSize))

/** Fails at a line of more than `limit` characters: a child that never ends one would have us keep all that it writes. */
const toLines = <E, R, E2>(
  bytes: Stream.Stream<Uint8Array, E, R>,
  limit: number,
  tooLong: Effect.Effect<never, E2>
): Stream.Stream<string, E | E2, R> => {
  type Lines = Channel.Channel<Chunk.Chunk<string>, Chunk.Chunk<Uint8Array>, E | E2, E, unknown>
  const split = (splitter: LineSplitter): Lines =>
    Channel.readWith({
      onInput: (chunks: Chunk.Chunk<Uint8Array>) => {
        const lines: Array<string> = []
        for (const chunk of chunks) for (const line of splitter.push(chunk)) lines.push(line)
        const long = lines.findIndex((line) => line.length > limit)
        const isTooLong = long >= 0 || splitter.length > limit
        const before = written(long < 0 ? lines : lines.slice(0, long))
        return Channel.zipRight(before, isTooLong ? Channel.fromEffect(tooLong) : split(splitter))
      },
      onFailure: (error: E) => Channel.fail(error),
      onDone: () => written(splitter.end())
    })
  return Stream.pipeThroughChannel(bytes, Channel.suspend(() => split(new LineSplitter())))
}

interface Opened<E> {
  readonly process: Process<E>
  readonly output: (stream: StreamName) => Stream.Stream<Uint8Array, OutputError>
  readonly lines: (stream: StreamName) => Stream.Stream<string, OutputError | OutputLimitExceeded>
  /** Tells the process what becomes of it. */
  readonly judged: (exit: Exit.Exit<unknown, unknown>) => void
  /** The status, once what was printed before it has been read or the run has been ended. */
  readonly exit: Effect.Effect<Ran, E | TimedOut | SpawnServerLost>
  /** Outlives the process: what it prints while it ends is still read. */
  readonly readers: Scope.Scope
}

interface Ran {
  readonly status: ExitStatus
  readonly failed: StageResult | undefined
  readonly run: Run
}

/** A process whose output is streamed, and which is ended like that of any runner once it has exited. */
const open = <E, R>(
  self: Command<E, R>
): Effect.Effect<Opened<E>, SpawnError | SpawnServerLost, Scope.Scope | ProcessSpawner | R> =>
  Effect.gen(function*() {
    const spawner = yield* ProcessSpawner
    const readers = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    const started = spawner.clock.unsafeCurrentTimeMillis()
    const process = yield* spawnFor(spawner, withStdin(self))
    const job = Handle.jobOf(process)
    const outputs = collectors(self, job, [])
    const read = new Once<void>()
    let reading = streamNames.length
    const output = (stream: StreamName) =>
      Stream.ensuring(
        job === undefined
          ? Stream.tap(process[stream], (chunk) => Effect.sync(() => outputs[stream].push(chunk)))
          : job.stdio[stream].isPiped
          ? process[stream]
          : Stream.empty,
        Effect.sync(() => --reading === 0 && read.done(Exit.void))
      )
    const { maxOutput } = settingsOf(specOf(self))
    const duration = () => Duration.millis(spawner.clock.unsafeCurrentTimeMillis() - started)
    const tooLong = (stream: StreamName) =>
      Effect.gen(function*() {
        const took = duration()
        // What cannot be killed has no status to wait for, and is reported when the scope closes.
        const terminated = yield* Effect.exit(process.terminate())
        const stages = Exit.isSuccess(terminated) ? yield* Effect.orElseSucceed(process.stages, () => []) : []
        const ended = endedAs(self, stages.at(-1)?.exit, { stages, duration: took, outputs })
        return yield* new OutputLimitExceeded({ ...ended, limit: maxOutput, stream })
      })
    const lines = (stream: StreamName) => toLines(output(stream), maxOutput, tooLong(stream))
    const ending = yield* Effect.gen(function*() {
      // `exit` itself would warn of output that a slow consumer has yet to take.
      yield* raceFirst(Effect.exit(process.stages), Effect.exit(process.empty))
      const exit = yield* Effect.exit(process.exit)
      const took = duration()
      const { exited } = yield* finish(spawner, process, read)
      const stages = exited || Exit.isSuccess(exit) ? yield* Effect.orElseSucceed(process.stages, () => []) : []
      const run = { stages, duration: took, outputs }
      if (Exit.isFailure(exit)) return { exit, failed: undefined, run }
      const after = yield* afterSinks(process, exit)
      return { exit: after, failed: failedOf(self, process, exit.value, stages), run }
    }).pipe(Effect.interruptible, Effect.forkIn(readers))
    const exit = Effect.flatMap(Fiber.join(ending), ({ exit, failed, run }) =>
      Exit.match(exit, {
        onSuccess: (status) => Effect.succeed({ status, failed, run }),
        onFailure: (cause) =>
          Effect.failCause(Cause.map(cause, (error) => withOutput(self, error, run.stages.at(-1)?.exit, run)))
      }))
    return { process, output, lines, exit, readers, judged: (verdict) => job?.observed.judged(verdict) }
  })

/**
 * Stdout as it comes, made into what the caller wants before the status is judged: a failure must not cost the last line.
 *
 * @internal
 */
export const stream = <E, R, A>(
  self: Command<E, R>,
  read: (opened: Opened<E>) => Stream.Stream<A, OutputError | OutputLimitExceeded>
): Stream.Stream<A, CommandError | E, ProcessSpawner | R> =>
  Stream.unwrapScoped(Effect.gen(function*() {
    const opened = yield* open(self)
    const { exit, judged, output, readers } = opened
    yield* Effect.forkIn(Effect.interruptible(Effect.ignore(Stream.runDrain(output("stderr")))), readers)
    const judge = Effect.flatMap(exit, ({ failed, run }) =>
      failed === undefined ? Effect.void : failureOf(self, failed, run)).pipe(
        Effect.onExit((verdict) =>
          Effect.sync(() => judged(verdict))
        )
      )
    return Stream.concat(read(opened), Stream.execute(judge))
  }))

/**
 * A run whose stdin is what a Sink is given. Interrupted with its scope, so an input that fails ends the job with its stdin
 * still open.
 *
 * @internal
 */
export const sink = <E, R>(
  self: Command<E, R>
): Sink.Sink<CommandResult, Uint8Array, never, CommandError | E, ProcessSpawner | R> =>
  Sink.unwrapScoped(Effect.gen(function*() {
    const queue = yield* Queue.bounded<Chunk.Chunk<Uint8Array> | undefined>(1)
    /** The command has stopped reading, or ended. */
    const stopped = new Once<void>()
    const stop = Effect.sync(() => stopped.done(Exit.void))
    const next = Effect.flatMap(
      Queue.take(queue),
      (chunk) => chunk === undefined ? Effect.fail(Option.none()) : Effect.succeed(chunk)
    )
    const input = Stream.ensuring(Stream.repeatEffectChunkOption(next), stop)
    const run = collectAccepted(map<E, R>(self, (spec) => setStdin(spec, input)), streamNames)
    const fiber = yield* Effect.forkScoped(Effect.interruptible(Effect.ensuring(run, stop)))
    const hand = (chunk: Chunk.Chunk<Uint8Array> | undefined) =>
      Effect.suspend(() =>
        stopped.isDone || queue.unsafeOffer(chunk) ? Effect.void : raceFirst(Queue.offer(queue, chunk), stopped.await)
      )
    const take: Sink.Sink<void, Uint8Array, Uint8Array> = Sink.forEachChunkWhile((chunk) =>
      Effect.map(hand(chunk), () => !stopped.isDone)
    )
    const taken = Sink.mapEffect(Sink.ignoreLeftover(take), () => hand(undefined))
    // The end of the command is not waited for in the input, which may have nothing to say for a long time.
    return Sink.fromChannel(Channel.mergeWith(Sink.toChannel(taken), {
      other: Channel.fromEffect(Fiber.join(fiber)),
      onSelfDone: (exit) =>
        Exit.isFailure(exit) ? MergeDecision.Done(Exit.failCause(exit.cause)) : MergeDecision.Await(identity),
      onOtherDone: (exit) => MergeDecision.Done(exit)
    }))
  }))

/** @internal */
export const events = <E, R>(
  self: Command<E, R>
): Stream.Stream<
  CommandEvent,
  SpawnError | SpawnServerLost | TimedOut | OutputError | OutputLimitExceeded | E,
  ProcessSpawner | R
> =>
  Stream.unwrapScoped(
    Effect.map(open(self), ({ exit, judged, lines, process }) =>
      Stream.make<[CommandEvent]>({ _tag: "Started", pid: process.pid }).pipe(
        Stream.concat(Stream.merge(
          Stream.map(lines("stdout"), (line): CommandEvent => ({ _tag: "Stdout", line })),
          Stream.map(lines("stderr"), (line): CommandEvent => ({ _tag: "Stderr", line }))
        )),
        Stream.concat(
          Stream.fromEffect(
            Effect.map(exit, ({ status }): CommandEvent => ({ _tag: "Ended", exit: status })).pipe(
              Effect.onExit((verdict) =>
                Effect.sync(() => judged(verdict))
              )
            )
          )
        )
      ))
  )
