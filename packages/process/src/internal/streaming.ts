/** The runners that hand output on as it comes, or take input as it comes. */
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import type * as Chunk from "effect/Chunk"
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
  type SpawnError,
  type SpawnServerLost,
  TimedOut
} from "../CommandError.ts"
import type { CommandResult, StageResult } from "../CommandResult.ts"
import type { CommandEvent } from "../CommandRunner.ts"
import type { ExitStatus } from "../ExitStatus.ts"
import type { Process } from "../Process.ts"
import { ProcessSpawner } from "../ProcessSpawner.ts"
import { map } from "./command.ts"
import { raceFirst } from "./fork.ts"
import { Handle } from "./handle.ts"
import { Once } from "./once.ts"
import { setStdin } from "./spec.ts"
import { LineSplitter } from "./text.ts"
import {
  afterSinks,
  collectors,
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
    const ending = yield* Effect.gen(function*() {
      // `exit` itself would warn of output that a slow consumer has yet to take.
      yield* raceFirst(Effect.exit(process.stages), Effect.exit(process.empty))
      const exit = yield* Effect.exit(process.exit)
      const duration = Duration.millis(spawner.clock.unsafeCurrentTimeMillis() - started)
      const { exited } = yield* finish(spawner, process, read)
      const stages = exited || Exit.isSuccess(exit) ? yield* Effect.orElseSucceed(process.stages, () => []) : []
      const run = { stages, duration, outputs }
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
    return { process, output, exit, readers, judged: (verdict) => job?.observed.judged(verdict) }
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
    const { exit, judged, output, readers } = yield* open(self)
    yield* Effect.forkIn(Effect.interruptible(Effect.ignore(Stream.runDrain(output("stderr")))), readers)
    const judge = Effect.flatMap(exit, ({ failed, run }) =>
      failed === undefined ? Effect.void : failureOf(self, failed, run)).pipe(
        Effect.onExit((verdict) =>
          Effect.sync(() => judged(verdict))
        )
      )
    return Stream.concat(decode(output("stdout")), Stream.execute(judge))
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
  SpawnError | SpawnServerLost | TimedOut | OutputError | E,
  ProcessSpawner | R
> =>
  Stream.unwrapScoped(
    Effect.map(open(self), ({ exit, judged, output, process }) =>
      Stream.make<[CommandEvent]>({ _tag: "Started", pid: process.pid }).pipe(
        Stream.concat(Stream.merge(
          Stream.map(toLines(output("stdout")), (line): CommandEvent => ({ _tag: "Stdout", line })),
          Stream.map(toLines(output("stderr")), (line): CommandEvent => ({ _tag: "Stderr", line }))
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
