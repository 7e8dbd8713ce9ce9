/**
 * The life of one job, over any engine: its deadline, its one termination, the three facts (exited, streams ended, empty) and
 * the release that waits for them.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import { type Ended, ProcessGone, type SpawnServerLost, TerminalError, TimedOut, Unkillable } from "../CommandError.ts"
import type { StageResult } from "../CommandResult.ts"
import type { Engine, EngineJob, StageExit } from "../Engine.ts"
import type { ExitStatus } from "../ExitStatus.ts"
import { combineUsage, noUsage, type ProcessInfo, type ResourceUsage } from "../ProcessInfo.ts"
import { isSignal, type Signal } from "../Signal.ts"
import { bounds } from "./bounds.ts"
import { specName, stageName } from "./command.ts"
import { fork, raceFirst } from "./fork.ts"
import type { Observation } from "./observation.ts"
import { Once } from "./once.ts"
import type { Output } from "./output.ts"
import type { Plan } from "./plan.ts"
import { durationOf, secretsOf, settingsOf, show, sizeProblem, type Spec } from "./spec.ts"
import { failedStage } from "./statuses.ts"
import { JobStdio } from "./stdio.ts"
import { printable, scrub } from "./text.ts"

/** @internal */
export class Job<E> {
  readonly running: EngineJob
  readonly stdio: JobStdio<E>
  readonly exits = new Once<ReadonlyArray<StageExit>, SpawnServerLost>()
  readonly exit = new Once<ExitStatus, E | TimedOut | SpawnServerLost>()
  readonly empty = new Once<void, Unkillable | SpawnServerLost>()
  readonly observed: Observation
  private readonly engine: Engine
  private readonly spec: Spec
  private readonly settings: ReturnType<typeof settingsOf>
  private readonly started: number
  private readonly runtime: Runtime.Runtime<never>
  private readonly escalation = new Once<void>()
  private terminated = 0
  /** When the shortest of the grace periods is over. */
  private graceEnds = Infinity
  private termination: Once<ExitStatus, Unkillable | SpawnServerLost> | undefined
  private stageExits: ReadonlyArray<StageExit> = []
  private duration: Duration.Duration | undefined
  /** What `exit` fails with once everything has exited. */
  private failure: (() => Cause.Cause<E | TimedOut>) | undefined
  private deadline: number
  private deadlineWatch: Fiber.RuntimeFiber<unknown, unknown> | undefined
  private readonly warned = new Set<Output>()
  private sinksAwaited = false

  constructor(
    engine: Engine,
    running: EngineJob,
    spec: Spec,
    plan: Plan,
    started: number,
    runtime: Runtime.Runtime<never>,
    observed: Observation
  ) {
    const settings = settingsOf(spec)
    this.engine = engine
    this.running = running
    this.spec = spec
    this.settings = settings
    this.started = started
    this.runtime = runtime
    this.observed = observed
    this.deadline = settings.timeout === undefined ? Infinity : started + Duration.toMillis(settings.timeout)
    const pipes = observed.pipes(running, plan)
    this.stdio = new JobStdio(spec, plan, pipes, (cause) => this.endBecause(cause && (() => cause)))
  }

  /** As a user would type it. */
  get name(): string {
    return specName(this.spec)
  }

