/**
 * The life of one job, over any engine: what feeds it, its deadline, its one termination, the three facts (exited, streams
 * ended, empty) and the release that waits for them.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { NodeInspectSymbol } from "effect/Inspectable"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Command } from "../Command.ts"
import {
  type Ended,
  ProcessGone,
  Signaled,
  SpawnError,
  type SpawnServerLost,
  TimedOut,
  Unkillable
} from "../CommandError.ts"
import type { StageResult } from "../CommandResult.ts"
import type { Engine, EngineJob, SpawnFailure, StageExit } from "../Engine.ts"
import { type ExitStatus, isExited } from "../ExitStatus.ts"
import type { Process } from "../Process.ts"
import { combineUsage, noUsage } from "../ProcessInfo.ts"
import { isSignal, type Signal } from "../Signal.ts"
import { bounds } from "./bounds.ts"
import { name as nameOf, specOf } from "./command.ts"
import { Input } from "./input.ts"
import { Once } from "./once.ts"
import { Output } from "./output.ts"
import { resolve, secretsOf, show, type Spec } from "./spec.ts"
import { scrub, Tail } from "./text.ts"

/** @internal */
export const spawn = <E, R>(
  engine: Engine,
  command: Command<E, R>
): Effect.Effect<Process<E>, SpawnError | SpawnServerLost, Scope.Scope | R> =>
  Effect.map(Effect.acquireRelease(acquire(engine, command), (job) => job.release), (job) => job.handle)

const exits = new WeakMap<Process<unknown>, unknown>()

/**
 * The exit of a process of ours, which can be listened to without a fiber that waits. Says nothing of unread output.
 *
 * @internal
 */
export const exitOf = <E>(process: Process<E>): Once<ExitStatus, E | TimedOut | SpawnServerLost> | undefined =>
  // Set by the handle, with the type of its own errors.
  exits.get(process) as Once<ExitStatus, E | TimedOut | SpawnServerLost> | undefined

const acquire = <E, R>(
  engine: Engine,
  command: Command<E, R>
): Effect.Effect<Job<E>, SpawnError | SpawnServerLost, R> =>
  Effect.gen(function*() {
    const spec = specOf(command)
    const name = nameOf(command)
    const resolved = resolve(spec, yield* engine.environment)
    const started = engine.clock.unsafeCurrentTimeMillis()
    const spawned = Either.isLeft(resolved) ? Effect.fail(resolved.left) : engine.spawn({
      stages: [resolved.right],
      killSignal: spec.killSignal,
      gracePeriod: spec.gracePeriod,
      timeout: spec.timeout
    })
    const running = yield* Effect.mapError(spawned, (failure) =>
      failure._tag === "SpawnServerLost" ? failure : spawnError(failure, name, secretsOf(spec)))
    const job = new Job<E>(engine, running, spec, name, started)
    const stdin = spec.stdin
    // `Command` carries the types of its stdin Stream; the untyped spec only keeps it.
    yield* job.begin(typeof stdin === "object" ? stdin as Stream.Stream<Uint8Array | string, E, R> : undefined)
    return job
  })

const spawnError = (failure: SpawnFailure, command: string, secrets: ReadonlyArray<string>): SpawnError => {
  const { detail, errno, path, reason, stage } = failure
  // The program itself may be redacted, and is then the path that was not found.
  return new SpawnError({
    command,
    reason,
    stage,
    errno,
    path: path === undefined ? undefined : scrub(path, secrets),
    detail
  })
}

/**
 * Forks what must neither end with its caller nor inherit that the caller cannot be interrupted.
 *
 * @internal
 */
export const fork = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Fiber.RuntimeFiber<A, E>, never, R> =>
  Effect.forkDaemon(Effect.interruptible(effect))

/**
 * The first to complete; the other is interrupted, also where the caller cannot be: in a finalizer the loser would
 * otherwise be waited for, for ever.
 *
 * @internal
 */
export const raceFirst = <A, E, B, E2>(
  self: Effect.Effect<A, E>,
  that: Effect.Effect<B, E2>
): Effect.Effect<A | B, E | E2> => Effect.raceFirst(Effect.interruptible(self), Effect.interruptible(that))

const isUnkillable = (cause: Cause.Cause<unknown>): boolean =>
  Option.exists(Cause.failureOption(cause), (error) => error instanceof Unkillable)

/** Of the last stage that failed, else of the last stage. */
const resultOf = (exits: ReadonlyArray<StageExit>): ExitStatus => {
  const failed = exits.findLast(({ exit }) => !(isExited(exit) && exit.code === 0)) ?? exits.at(-1)
  if (failed === undefined) throw new Error("an engine reported a job without stages")
  return failed.exit
}

