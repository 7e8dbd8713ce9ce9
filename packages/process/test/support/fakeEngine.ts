/** An engine without processes, on the clock of the fiber that makes it: the test says what the "program" does and when. */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import type { SpawnServerLost } from "../../src/CommandError.ts"
import type * as Engine from "../../src/Engine.ts"
import { noUsage, type ResourceUsage } from "../../src/ProcessInfo.ts"
import { fromEngine, ProcessSpawner } from "../../src/ProcessSpawner.ts"
import { FakeJob } from "./fakeJob.ts"

export { FakeJob, processInfo } from "./fakeJob.ts"

export interface Options {
  /** What each job does; runs beside the test from the spawn on. */
  readonly program?: (job: FakeJob) => Effect.Effect<unknown>
  readonly environment?: Readonly<Record<string, string>>
  readonly clock?: Clock.Clock
  readonly deadline?: Engine.Guarantees["deadline"]
}

export class FakeEngine implements Engine.Engine {
  readonly guarantees: Engine.Guarantees
  readonly clock: Clock.Clock
  readonly environment: Engine.Engine["environment"]
  /** Where a connection succeeds. */
  readonly listening = new Set<string>()
  onConnect: Engine.Engine["connect"] = (port, host) => Effect.sync(() => this.listening.has(`${host}:${port}`))
  readonly connect: Engine.Engine["connect"] = (port, host) => Effect.suspend(() => this.onConnect(port, host))
  readonly jobs: Array<FakeJob> = []
  /** What happened, each line with the time in milliseconds before it. */
  readonly log: Array<string> = []
  /** Runs within a spawn, before its answer. */
  beforeAnswer: Effect.Effect<void, Engine.SpawnFailure | SpawnServerLost> = Effect.void
  /** Of each stage of the jobs to come. */
  usage: ResourceUsage = noUsage
  private readonly program: NonNullable<Options["program"]>
  private readonly started: number

  constructor(clock: Clock.Clock, options: Options) {
    this.clock = options.clock ?? clock
    this.started = this.clock.unsafeCurrentTimeMillis()
    this.program = options.program ?? (() => Effect.void)
    this.environment = Effect.sync(() => options.environment ?? { PATH: "/bin" })
    this.guarantees = {
      engine: "fake",
      reach: "descendants",
      ownerDeath: "none",
      deadline: options.deadline ?? "event-loop",
      statuses: "exact",
      usage: "exact",
      backstop: "none"
    }
  }

  readonly spawn: Engine.Engine["spawn"] = (request) =>
    Effect.gen(this, function*() {
      yield* this.beforeAnswer
      const record = (what: string) => {
        this.log.push(`${this.clock.unsafeCurrentTimeMillis() - this.started} ${what}`)
      }
      const job = new FakeJob(1000 + this.jobs.length, request, record)
      job.exitUsage = this.usage
      this.jobs.push(job)
      yield* Effect.forkDaemon(Effect.interruptible(this.program(job)))
      return job
    })

  /** The job of the first spawn. */
  get job(): FakeJob {
    const [job] = this.jobs
    if (job === undefined) throw new Error("nothing was spawned")
    return job
  }

  /** The lines of the log that match, without the closing of pipes, which most tests do not look at. */
  get actions(): ReadonlyArray<string> {
    return this.log.filter((line) => !/ std(in|out|err) /.test(line))
  }

  readonly provide = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, ProcessSpawner>> =>
    Effect.provide(self, Context.make(ProcessSpawner, fromEngine(this)))
}

export const make = (options: Options = {}): Effect.Effect<FakeEngine> =>
  Effect.map(Effect.clock, (clock) => new FakeEngine(clock, options))

/** Lets every fiber run until it waits for something, without time going by. */
export const settle: Effect.Effect<void> = TestClock.adjust(0)

export const adjust = TestClock.adjust
