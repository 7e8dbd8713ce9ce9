/** What is told of one job while it runs: to its span, to the metrics, to the logs, and on stderr. It decides nothing. */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import { SpawnError, type SpawnServerLost, type Unkillable } from "../CommandError.ts"
import type { EngineJob, StageExit } from "../Engine.ts"
import type { ExitStatus } from "../ExitStatus.ts"
import { combineUsage, noUsage, type ProcessInfo } from "../ProcessInfo.ts"
import type { Signal } from "../Signal.ts"
import { specName } from "./command.ts"
import { CountedInput, CountedOutput } from "./countedPipes.ts"
import { Measures } from "./measures.ts"
import type { Plan } from "./plan.ts"
import { shellLine, timeLines, traceLines } from "./shown.ts"
import { JobSpan, programOf, statusAttributes } from "./span.ts"
import { secretsOf, type Spec } from "./spec.ts"
import { printable, scrub } from "./text.ts"

/** Whose word it is whether the job has failed: the runner's, or for want of one what `exit` of its handle says. @internal */
export type Judge = "runner" | "handle"

/** As many of them as one line can name. */
const listed = 10

/** @internal */
export class Observation {
  private readonly spec: Spec
  private readonly runtime: Runtime.Runtime<never>
  private readonly clock: Clock.Clock
  private readonly judge: Judge
  private readonly measures: Measures | undefined
  private readonly span: JobSpan | undefined
  private readonly isDry: boolean
  private readonly isDebugged: boolean
  private readonly isVerbose: boolean
  private readonly began: bigint
  private pid: number | undefined
  private exits: ReadonlyArray<StageExit> = []
  private status: ExitStatus | undefined
  private exitedAt: bigint | undefined
  private terminatedAt: bigint | undefined
  /** Of the span's own clock. */
  private emptiedAt: bigint | undefined
  private isEmptied = false
  private verdict: Exit.Exit<unknown, unknown> | undefined
  private isOver = false
  private hasLeaked = false
  private hasOutput = false

  /** Of a dry run nothing is told but what would be run. */
  constructor(
    spec: Spec,
    runtime: Runtime.Runtime<never>,
    clock: Clock.Clock,
    judge: Judge,
    isDry: boolean
  ) {
    this.spec = spec
    this.runtime = runtime
    this.clock = clock
    this.judge = judge
    this.isDry = isDry
    this.measures = isDry ? undefined : Measures.of(runtime.fiberRefs)
    this.span = isDry ? undefined : JobSpan.open(spec, runtime)
    const minimum = FiberRefs.getOrDefault(runtime.fiberRefs, FiberRef.currentMinimumLogLevel)
    this.isDebugged = !isDry && LogLevel.lessThanEqual(minimum, LogLevel.Debug)
    this.isVerbose = !isDry && spec.settings.verbose === true
    this.began = clock.unsafeCurrentTimeNanos()
    if (this.isVerbose) this.print(traceLines(spec))
  }

  /** For those who work for the job, and for a child that is told of it. */
  get parent() {
    return this.span?.span
  }