class Job<E> {
  private readonly engine: Engine
  private readonly running: EngineJob
  private readonly spec: Spec
  private readonly name: string
  private readonly secrets: ReadonlyArray<string>
  private readonly started: number
  private readonly stdin: Input
  private readonly stdout: Output
  private readonly stderr: Output
  private readonly exits = new Once<ReadonlyArray<StageExit>, SpawnServerLost>()
  private readonly exit = new Once<ExitStatus, E | TimedOut | SpawnServerLost>()
  private readonly empty = new Once<void, Unkillable | SpawnServerLost>()
  private readonly escalation = new Once<void>()
  private termination: Once<ExitStatus, Unkillable | SpawnServerLost> | undefined
  private stageExits: ReadonlyArray<StageExit> = []
  private duration: Duration.Duration | undefined
  /** What `exit` fails with once everything has exited. */
  private failure: (() => Cause.Cause<E | TimedOut>) | undefined
  private deadline: number
  private readonly fibers: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
  private readonly warned = new Set<Output>()

  constructor(
    engine: Engine,
    running: EngineJob,
    spec: Spec,
    name: string,
    started: number
  ) {
    const secrets = secretsOf(spec)
    this.secrets = secrets
    this.engine = engine
    this.running = running
    this.spec = spec
    this.name = name
    this.started = started
    this.deadline = spec.timeout === undefined ? Infinity : started + Duration.toMillis(spec.timeout)
    this.stdin = new Input(name, running.stdin, Effect.suspend(() => this.endBecause(undefined)))
    this.stdout = new Output(name, "stdout", running.stdout, new Tail(secrets))
    this.stderr = new Output(name, "stderr", running.stderr, new Tail(secrets))
  }

  /** On the engine's clock, as everything timed here is. */
  private sleep(duration: Duration.DurationInput): Effect.Effect<void> {
    return Effect.withClock(Effect.sleep(duration), this.engine.clock)
  }

  /** Waits for an event, but no longer. */
  private within(event: Effect.Effect<unknown>, bound: Duration.Duration): Effect.Effect<void> {
    return Effect.asVoid(raceFirst(event, this.sleep(bound)))
  }

  private now(): number {
    return this.engine.clock.unsafeCurrentTimeMillis()
  }

  begin<R>(input: Stream.Stream<Uint8Array | string, E, R> | undefined): Effect.Effect<void, never, R> {
    return Effect.gen(this, function*() {
      yield* fork(this.life)
      if (input !== undefined) this.fibers.push(yield* fork(this.feed(input)))
      if (this.deadline < Infinity) this.fibers.push(yield* fork(this.watchDeadline))
    })
  }

  /** From exit to empty, whether or not anybody looks. */
  private get life(): Effect.Effect<void> {
    return Effect.flatMap(Effect.exit(this.running.exits), (exits) => {
      this.duration = Duration.millis(this.now() - this.started)
      if (Exit.isSuccess(exits)) this.stageExits = exits.value
      this.exits.done(exits)
      this.exit.done(
        Exit.isSuccess(exits) && this.failure !== undefined
          ? Exit.failCause(this.failure())
          : Exit.map(exits, resultOf)
      )
      return Effect.flatMap(Effect.exit(this.running.empty), (empty) => this.emptied(empty))
    })
  }

  /** Once the job is empty, or cannot be made so, nothing that holds a pipe keeps a reader waiting. */
  private emptied(empty: Exit.Exit<void, Unkillable | SpawnServerLost>): Effect.Effect<void> {
    return Effect.gen(this, function*() {
      if (this.empty.isDone) return
      this.empty.done(empty)
      for (const fiber of this.fibers) yield* Fiber.interruptFork(fiber)
      // What could not be killed may still take an end of file for the end of a complete input.
      if (Exit.isSuccess(empty) || !isUnkillable(empty.cause)) yield* this.stdin.close
      const { stderr, stdout } = this
      if (!stdout.end.isDone || !stderr.end.isDone) {
        yield* this.within(Effect.zipRight(stdout.end.await, stderr.end.await), bounds.drain)
      }
      yield* Effect.zipRight(this.stdout.cut, this.stderr.cut)
    })
  }

  private feed<R>(input: Stream.Stream<Uint8Array | string, E, R>): Effect.Effect<void, never, R> {
    return this.stdin.feed(input).pipe(
      Effect.catchAllCause((cause) => this.endBecause(() => cause))
    )
  }

  private get watchDeadline(): Effect.Effect<void> {
    const reached: Effect.Effect<void> = this.engine.guarantees.deadline === "external"
      ? this.running.deadlineExpired
      : Effect.suspend(() => {
        const left = this.deadline - this.now()
        return left <= 0 ? Effect.void : Effect.zipRight(this.sleep(left), reached)
      })
    return Effect.flatMap(reached, () => {
      const after = Duration.millis(this.deadline - this.started)
      return this.endBecause(() => Cause.fail(new TimedOut({ ...this.ended(this.lastStatus), after })))
    })
  }

