/** A job without processes: stages that a test plays, with the pipes, signals and exits of real ones. */
import type * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import { ExitStatus, type ProcessInfo, type Signal, type SpawnServerLost } from "effect-process"
import {
  type EngineJob,
  type JobObserver,
  SignalFailure,
  type SpawnRequest,
  type StageExit
} from "effect-process/Engine"
import { noUsage } from "effect-process/ProcessInfo"
import type { VirtualFiles } from "./virtualFiles.ts"
import { VirtualPipe } from "./virtualPipe.ts"
import { endsByDefault, VirtualStage } from "./virtualStage.ts"

/** @internal */
export class VirtualJob implements EngineJob {
  readonly pid: number
  readonly processGroupId: number
  readonly request: SpawnRequest
  readonly clock: Clock.Clock
  readonly stages: ReadonlyArray<VirtualStage>
  readonly pipes: ReadonlyArray<VirtualPipe>
  /** What the stages started and left behind; it ends of any signal that ends a job. */
  private living: ReadonlyArray<ProcessInfo> = []
  private observer: JobObserver | undefined
  private exits: Exit.Exit<ReadonlyArray<StageExit>, SpawnServerLost> | undefined
  private empty: Exit.Exit<void, SpawnServerLost> | undefined
  private order = 0
  /** Takes a signal in place of the stages, where it says so. */
  intercept: ((signal: Signal.Signal) => boolean) | undefined
  private conductor: Fiber.RuntimeFiber<unknown, unknown> | undefined

  constructor(pid: number, request: SpawnRequest, clock: Clock.Clock, files: VirtualFiles | undefined) {
    this.pid = pid
    this.processGroupId = pid
    this.request = request
    this.clock = clock
    this.pipes = request.pipes.map(({ fed, owner }) =>
      new VirtualPipe({ endsByItself: owner !== "writes" || fed === true })
    )
    this.stages = request.stages.map((stage, index) =>
      new VirtualStage(pid + index, index, stage, this.pipes, clock, files, () => this.stageEnded())
    )
  }

  readonly input: EngineJob["input"] = (pipe) => this.pipeAt(pipe, "writes").input

  readonly output: EngineJob["output"] = (pipe) => this.pipeAt(pipe, "reads").output

  private pipeAt(index: number, owner: "reads" | "writes"): VirtualPipe {
    const pipe = this.pipes[index]
    if (pipe === undefined || this.request.pipes[index]?.owner !== owner) {
      throw new Error(`pipe ${index} is none that the owner ${owner}`)
    }
    return pipe
  }

  readonly observe: EngineJob["observe"] = (observer) => {
    this.observer = observer
    if (this.exits !== undefined) observer.exited(this.exits)
    if (this.empty !== undefined) observer.emptied(this.empty)
  }

  /** Has all stages run beside the caller. What dies in one of them dies in whoever waits for the job. */
  run(programs: ReadonlyArray<Effect.Effect<ExitStatus.ExitStatus>>): Effect.Effect<void> {
    return Effect.forEach(
      programs,
      (program, i) => this.stages[i]?.run(program, (cause) => this.fail(cause)) ?? Effect.void,
      { discard: true }
    )
  }

  /** Has one program play all stages; it is over with the job. */
  conduct(program: Effect.Effect<void>): Effect.Effect<void> {
    const whole = Effect.catchAllCause(
      Effect.withClock(program, this.clock),
      (cause) => Effect.sync(() => this.empty === undefined && this.fail(cause))
    )
    return Effect.map(Effect.forkDaemon(Effect.interruptible(whole)), (fiber) => {
      this.conductor = fiber
      if (this.empty !== undefined) fiber.unsafeInterruptAsFork(FiberId.none)
    })
  }

  /** The program that a test made up is wrong: nothing else is to come of this job. */
  fail(cause: Cause.Cause<never>): void {
    if (this.exits === undefined) this.tellExits(Exit.failCause(cause))
    this.living = []
    this.endAll(ExitStatus.killed("SIGKILL"))
    this.tellEmpty()
  }

