/** One job of a spawn server. */
import { type Job, type ProcessRow, RequestFailure, ServerLost, type StageExit } from "@effect-process/spawn-server"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type ProcessInfo, type ResourceUsage, SpawnServerLost } from "effect-process"
import { type EngineJob, SignalFailure, type StageExit as EngineExit } from "effect-process/Engine"
import { exited, killed } from "effect-process/ExitStatus"
import { noUsage } from "effect-process/ProcessInfo"
import * as processTable from "./processTable.ts"
import { RawInput, RawOutput } from "./rawPipes.ts"
import { nameOf, numberOf } from "./signals.ts"

/** For an answer about a job. The client finds out in time by itself that the server hangs; a release must not wait for it. */
const answerBound = Duration.seconds(1)

/** Milliseconds; a u32 in the protocol. */
export const graceMillis = (grace: Duration.Duration): number => Math.min(Duration.toMillis(grace), 0xffff_ffff)

export const lostOf = (failure: ServerLost, held: string): SpawnServerLost =>
  new SpawnServerLost({ lost: `${held} (${failure.message})` })

const usageOf = (usage: StageExit["usage"]): ResourceUsage => ({
  userTime: Duration.micros(BigInt(usage.userMicros)),
  systemTime: Duration.micros(BigInt(usage.systemMicros)),
  maxRss: usage.maximumRssBytes,
  minorPageFaults: usage.minorFaults,
  majorPageFaults: usage.majorFaults,
  voluntaryContextSwitches: usage.voluntarySwitches,
  involuntaryContextSwitches: usage.involuntarySwitches
})

const exitOf = (pid: number, { exit, usage }: StageExit, order: number): EngineExit => ({
  pid,
  order,
  exit: exit.kind === "exited" ? exited(exit.code) : killed(nameOf(exit.signal), { coreDumped: exit.coreDumped }),
  usage: usageOf(usage)
})

/** Of what never came to its exec, a shell would say 127. `order` has the stages as they exited. */
const exitsOf = (job: Job, order: ReadonlyArray<number>): ReadonlyArray<EngineExit> =>
  job.exits.map((exit, stage) => {
    const pid = job.pids[stage] ?? job.pid
    return exit === undefined
      ? { pid, exit: exited(127), usage: noUsage, order: stage }
      : exitOf(pid, exit, order.indexOf(stage))
  })

/** A row that is hidden from us says what the supervisor could see. */
const describe = (row: ProcessRow): ProcessInfo | undefined => {
  const { command, pgid, pid, ppid, rssBytes: rss, sid } = row
  const seen = processTable.describe(row)
  if (seen !== undefined || row.state !== "?") return seen
  const unknown = { name: "?", uid: -1, user: "?", threads: 0, cpuTime: Duration.zero, startTime: 0 }
  return { pid, ppid, pgid, sid, state: "?", rss, commandLine: command, ...unknown }
}

/** What the engine is told of. */
export interface Events {
  /** An exec that took long has failed in the end: all that is left is to say so. */
  readonly onLateFailure: (message: string) => void
  /** `terminal`: from the terminal, which it had and we have again. */
  readonly onStopped: (job: Job, stop: { readonly signal: number; readonly terminal: boolean }) => void
}

export const make = (job: Job, clock: Clock.Clock, events: Events): EngineJob => {
  const { pid } = job
  let unkillable: ReadonlyArray<ProcessRow> | undefined
  const lost = (failure: ServerLost) => lostOf(failure, `process ${pid}`)

  const observe: EngineJob["observe"] = (observer) => {
    const order: Array<number> = []
    let told = false
    const tell = (exits: Exit.Exit<ReadonlyArray<EngineExit>, SpawnServerLost>) => {
      if (!told) observer.exited(exits)
      told = true
    }
    const tellExits = () => tell(Exit.succeed(exitsOf(job, order)))
    job.listen((event) => {
      switch (event.type) {
        case "exit":
          order.push(event.stage)
          // Not by what the job says: those that were before we listened are told one by one as well.
          if (order.length === job.pids.length) tellExits()
          return
        case "failed":
          // As a shell reports what it could not run: the spawn has long been answered.
          events.onLateFailure(event.failure.message)
          return tellExits()
        case "deadline":
          return observer.deadlinePassed()
        case "stopped":
          return events.onStopped(job, event)
        case "lost":
          return tell(Exit.fail(lost(event.failure)))
        case "unkillable":
          unkillable = event.processes
          // Nobody is left who could tell when they end.
          if (job.lost !== undefined) observer.emptied(Exit.fail(lost(job.lost)))
          return
        case "empty":
          tellExits()
          return observer.emptied(Exit.void)
      }
    })
  }

  const rows: Effect.Effect<ReadonlyArray<ProcessRow>> = Effect.suspend(() =>
    job.isEmpty ? Effect.succeed([]) : Effect.tryPromise(() => job.descendants()).pipe(
      Effect.timeout(answerBound),
      Effect.withClock(clock),
      Effect.orElseSucceed(() => [])
    )
  )

  return {
    pid,
    processGroupId: job.processGroupId,
    input: (pipe) => new RawInput(job.writer(pipe)),
    output: (pipe) => new RawOutput(job.reader(pipe)),
    observe,
    signal: (signal, to) =>
      Effect.suspend(() => {
        const number = numberOf(signal)
        if (number === undefined) return new SignalFailure({ reason: "PermissionDenied" })
        // Its zombie is kept to pin the group, and would take any signal.
        if (to === "leader" && job.exits[0] !== undefined) return new SignalFailure({ reason: "Gone" })
        return Effect.tryPromise({
          try: () => job.signal(number, to),
          catch: (error) =>
            error instanceof ServerLost
              ? lost(error)
              : new SignalFailure({
                reason: error instanceof RequestFailure && error.code === "EPERM" ? "PermissionDenied" : "Gone"
              })
        })
      }),
    terminate: (signal, grace) => Effect.sync(() => job.terminate(numberOf(signal) ?? 0, graceMillis(grace))),
    kill: Effect.sync(() => job.kill()),
    descendants: Effect.map(
      rows,
      (all) =>
        all.filter((row) => !job.pids.includes(row.pid)).map(describe).filter((info): info is ProcessInfo =>
          info !== undefined
        )
    ),
    survivors: Effect.map(
      rows,
      (all) => (all.length === 0 ? unkillable ?? [] : all).map(({ pid, state }) => ({ pid, state }))
    ),
    usage: Effect.sync(() => processTable.usageOf(pid) ?? noUsage),
    resize: (columns, rows) =>
      Effect.tryPromise({
        try: () => job.resize(columns, rows),
        catch: (error) => error instanceof ServerLost ? lost(error) : new SignalFailure({ reason: "Gone" })
      }),
    extendDeadline: (by) =>
      Effect.tryPromise({ try: () => job.extendDeadline(Duration.toMillis(by)), catch: (error) => error }).pipe(
        Effect.catchAll((error) => error instanceof ServerLost ? Effect.fail(lost(error)) : Effect.void)
      )
  }
}