  /** Ends the job because something went wrong; the first cause that is given becomes the failure of `exit`. */
  private endBecause(cause: (() => Cause.Cause<E | TimedOut>) | undefined): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.failure ??= cause
      return this.terminate().pipe(
        // What cannot be killed does not exit: who waits for the exit learns why it was to end.
        Effect.catchTag(
          "Unkillable",
          () => Effect.sync(() => this.failure && this.exit.done(Exit.failCause(this.failure())))
        ),
        Effect.ignore,
        fork,
        Effect.asVoid
      )
    })
  }

  /** Joins the one termination, or begins it. Every caller sets a timer, so the shortest grace period holds. */
  private terminate(
    options?: { readonly signal?: Signal; readonly gracePeriod?: Duration.DurationInput }
  ): Effect.Effect<ExitStatus, Unkillable | SpawnServerLost> {
    // An interrupt half-way would leave a termination that never begins, and the release waits for it.
    return Effect.uninterruptibleMask((restore) => {
      if (this.empty.isDone) return restore(this.status)
      const signal = isSignal(options?.signal) ? options.signal : this.spec.killSignal
      const given = Option.filter(Duration.decodeUnknown(options?.gracePeriod), Duration.isFinite)
      const grace = signal === "SIGKILL" ? Duration.zero : Option.getOrElse(given, () => this.spec.gracePeriod)
      const timer = fork(raceFirst(
        this.empty.settled,
        Effect.map(this.sleep(grace), () => this.escalation.done(Exit.void))
      ))
      const begun = this.termination
      const termination = begun ?? new Once<ExitStatus, Unkillable | SpawnServerLost>()
      this.termination = termination
      const begin = begun === undefined
        ? fork(Effect.map(Effect.exit(this.end(signal, grace)), (exit) => termination.done(exit)))
        : Effect.void
      return begin.pipe(Effect.zipRight(timer), Effect.zipRight(restore(termination.await)))
    })
  }

  private end(signal: Signal, grace: Duration.Duration): Effect.Effect<ExitStatus, Unkillable | SpawnServerLost> {
    return Effect.gen(this, function*() {
      const { empty, running } = this
      if (!empty.isDone && signal !== "SIGKILL") {
        yield* running.terminate(signal, grace)
        yield* raceFirst(empty.settled, this.escalation.await)
      }
      if (!empty.isDone) {
        yield* Effect.logDebug(`${this.name}: SIGKILL to what is left of process group ${running.processGroupId}`)
        yield* running.kill
        yield* this.within(empty.settled, bounds.kill)
      }
      if (!empty.isDone) yield* fork(this.emptied(Exit.fail(yield* this.unkillable)))
      return yield* this.status
    })
  }

  /** How an ended job ended. */
  private get status(): Effect.Effect<ExitStatus, Unkillable | SpawnServerLost> {
    return Effect.zipRight(this.empty.await, Effect.map(this.exits.await, resultOf))
  }

  private get unkillable(): Effect.Effect<Unkillable> {
    return Effect.map(this.running.survivors, (left) =>
      new Unkillable({
        command: this.name,
        pids: left.map(({ pid }) => pid),
        state: left.map(({ pid, state }) => `pid ${pid} is in state ${state}`).join(", ")
      }))
  }

  /** Never interrupted (`Effect.acquireRelease` sees to that) and bounded. */
  get release(): Effect.Effect<void> {
    return Effect.gen(this, function*() {
      // Joined also where it has failed: what could not be killed is reported.
      if (this.empty.exit === undefined || Exit.isFailure(this.empty.exit)) {
        yield* this.terminate().pipe(
          Effect.catchTag("Unkillable", (error) => Effect.logError(error.message)),
          Effect.catchTag("SpawnServerLost", () => Effect.void)
        )
      }
      // Not before: until the job has gone, an end of file on its stdin would say that the input was complete.
      yield* this.stdin.close
      yield* Effect.zipRight(this.stdout.close, this.stderr.close)
      if (this.fibers.length > 0) {
        yield* Effect.forEach(this.fibers, Fiber.interruptFork, { discard: true })
        // The finalizers of the user's Stream are waited for, but not for ever. Forked, for here nothing is interruptible.
        yield* Effect.flatMap(
          fork(raceFirst(Effect.forEach(this.fibers, Fiber.await), this.sleep(bounds.drain))),
          Fiber.await
        )
      }
    })
  }

  private get lastStatus(): ExitStatus | undefined {
    return this.stageExits.length === 0 ? undefined : resultOf(this.stageExits)
  }

  private get stageResults(): ReadonlyArray<StageResult> {
    const stderrTail = this.stderr.tail.text()
    return this.stageExits.map((stage) => ({ command: this.name, ...stage, stderrTail }))
  }

  private ended<Exit>(exit: Exit): Ended<Exit> {
    return {
      command: this.name,
      exit,
      stages: this.stageResults,
      duration: this.duration ?? Duration.millis(this.now() - this.started),
      stdoutTail: this.stdout.tail.text(),
      stderrTail: this.stderr.tail.text(),
      stdout: new Uint8Array(0)
    }
  }

  /** Waits for the exit, and says so when the wait may be for a reader that nobody is. */
  private get awaitExit(): Effect.Effect<ExitStatus, E | TimedOut | SpawnServerLost> {
    return Effect.suspend(() => {
      const unread = [this.stdout, this.stderr].filter((output) => output.isUnread)
      if (unread.length === 0) return this.exit.await
      const warn = Effect.forEach(unread, (output) =>
        Effect.flatMap(output.holdsUnreadData, (holds) => {
          if (!holds || this.warned.has(output)) return Effect.void
          this.warned.add(output)
          return Effect.logWarning(
            `${this.name}: ${output.name} holds data that nobody reads, which may keep the process from exiting; ` +
              `read it, or send it elsewhere with Command.${output.name}`
          )
        }))
      const watch = Effect.zipRight(this.sleep(bounds.unreadWarning), warn).pipe(
        Effect.repeat({ while: () => unread.some((output) => output.isUnread && !this.warned.has(output)) }),
        Effect.zipRight(Effect.never)
      )
      return raceFirst(this.exit.await, watch)
    })
  }

  private signal(
    signal: Signal,
    to: "group" | "leader"
  ): Effect.Effect<void, ProcessGone | Unkillable | SpawnServerLost> {
    const pids = [this.running.pid]
    return Effect.suspend(() => {
      if (!isSignal(signal)) {
        const state = `${show(signal)} is no signal; write a name such as "SIGTERM"`
        return Effect.fail(new Unkillable({ command: this.name, pids, state }))
      }
      return Effect.mapError(this.running.signal(signal, to), (failure) => {
        if (failure._tag === "SpawnServerLost") return failure
        return failure.reason === "Gone"
          ? new ProcessGone({ command: this.name, pids, state: to === "group" ? "the job has ended" : "it has exited" })
          : new Unkillable({ command: this.name, pids, state: `${signal} was not permitted` })
      })
    })
  }

  private extendDeadline(input: Duration.DurationInput): Effect.Effect<void, ProcessGone | SpawnServerLost> {
    return Effect.gen(this, function*() {
      if (this.empty.isDone) {
        return yield* new ProcessGone({ command: this.name, pids: [this.running.pid], state: "the job has ended" })
      }
      if (this.spec.timeout === undefined) return
      const by = Option.getOrElse(Duration.decodeUnknown(input), () => Duration.zero)
      this.deadline += Duration.toMillis(by)
      yield* this.running.extendDeadline(by)
    })
  }

  get handle(): Process<E> {
    const { running } = this
    const exit = this.awaitExit
    const toJSON = () => ({ _id: "Process", pid: running.pid, command: this.name })
    const handle: Process<E> = {
      pid: running.pid,
      processGroupId: running.processGroupId,
      stdin: this.stdin.sink,
      stdout: this.stdout.stream,
      stderr: this.stderr.stream,
      exit,
      stages: Effect.map(this.exits.await, () => this.stageResults),
      exitCode: Effect.flatMap(exit, (status) =>
        isExited(status)
          ? Effect.succeed(status.code)
          : new Signaled({ ...this.ended(status), signal: status.signal, coreDumped: status.coreDumped })),
      empty: this.empty.await,
      isRunning: Effect.sync(() => !this.exit.isDone),
      descendants: Effect.map(
        running.descendants,
        (all) => all.map((info) => ({ ...info, commandLine: scrub(info.commandLine, this.secrets) }))
      ),
      usage: Effect.suspend(() =>
        this.stageExits.length === 0
          ? running.usage
          : Effect.succeed(this.stageExits.map(({ usage }) => usage).reduce(combineUsage, noUsage))
      ),
      signal: (signal, options) => this.signal(signal, options?.to ?? "group"),
      terminate: (options) => this.terminate(options),
      extendDeadline: (by) => this.extendDeadline(by),
      toJSON,
      toString: () => `Process(${running.pid}, ${this.name})`,
      [NodeInspectSymbol]: toJSON
    }
    exits.set(handle, this.exit)
    return handle
  }
}
