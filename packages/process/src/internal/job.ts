/**
 * The life of one job, over any engine: what feeds it, its deadline, its one termination, the three facts (exited, streams
 * ended, empty) and the release that waits for them.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { NodeInspectSymbol } from "effect/Inspectable"
import * as Option from "effect/Option"
import { type Ended, ProcessGone, Signaled, type SpawnServerLost, TimedOut, Unkillable } from "../CommandError.ts"
import type { StageResult } from "../CommandResult.ts"
import type { Engine, EngineJob, StageExit } from "../Engine.ts"
import { type ExitStatus, isExited } from "../ExitStatus.ts"
import type { Process } from "../Process.ts"
import { combineUsage, noUsage } from "../ProcessInfo.ts"
import { isSignal, type Signal } from "../Signal.ts"
import { bounds } from "./bounds.ts"
import { stageName } from "./command.ts"
import { fork, raceFirst } from "./fibers.ts"
import { type Internals, know } from "./handles.ts"
import { Once } from "./once.ts"
import type { Output } from "./output.ts"
import type { Plan } from "./plan.ts"
import { secretsOf, settingsOf, show, type Spec } from "./spec.ts"
import { failedStage } from "./statuses.ts"
import { JobStdio } from "./stdio.ts"
import { scrub } from "./text.ts"

const isUnkillable = (cause: Cause.Cause<unknown>): boolean =>
  Option.exists(Cause.failureOption(cause), (error) => error instanceof Unkillable)

/** @internal */
export class Job<E> {
  private readonly engine: Engine
  private readonly running: EngineJob
  private readonly spec: Spec
  private readonly settings: ReturnType<typeof settingsOf>
  private readonly name: string
  private readonly secrets: ReadonlyArray<string>
  private readonly started: number
  private readonly stdio: JobStdio<E>
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
  private deadlineWatch: Fiber.RuntimeFiber<unknown, unknown> | undefined
  private readonly warned = new Set<Output>()
  private sinksAwaited = false

  constructor(engine: Engine, running: EngineJob, spec: Spec, plan: Plan, name: string, started: number) {
    this.secrets = secretsOf(spec)
    this.settings = settingsOf(spec)
    this.engine = engine
    this.running = running
    this.spec = spec
    this.name = name
    this.started = started
    const { timeout } = this.settings
    this.deadline = timeout === undefined ? Infinity : started + Duration.toMillis(timeout)
    this.stdio = new JobStdio(name, plan, running, this.secrets, (cause) => this.endBecause(cause && (() => cause)))
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

  begin<R>(): Effect.Effect<void, never, R> {
    return Effect.gen(this, function*() {
      yield* fork(this.life)
      yield* this.stdio.begin<R>(fork)
      if (this.deadline < Infinity) this.deadlineWatch = yield* fork(this.watchDeadline)
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
          : Exit.map(exits, () => this.lastStatus())
      )
      return Effect.flatMap(Effect.exit(this.running.empty), (empty) => this.emptied(empty))
    })
  }

  /** Once the job is empty, or cannot be made so, nothing that holds a pipe keeps a reader waiting. */
  private emptied(empty: Exit.Exit<void, Unkillable | SpawnServerLost>): Effect.Effect<void> {
    return Effect.gen(this, function*() {
      if (this.empty.isDone) return
      const { stdio } = this
      this.empty.done(empty)
      if (this.deadlineWatch !== undefined) yield* Fiber.interruptFork(this.deadlineWatch)
      yield* stdio.interruptFeeds
      // What could not be killed may still take an end of file for the end of a complete input.
      if (Exit.isSuccess(empty) || !isUnkillable(empty.cause)) yield* stdio.closeInputs
      if (stdio.hasEnded) return
      yield* this.within(stdio.ended, bounds.drain)
      yield* stdio.cut
    })
  }

  /** The stage that makes the job a failure. */
  private get failedStage(): number | undefined {
    return failedStage(this.spec.stages, this.stageExits, (stage) => this.stdio.wasAbandoned(stage))
  }

