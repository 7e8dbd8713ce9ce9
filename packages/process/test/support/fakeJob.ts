/** A job without processes: a test says when it exits, forks, dies or is lost, and what a signal does to it. */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type { SpawnServerLost } from "../../src/CommandError.ts"
import type * as Engine from "../../src/Engine.ts"
import { SignalFailure } from "../../src/Engine.ts"
import type { ExitStatus } from "../../src/ExitStatus.ts"
import { exited, killed } from "../../src/ExitStatus.ts"
import { noUsage, type ProcessInfo, type ResourceUsage } from "../../src/ProcessInfo.ts"
import type { Signal } from "../../src/Signal.ts"
import { FakeInput, FakeOutput, type Holder } from "./fakePipes.ts"

export const processInfo = (pid: number, commandLine = `descendant ${pid}`): ProcessInfo => ({
  pid,
  ppid: 1000,
  pgid: 1000,
  sid: 1,
  state: "S",
  name: "descendant",
  uid: 0,
  user: "root",
  threads: 1,
  rss: 0,
  cpuTime: Duration.zero,
  startTime: 0,
  commandLine
})

export class FakeJob implements Engine.EngineJob {
  readonly pid: number
  readonly processGroupId: number
  readonly request: Engine.SpawnRequest
  readonly in: FakeInput
  readonly out: FakeOutput
  readonly err: FakeOutput
  /** The stdin of the first stage, the stdout of the last, the stderr of the first; of pipelines `errs` has all. */
  readonly errs: ReadonlyArray<FakeOutput>
  private readonly inputs = new Map<number, FakeInput>()
  private readonly outputs = new Map<number, FakeOutput>()
  /** What a signal other than SIGKILL does; ends everything unless the test says otherwise. */
  onSignal: (signal: Signal, job: FakeJob) => Effect.Effect<void> = (signal, job) => job.die(killed(signal))
  diesOfKill = true
  /** What `signal` fails with. */
  signalFailure: SignalFailure | SpawnServerLost | undefined
  private readonly exitsDone = Deferred.unsafeMake<ReadonlyArray<Engine.StageExit>, SpawnServerLost>(FiberId.none)
  private readonly emptyDone = Deferred.unsafeMake<void, SpawnServerLost>(FiberId.none)
  private readonly expired = Deferred.unsafeMake<void>(FiberId.none)
  private living: Array<ProcessInfo> = []
  private status: ExitStatus | undefined
  private readonly record: (what: string) => void

  constructor(pid: number, request: Engine.SpawnRequest, record: (what: string) => void) {
    this.pid = pid
    this.processGroupId = pid
    this.request = request
    this.record = record
    const { pipes, stages } = request
    for (const [index, stage] of stages.entries()) {
      for (const redirect of stage.redirects) {
        if (redirect.to !== "pipe") continue
        const { fd, pipe } = redirect
        const name = `${["stdin", "stdout", "stderr"][fd] ?? `descriptor ${fd}`}${index === 0 ? "" : ` ${index}`}`
        const log = (what: string) => record(`${fd === 1 ? "stdout" : name} ${what}`)
        if (pipes[pipe]?.owner === "writes") this.inputs.set(pipe, new FakeInput(log))
        if (pipes[pipe]?.owner === "reads") this.outputs.set(pipe, new FakeOutput(log))
      }
    }
    const ignored = () => {
      // Of what is no pipe of ours nothing is told.
    }
    const { input = -1, output = -1 } = request.terminal ?? {}
    if (request.terminal !== undefined) {
      this.inputs.set(input, new FakeInput((what) => record(`keyboard ${what}`)))
      this.outputs.set(output, new FakeOutput((what) => record(`screen ${what}`)))
    }
    this.in = this.inputOf(0, 0) ?? new FakeInput(ignored)
    this.out = this.outputOf(stages.length - 1, 1) ?? new FakeOutput(ignored)
    this.errs = stages.map((_, i) => this.outputOf(i, 2) ?? new FakeOutput(ignored))
    this.err = this.errs[0] ?? this.out
  }

  private pipeAt(stage: number, fd: number): number {
    const redirect = this.request.stages[stage]?.redirects.find((redirect) => redirect.fd === fd)
    if (redirect?.to === "terminal") {
      return (fd === 0 ? this.request.terminal?.input : this.request.terminal?.output) ?? -1
    }
    return redirect?.to === "pipe" ? redirect.pipe : -1
  }

  /** What we write and that stage reads. */
  inputOf(stage: number, fd: number): FakeInput | undefined {
    return this.inputs.get(this.pipeAt(stage, fd))
  }

  /** What that stage writes and we read. */
  outputOf(stage: number, fd: number): FakeOutput | undefined {
    return this.outputs.get(this.pipeAt(stage, fd))
  }

  readonly input: Engine.EngineJob["input"] = (pipe) => {
    const found = this.inputs.get(pipe)
    if (found === undefined) throw new Error(`the owner does not write pipe ${pipe}`)
    return found
  }