  /** Processes that a stage leaves behind. They hold its outputs open until a signal ends them. */
  leave(stage: VirtualStage, commandLines: ReadonlyArray<string>): void {
    const next = this.pid + this.stages.length + this.living.length
    const started = commandLines.map((commandLine, i) => ({
      pid: next + i,
      ppid: stage.pid,
      pgid: this.pid,
      sid: this.pid,
      state: "S" as const,
      name: commandLine.split(" ")[0] ?? "",
      uid: 0,
      user: "root",
      threads: 1,
      rss: 0,
      cpuTime: Duration.zero,
      startTime: this.clock.unsafeCurrentTimeMillis(),
      commandLine
    }))
    this.living = [...this.living, ...started]
    stage.isHeld = commandLines.length > 0
  }

  private stageEnded(): void {
    for (const stage of this.stages) stage.order ??= stage.status === undefined ? undefined : this.order++
    const exits = this.stages.flatMap(({ order, pid, status }) =>
      status === undefined || order === undefined ? [] : [{ pid, exit: status, usage: noUsage, order }]
    )
    if (exits.length < this.stages.length) return
    this.tellExits(Exit.succeed(exits))
    if (this.living.length === 0) this.tellEmpty()
  }

  private tellExits(exits: Exit.Exit<ReadonlyArray<StageExit>, SpawnServerLost>): void {
    if (this.exits !== undefined) return
    this.exits = exits
    this.observer?.exited(exits)
  }

  private tellEmpty(): void {
    if (this.empty !== undefined) return
    this.empty = Exit.void
    for (const stage of this.stages) stage.closeOutputs()
    this.observer?.emptied(this.empty)
    this.conductor?.unsafeInterruptAsFork(FiberId.none)
  }

  private endAll(status: ExitStatus.ExitStatus): void {
    for (const stage of this.stages) stage.end(status)
  }

  private deliver(signal: Signal.Signal, stages: ReadonlyArray<VirtualStage>): Effect.Effect<void> {
    return Effect.forEach(stages, (stage) => stage.deliver(signal), { discard: true })
  }

  /** To whatever is there. */
  private send(signal: Signal.Signal): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.intercept?.(signal) === true) return Effect.void
      this.endLiving(signal)
      return this.deliver(signal, this.stages)
    })
  }

  private endLiving(signal: Signal.Signal): void {
    if (!endsByDefault(signal) || this.living.length === 0) return
    this.living = []
    if (this.exits !== undefined) this.tellEmpty()
  }

  readonly signal: EngineJob["signal"] = (signal, to) =>
    Effect.suspend(() => {
      const stages = to === "leader" ? this.stages.slice(0, 1) : this.stages
      const isThere = stages.some(({ status }) => status === undefined) || (to === "group" && this.living.length > 0)
      if (!isThere) return new SignalFailure({ reason: "Gone" })
      if (to === "group") return this.send(signal)
      return this.intercept?.(signal) === true ? Effect.void : this.deliver(signal, stages)
    })

  readonly terminate: EngineJob["terminate"] = (signal) => this.send(signal)

  readonly kill: EngineJob["kill"] = Effect.suspend(() => this.send("SIGKILL"))

  readonly descendants: EngineJob["descendants"] = Effect.sync(() => this.living)

  readonly survivors: EngineJob["survivors"] = Effect.sync(() => [
    ...this.stages.filter(({ status }) => status === undefined).map(({ pid }) => ({ pid, state: "S" })),
    ...this.living.map(({ pid, state }) => ({ pid, state }))
  ])

  readonly usage: EngineJob["usage"] = Effect.succeed(noUsage)

  /** The deadline is the policy's. */
  readonly extendDeadline: EngineJob["extendDeadline"] = () => Effect.void
}