  /** Of the last stage that failed, else of the last stage. */
  private lastStatus(): ExitStatus {
    const failed = this.failedStage
    const last = failed === undefined ? this.stageExits.at(-1) : this.stageExits[failed]
    if (last === undefined) throw new Error("an engine reported a job without stages")
    return last.exit
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
      return this.endBecause(() => Cause.fail(new TimedOut({ ...this.ended(this.statusSoFar), after })))
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
      const signal = isSignal(options?.signal) ? options.signal : this.settings.killSignal
      const given = Option.filter(Duration.decodeUnknown(options?.gracePeriod), Duration.isFinite)
      const grace = signal === "SIGKILL" ? Duration.zero : Option.getOrElse(given, () => this.settings.gracePeriod)
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
    return Effect.zipRight(this.empty.await, Effect.map(this.exits.await, () => this.lastStatus()))
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
      yield* this.stdio.interruptFeeds
      yield* this.stdio.closeInputs
      yield* this.endSinks
      yield* this.stdio.closeOutputs
    })
  }

  /** Forked, for in a release nothing is interruptible. */
  private get endSinks(): Effect.Effect<void> {
    const { stdio } = this
    return Effect.gen(this, function*() {
      if (stdio.isRunning) {
        // A Sink takes what is left, and the finalizers of the user's Streams are waited for, but neither for ever.
        yield* Effect.flatMap(fork(this.within(stdio.runningSinks, bounds.drain)), Fiber.await)
        yield* Effect.flatMap(fork(this.within(stdio.interruptAll, bounds.drain)), Fiber.await)
      }
      const sinks = stdio.sinks.exit
      if (this.sinksAwaited || sinks === undefined || Exit.isSuccess(sinks)) return
      // Who awaited the exit has had it already.
      if (this.exit.exit !== undefined && Exit.isSuccess(this.exit.exit)) {
        yield* Effect.logError(`${this.name}: an output Sink failed: ${scrub(Cause.pretty(sinks.cause), this.secrets)}`)
      }
    })
  }

  private get statusSoFar(): ExitStatus | undefined {
    return this.stageExits.length === 0 ? undefined : this.lastStatus()
  }

  private get stageResults(): ReadonlyArray<StageResult> {
    return this.stageExits.map(({ exit, pid, usage }, i) => ({
      command: stageName(this.spec.stages[i] ?? this.spec.stages[0]),
      pid,
      exit,
      usage,
      stderrTail: this.stdio.stderrTailOf(i)
    }))
  }

  private ended<Exit>(exit: Exit): Ended<Exit> {
    return {
      command: this.name,
      exit,
      stages: this.stageResults,
      duration: this.duration ?? Duration.millis(this.now() - this.started),
      stdoutTail: this.stdio.stdout.tail.text(),
      stderrTail: this.stdio.stderr.tail.text(),
      stdout: new Uint8Array(0)
    }
  }

  /** Waits for the exit, and says so when the wait may be for a reader that nobody is. */
  private get awaitExit(): Effect.Effect<ExitStatus, E | TimedOut | SpawnServerLost> {
    return Effect.suspend(() => {
      const unread = [this.stdio.stdout, this.stdio.stderr].filter((output) => output.isUnread)
      if (unread.length === 0) return this.exit.await
      const warn = Effect.forEach(unread, (output) =>
        Effect.suspend(() => {
          if (!output.holdsUnreadData || this.warned.has(output)) return Effect.void
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
      if (this.settings.timeout === undefined) return
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
      stdin: this.stdio.stdin.sink,
      stdout: this.stdio.stdout.stream,
      stderr: this.stdio.stderr.stream,
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
    const own: Internals<E> = {
      exit: this.exit,
      sinks: Effect.suspend(() => {
        this.sinksAwaited = true
        return this.stdio.sinks.await
      }),
      failed: () => {
        const stage = this.failedStage
        return stage === undefined ? undefined : this.stageResults[stage]
      }
    }
    know(handle, own)
    return handle
  }
}