  readonly output: Engine.EngineJob["output"] = (pipe) => {
    const found = this.outputs.get(pipe)
    if (found === undefined) throw new Error(`the owner does not read pipe ${pipe}`)
    return found
  }

  readonly observe: Engine.EngineJob["observe"] = (observer) => {
    const tell = <A, E>(event: Deferred.Deferred<A, E>, to: (exit: Exit.Exit<A, E>) => void) =>
      Effect.runFork(Effect.map(Effect.exit(Deferred.await(event)), to))
    tell(this.exitsDone, observer.exited)
    // Never before the exit.
    tell(this.exitsDone, () => tell(this.emptyDone, observer.emptied))
    tell(this.expired, observer.deadlinePassed)
  }

  private endPipes(holders: ReadonlyArray<Holder>): Effect.Effect<void> {
    return Effect.forEach(this.outputs.values(), (pipe) => holders.includes(pipe.holder) ? pipe.end : Effect.void)
  }

  /** How the stages of a pipeline ended, in place of all of them with one status: status, and order of exit. */
  statuses: ReadonlyArray<readonly [ExitStatus, number]> | undefined

  private stageExits(status: ExitStatus): ReadonlyArray<Engine.StageExit> {
    const { stages } = this.request
    return stages.map((_, i) => {
      const [exit, order] = this.statuses?.[i] ?? [status, i]
      return { pid: this.pid + i, exit, order, usage: this.exitUsage }
    })
  }

  /** The leader exits; what `fork` left behind lives on. */
  exit(status: ExitStatus | number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.status !== undefined) return Effect.void
      this.status = typeof status === "number" ? exited(status) : status
      this.record(`exit ${this.status}`)
      return Effect.zipRight(
        this.endPipes(["leader"]),
        Effect.zipRight(
          Deferred.succeed(this.exitsDone, this.stageExits(this.status)),
          this.checkEmpty
        )
      )
    })
  }

  /** The leader starts a process that does not end by itself. */
  fork(...children: ReadonlyArray<ProcessInfo>): Effect.Effect<void> {
    return Effect.sync(() => {
      this.living.push(...children)
    })
  }

  readonly endDescendants: Effect.Effect<void> = Effect.suspend(() => {
    this.living = []
    return this.checkEmpty
  })

  /** Everything ends at once. */
  die(status: ExitStatus): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.living = []
      return Effect.zipRight(this.exit(status), this.checkEmpty)
    })
  }

  /** The spawn server is gone. */
  lose(lost: SpawnServerLost): Effect.Effect<void> {
    return Effect.zipRight(
      Deferred.fail(this.exitsDone, lost),
      Effect.zipRight(Deferred.fail(this.emptyDone, lost), this.endPipes(["leader", "descendant"]))
    )
  }

  private get checkEmpty(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.status === undefined || this.living.length > 0) return Effect.void
      return Effect.zipRight(Deferred.succeed(this.emptyDone, undefined), this.endPipes(["leader", "descendant"]))
    })
  }

  readonly signal: Engine.EngineJob["signal"] = (signal, to) =>
    Effect.suspend(() => {
      this.record(`signal ${signal} ${to}`)
      if (this.signalFailure !== undefined) return Effect.fail(this.signalFailure)
      if (this.status !== undefined) return Effect.fail(new SignalFailure({ reason: "Gone" }))
      return this.onSignal(signal, this)
    })

  readonly terminate: Engine.EngineJob["terminate"] = (signal, grace) =>
    Effect.suspend(() => {
      this.record(`terminate ${signal} ${Duration.toMillis(grace)}`)
      return Effect.asVoid(Effect.forkDaemon(this.onSignal(signal, this)))
    })

  readonly kill = Effect.suspend(() => {
    this.record("kill")
    return this.diesOfKill ? this.die(killed("SIGKILL")) : Effect.void
  })

  readonly descendants = Effect.sync(() => [...this.living])

  readonly survivors = Effect.sync(() => [
    ...(this.status === undefined ? [{ pid: this.pid, state: "D" }] : []),
    ...this.living.map(({ pid, state }) => ({ pid, state }))
  ])

  readonly usage = Effect.succeed({ ...noUsage, maxRss: 42 })
  /** Of each stage, told with its exit. */
  exitUsage: ResourceUsage = noUsage

  readonly resize: NonNullable<Engine.EngineJob["resize"]> = (columns, rows) =>
    Effect.suspend(() => {
      this.record(`resize ${columns} ${rows}`)
      return this.status === undefined ? Effect.void : Effect.fail(new SignalFailure({ reason: "Gone" }))
    })

  readonly expire: Effect.Effect<void> = Effect.asVoid(Deferred.succeed(this.expired, undefined))

  readonly extendDeadline: Engine.EngineJob["extendDeadline"] = (by) =>
    Effect.sync(() => this.record(`extend ${Duration.toMillis(by)}`))
}