  /** What works for the job is part of its span. */
  within<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const { parent } = this
    if (parent === undefined || parent.status._tag === "Ended") return effect
    return Effect.withParentSpan(effect, parent) as Effect.Effect<A, E, R>
  }

  /** A line of the log, within the span, that says of which job and process it is. */
  log(level: LogLevel.LogLevel, message: string): Effect.Effect<void> {
    const { label } = this.spec.settings
    const job = typeof label === "string" ? scrub(label, secretsOf(this.spec)) : programOf(this.spec)
    const annotations = { job, ...(this.pid !== undefined && { pid: this.pid }) }
    return this.within(Effect.annotateLogs(Effect.logWithLevel(level, message), annotations))
  }

  private debug(what: () => string): void {
    if (this.isDebugged) this.tell(LogLevel.Debug, what())
  }

  /** By the loggers of the fiber that spawned. */
  private tell(level: LogLevel.LogLevel, message: string): void {
    void Runtime.runFork(this.runtime)(this.log(level, message))
  }

  private print(text: string): void {
    void Runtime.runFork(this.runtime)(Console.error(text))
  }

  private get name(): string {
    return specName(this.spec)
  }

  notStarted(error: SpawnError | SpawnServerLost): void {
    this.debug(() => error._tag === "SpawnError" ? error.message : `${this.name}: ${error.message}`)
    this.end(Exit.fail(error))
  }

  started({ pid, processGroupId }: EngineJob): void {
    if (this.isDry) return this.tell(LogLevel.Info, `would run: ${shellLine(this.spec)}`)
    this.pid = pid
    this.measures?.started(this.clock.unsafeCurrentTimeNanos() - this.began)
    this.span?.attributes({ "process.pid": pid, "process.group_leader.pid": processGroupId })
    this.span?.event("started", { "process.pid": pid })
    this.debug(() => `${this.name}: started`)
  }

  /** The owner's ends of the pipes, which count what goes through them. */
  pipes(running: EngineJob, plan: Plan): Pick<EngineJob, "input" | "output"> {
    const { measures, span } = this
    if (measures === undefined && span === undefined) return running
    return {
      input: (pipe) => measures === undefined ? running.input(pipe) : new CountedInput(running.input(pipe), measures),
      output: (pipe) =>
        new CountedOutput(
          running.output(pipe),
          measures,
          span === undefined ? undefined : () => this.firstOutput(plan, pipe)
        )
    }
  }

  private firstOutput({ drains, stderr }: Plan, pipe: number): void {
    if (this.span === undefined || this.hasOutput) return
    this.hasOutput = true
    const name = drains.find((drain) => drain.pipe === pipe)?.name
    this.span.event("first output", {
      stream: name ?? (stderr.some((source) => source.pipe === pipe) ? "stderr" : "stdout")
    })
  }

  exited(exits: ReadonlyArray<StageExit>, status: ExitStatus): void {
    this.exits = exits
    this.status = status
    this.exitedAt = this.clock.unsafeCurrentTimeNanos()
    this.measures?.exited(exits)
    if (this.span === undefined) return
    for (const { exit, pid } of exits) this.span.event("exit", { "process.pid": pid, ...statusAttributes(exit) })
    this.span.attributes(statusAttributes(status))
  }

  /** The signal of a termination or of a user. */
  signalled(signal: Signal, to: "job" | "group" | "leader"): void {
    if (to === "job") this.terminatedAt ??= this.clock.unsafeCurrentTimeNanos()
    this.span?.event("signal", { signal, to })
  }

  escalated(signal: Signal, after: Duration.Duration): Effect.Effect<void> {
    this.measures?.escalated()
    this.span?.event("escalation", { signal: "SIGKILL", after: Duration.format(after) })
    return this.log(
      LogLevel.Warning,
      `${this.name}: not gone ${Duration.format(after)} after ${signal}; SIGKILL to what is left of it`
    )
  }

  /** Descendants that were there although every program of the job had exited. */
  leaked(all: ReadonlyArray<ProcessInfo>): Effect.Effect<void> {
    if (all.length === 0 || this.hasLeaked) return Effect.void
    this.hasLeaked = true
    this.measures?.leaked(all.length)
    const lines = all.map(({ commandLine, pid }) => `${pid} (${printable(commandLine)})`)
    this.span?.event("leaked", { count: all.length, processes: lines })
    const more = lines.length > listed ? `, and ${lines.length - listed} more` : ""
    const which = `${lines.slice(0, listed).join(", ")}${more}`
    return this.log(
      LogLevel.Warning,
      `${this.name}: it has exited and left behind what is ended now: ${which}`
    )
  }

  /** Nothing is left, or what is left could not be ended. */
  emptied(empty: Exit.Exit<void, Unkillable | SpawnServerLost>, exit: Exit.Exit<unknown, unknown> | undefined): void {
    const now = this.clock.unsafeCurrentTimeNanos()
    const { terminatedAt } = this
    this.measures?.emptied(now - this.began, terminatedAt === undefined ? undefined : now - terminatedAt)
    const real = Duration.nanos((this.exitedAt ?? now) - this.began)
    this.debug(() => `${this.name}: ${this.outcome(empty)} after ${Duration.format(inMillis(real))}`)
    if (this.isVerbose) {
      this.print(timeLines(real, this.exits.map(({ usage }) => usage).reduce(combineUsage, noUsage)))
    }
    if (Exit.isSuccess(empty)) this.span?.event("empty")
    else this.span?.event("not empty", { problem: this.outcome(empty) })
    this.emptiedAt = this.span?.time
    this.isEmptied = true
    if (this.judge === "handle") this.verdict ??= Exit.isFailure(empty) ? empty : exit
    this.settle()
  }

  private outcome(empty: Exit.Exit<void, Unkillable | SpawnServerLost>): string {
    if (Exit.isSuccess(empty)) return String(this.status)
    const failure = Option.getOrUndefined(Cause.failureOption(empty.cause))
    return failure?._tag === "Unkillable" ? `could not be killed: ${failure.state}` : failure?.message ?? "lost"
  }

  /** What the runner makes of it; the first one counts. */
  judged(exit: Exit.Exit<unknown, unknown>): void {
    if (this.judge === "handle") return
    this.verdict ??= exit
    this.settle()
  }

  /** A span lasts until the job is empty, and says what was made of it, which is known a little later. */
  private settle(): void {
    if (this.isEmptied && this.verdict !== undefined) this.end(this.verdict)
  }

  private end(exit: Exit.Exit<unknown, unknown>): void {
    if (this.isOver) return
    this.isOver = true
    if (Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)) {
      const reason = reasonOf(exit.cause)
      this.measures?.failed(reason)
      this.span?.attributes({ "error.type": reason })
    }
    this.span?.end(exit, this.emptiedAt ?? this.span.time)
  }
}

const inMillis = (duration: Duration.Duration) => Duration.millis(Math.round(Duration.toMillis(duration)))

/** Names of errors, of which a program has only so many; `_OTHER` is the conventions' word for what has none. */
const reasonOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  if (error instanceof SpawnError) return error.reason
  if (typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string") {
    return error._tag
  }
  return error instanceof Error ? error.name : "_OTHER"
}