  private get secrets(): ReadonlyArray<string> {
    return secretsOf(this.spec)
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

  /** From exit to empty, whether or not anybody looks. Returns what starts that which runs beside the job, if anything does. */
  begin<R>(): Effect.Effect<void, never, R> | undefined {
    const beside = this.beside<R>()
    // In the span, which may end with what the engine tells at once.
    const begin = beside && this.observed.within(beside)
    this.running.observe({
      exited: (exits) => this.exited(exits),
      emptied: (empty) => this.emptied(empty),
      deadlinePassed: () => void Runtime.runFork(this.runtime)(this.pastDeadline)
    })
    return begin
  }

  private beside<R>(): Effect.Effect<void, never, R> | undefined {
    const begun = this.stdio.begin<R>()
    if (this.deadline === Infinity || this.engine.guarantees.deadline === "external") return begun
    return Effect.flatMap(Effect.zipRight(begun ?? Effect.void, fork(this.watchDeadline())), (fiber) => {
      this.deadlineWatch = fiber
      // It may have been over before it began.
      return this.empty.isDone ? Fiber.interruptFork(fiber) : Effect.void
    })
  }

  private exited(exits: Exit.Exit<ReadonlyArray<StageExit>, SpawnServerLost>): void {
    this.duration = Duration.millis(this.now() - this.started)
    if (Exit.isFailure(exits)) {
      this.exits.done(exits)
      return this.exit.done(Exit.failCause(exits.cause))
    }
    this.stageExits = exits.value
    const status = this.lastStatus()
    this.observed.exited(exits.value, status)
    this.exits.done(exits)
    this.exit.done(this.failure === undefined ? Exit.succeed(status) : Exit.failCause(this.failure()))
  }

  /** Once the job is empty, or cannot be made so, nothing that holds a pipe keeps a reader waiting. */
  private emptied(empty: Exit.Exit<void, Unkillable | SpawnServerLost>): void {
    if (this.empty.isDone) return
    const { stdio } = this
    this.observed.emptied(empty, this.exit.exit)
    this.empty.done(empty)
    this.deadlineWatch?.unsafeInterruptAsFork(FiberId.none)
    stdio.interruptFeeds()
    // What could not be killed may still take an end of file for the end of a complete input.
    const mayRead = Exit.isFailure(empty) && Cause.isFailType(empty.cause) && empty.cause.error._tag === "Unkillable"
    if (!mayRead) stdio.closeInputs()
    // Those that read are often about to find the end: only for what is left after them there is a timer.
    if (!stdio.hasEnded) void Promise.resolve().then(() => this.cutLate())
  }

  private cutLate(): void {
    const { stdio } = this
    if (stdio.hasEnded) return
    const cut = Runtime.runFork(this.runtime)(Effect.map(this.sleep(bounds.drain), () => stdio.cut()))
    stdio.onEnded(() => cut.unsafeInterruptAsFork(FiberId.none))
  }

  /** The stage that makes the job a failure. */
  get failed(): StageResult | undefined {
    const stage = this.failedStage
    return stage === undefined ? undefined : this.stageResults[stage]
  }

  private get failedStage(): number | undefined {
    return failedStage(
      this.spec.stages,
      this.stageExits,
      (stage) => this.stdio.wasAbandoned(stage),
      this.spec.settings.terminal !== undefined
    )
  }

  /** Of the last stage that failed, else of the last stage. */
  private lastStatus(): ExitStatus {
    const failed = this.failedStage
    const last = failed === undefined ? this.stageExits.at(-1) : this.stageExits[failed]
    if (last === undefined) throw new Error("an engine reported a job without stages")
    return last.exit
  }

  private watchDeadline(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const left = this.deadline - this.now()
      return left <= 0 ? this.pastDeadline : Effect.zipRight(this.sleep(left), this.watchDeadline())
    })
  }

  private get pastDeadline(): Effect.Effect<void> {
    return Effect.suspend(() => {
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
  terminate(
    options?: { readonly signal?: Signal; readonly gracePeriod?: Duration.DurationInput }
  ): Effect.Effect<ExitStatus, Unkillable | SpawnServerLost> {
    // An interrupt half-way would leave a termination that never begins, and the release waits for it.
    return Effect.uninterruptibleMask((restore) => {
      if (this.empty.isDone) return restore(this.status)
      const signal = isSignal(options?.signal) ? options.signal : this.settings.killSignal
      const given = Option.filter(durationOf(options?.gracePeriod), Duration.isFinite)
      const grace = signal === "SIGKILL" ? Duration.zero : Option.getOrElse(given, () => this.settings.gracePeriod)
      const begun = this.termination
      const now = this.now()
      if (begun === undefined) this.terminated = now
      this.graceEnds = Math.min(this.graceEnds, now + Duration.toMillis(grace))
      const termination = begun ?? new Once<ExitStatus, Unkillable | SpawnServerLost>()
      this.termination = termination
      const begin = begun === undefined
        ? fork(Effect.map(Effect.exit(this.end(signal, grace)), (exit) => termination.done(exit)))
        : Effect.void
      return begin.pipe(
        Effect.zipRight(fork(Effect.map(this.sleep(grace), () => this.escalation.done(Exit.void)))),
        Effect.flatMap((timer) => {
          this.empty.onDone(() => timer.unsafeInterruptAsFork(FiberId.none))
          return restore(termination.await)
        })
      )
    })
  }

  private end(signal: Signal, grace: Duration.Duration): Effect.Effect<ExitStatus, Unkillable | SpawnServerLost> {
    return Effect.gen(this, function*() {
      const { empty, observed, running } = this
      observed.signalled(signal, "job")
      if (!empty.isDone && signal !== "SIGKILL") {
        yield* running.terminate(signal, grace)
        const next = new Once<void>()
        empty.onDone(() => next.done(Exit.void))
        this.escalation.onDone((exit) => next.done(exit))
        yield* next.await
        // An engine that goes on to SIGKILL by itself may have been the first.
        const isLate = this.now() >= this.graceEnds
        if (isLate) yield* observed.escalated(signal, Duration.millis(this.graceEnds - this.terminated))
      }
      if (!empty.isDone) {
        yield* running.kill
        yield* this.within(empty.settled, bounds.kill)
      }
      if (!empty.isDone) this.emptied(Exit.fail(yield* this.unkillable))
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

  /** What outlived the programs of the job, where nobody has begun to end it. */
  leaked(all: ReadonlyArray<ProcessInfo>): Effect.Effect<void> {
    return this.exits.succeeded && this.termination === undefined ? this.observed.leaked(all) : Effect.void
  }

  /** Nothing is left of the job, and its Sinks have taken all. */
  get hasEnded(): boolean {
    return this.empty.succeeded && this.stdio.sinks.succeeded
  }

  /** Releases what has ended by itself; false: there is more to do, see `release`. */
  releaseNow(): boolean {
    const { stdio } = this
    if (!this.hasEnded || stdio.isRunning) return false
    stdio.closeInputs()
    stdio.closeOutputs()
    return true
  }

  /** Never interrupted (those who acquire see to that) and bounded. */
  get release(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.releaseNow()) return Effect.void
      const { stdio } = this
      const isLeaking = this.exits.succeeded && this.termination === undefined && !this.empty.isDone
      // An engine that cannot look must not keep us from ending what is there.
      const leaks = Effect.catchAllCause(
        Effect.flatMap(this.descendants, (all) => this.leaked(all)),
        (cause) =>
          this.observed.log(
            LogLevel.Error,
            `${this.name}: what it left cannot be listed: ${scrub(Cause.pretty(cause), this.secrets)}`
          )
      )
      const told = isLeaking ? this.within(leaks, bounds.drain) : Effect.void
      // Joined also where it has failed: what could not be killed is reported.
      const ended = this.empty.succeeded ? Effect.void : Effect.zipRight(told, this.terminate()).pipe(
        Effect.catchTag("Unkillable", (error) => this.observed.log(LogLevel.Error, error.message)),
        Effect.catchTag("SpawnServerLost", () => Effect.void)
      )
      return Effect.flatMap(ended, () => {
        stdio.interruptFeeds()
        stdio.closeInputs()
        if (stdio.isRunning || stdio.sinks.exit?._tag === "Failure") {
          return Effect.map(this.endSinks, () => stdio.closeOutputs())
        }
        stdio.closeOutputs()
        return Effect.void
      })
    })
  }

  /** Forked, for in a release nothing is interruptible. */
  private get endSinks(): Effect.Effect<void> {
    const { stdio } = this
    return Effect.gen(this, function*() {
      if (stdio.isRunning) {
        // A Sink takes what is left, and the finalizers of the user's Streams are waited for, but neither for ever.
        yield* Effect.flatMap(fork(this.within(stdio.sinksEnded, bounds.drain)), Fiber.await)
        yield* Effect.flatMap(fork(this.within(stdio.interruptAll, bounds.drain)), Fiber.await)
      }
      const sinks = stdio.sinks.exit
      // Who awaited the exit or the Sinks has had it already.
      if (this.sinksAwaited || sinks === undefined || Exit.isSuccess(sinks) || !this.exit.succeeded) return
      yield* Effect.logError(`${this.name}: an output Sink failed: ${scrub(Cause.pretty(sinks.cause), this.secrets)}`)
    })
  }

  /** Completes with the last output Sink. Who takes it is told of their failures. */
  get sinks(): Effect.Effect<void, E> {
    return Effect.suspend(() => {
      this.sinksAwaited = true
      return this.stdio.sinks.await
    })
  }

  private get statusSoFar(): ExitStatus | undefined {
    return this.stageExits.length === 0 ? undefined : this.lastStatus()
  }

  get stageResults(): ReadonlyArray<StageResult> {
    return this.stageExits.map(({ exit, pid, usage }, i) => ({
      command: stageName(this.spec.stages[i] ?? this.spec.stages[0]),
      pid,
      exit,
      usage,
      stderrTail: this.stdio.stderrTailOf(i)
    }))
  }

  ended<Exit>(exit: Exit): Ended<Exit> {
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
  get awaitExit(): Effect.Effect<ExitStatus, E | TimedOut | SpawnServerLost> {
    return Effect.suspend(() => {
      const unread = [this.stdio.stdout, this.stdio.stderr].filter((output) => output.isUnread)
      if (unread.length === 0 || this.exit.isDone) return this.exit.await
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
      return Effect.flatMap(
        fork(watch),
        (watching) => Effect.ensuring(this.exit.await, Effect.sync(() => watching.unsafeInterruptAsFork(FiberId.none)))
      )
    })
  }

  get descendants(): Effect.Effect<ReadonlyArray<ProcessInfo>> {
    return Effect.map(
      this.running.descendants,
      // Scrubbed first: a secret may hold what is not printable.
      (all) =>
        all.map((info) => ({
          ...info,
          name: printable(scrub(info.name, this.secrets)),
          commandLine: printable(scrub(info.commandLine, this.secrets))
        }))
    )
  }

  get usage(): Effect.Effect<ResourceUsage> {
    return Effect.suspend(() =>
      this.stageExits.length === 0
        ? this.running.usage
        : Effect.succeed(this.stageExits.map(({ usage }) => usage).reduce(combineUsage, noUsage))
    )
  }

  signal(
    signal: Signal,
    to: "group" | "leader"
  ): Effect.Effect<void, ProcessGone | Unkillable | SpawnServerLost> {
    const pids = [this.running.pid]
    return Effect.suspend(() => {
      if (!isSignal(signal)) {
        const state = `${show(signal)} is no signal; write a name such as "SIGTERM"`
        return Effect.fail(new Unkillable({ command: this.name, pids, state }))
      }
      const told = Effect.map(this.running.signal(signal, to), () => this.observed.signalled(signal, to))
      return Effect.mapError(told, (failure) => {
        if (failure._tag === "SpawnServerLost") return failure
        return failure.reason === "Gone"
          ? new ProcessGone({ command: this.name, pids, state: to === "group" ? "the job has ended" : "it has exited" })
          : new Unkillable({
            command: this.name,
            pids,
            state: `${signal} to ${to} ${this.running.pid} was not permitted`
          })
      })
    })
  }

  resize(columns: number, rows: number): Effect.Effect<void, TerminalError | ProcessGone | SpawnServerLost> {
    return Effect.suspend((): Effect.Effect<void, TerminalError | ProcessGone | SpawnServerLost> => {
      const { resize } = this.running
      const command = this.name
      if (this.spec.settings.terminal === undefined || resize === undefined) {
        return Effect.fail(
          new TerminalError({ command, reason: "NoTerminal", detail: "give it one with Command.terminal" })
        )
      }
      const problem = sizeProblem({ columns, rows })
      if (problem !== undefined) {
        return Effect.fail(new TerminalError({ command, reason: "InvalidSize", detail: problem }))
      }
      return Effect.mapError(resize(columns, rows), (failure) =>
        failure._tag === "SpawnServerLost"
          ? failure
          : new ProcessGone({ command, pids: [this.running.pid], state: "its terminal has ended" }))
    })
  }

  extendDeadline(input: Duration.DurationInput): Effect.Effect<void, ProcessGone | SpawnServerLost> {
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
}
