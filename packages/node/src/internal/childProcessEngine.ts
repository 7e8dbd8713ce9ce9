/** The fallback engine: `node:child_process`, each job in a session and process group of its own, and a watchdog. */
import { errnoName, markName } from "@effect-process/spawn-server"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import { EngineUnavailable } from "effect-process"
import { type Engine, type EngineJob, SpawnFailure, type SpawnRequest, type StageRequest } from "effect-process/Engine"
import type { ChildProcess } from "node:child_process"
import { randomUUID } from "node:crypto"
import type { Stream } from "node:stream"
import { connect, environment } from "./owner.ts"
import * as childProcessJob from "./childProcessJob.ts"
import { noTerminal, start as startStage, unsupported } from "./childProcessStage.ts"
import { find as findShield, inheritable, type Shield } from "./descriptorShield.ts"
import { atStage, errnoOf, failure, isExhaustion } from "./errno.ts"
import * as kernelPipes from "./kernelPipes.ts"
import type { KernelPipe } from "./kernelPipes.ts"
import { SocketInput, SocketOutput } from "./pipes.ts"
import { preflight } from "./preflight.ts"
import { ownerMark } from "./processTable.ts"
import { Watchdog } from "./watchdog.ts"

/** Refused rather than left out: a limit that silently does not hold is worse than none. */
const checkSupported = (stage: StageRequest): void => {
  if (stage.limits !== undefined) throw unsupported("Command.limits", "use ulimit in Command.shell")
  if (stage.nice !== undefined) throw unsupported("Command.nice", "run nice(1)")
  if (stage.umask !== undefined) throw unsupported("Command.umask", "use umask in Command.shell")
  if ((stage.user?.groups?.length ?? 0) > 0) throw unsupported("Command.user with groups", "run setpriv(1)")
}

/** What the status stream says: nothing when the exec succeeded and closed it, else an errno. Listens from now on. */
const statusOf = (stream: Stream): Effect.Effect<string> => {
  const status = Deferred.unsafeMake<string>(FiberId.none)
  let text = ""
  stream.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1")
  })
  stream.on("error", () => {
    // The stream closes.
  })
  stream.once("close", () => Deferred.unsafeDone(status, Effect.succeed(text)))
  return Deferred.await(status)
}

/**
 * A child without a pid was not spawned; its error comes in a later turn. Its `kill` must not be called. Listens from now on: an
 * error that nobody listens to ends the program, and when a fiber gets there is its scheduler's to say.
 */
const failureOf = (child: ChildProcess, file: string, stage: StageRequest): Effect.Effect<never, SpawnFailure> => {
  const failure = Deferred.unsafeMake<never, SpawnFailure>(FiberId.none)
  child.once("error", (error) => {
    for (const stream of child.stdio ?? []) stream?.destroy()
    Deferred.unsafeDone(failure, Effect.fail(failed(error, file, stage)))
  })
  return Deferred.await(failure)
}

const failed = (error: unknown, file: string, stage: StageRequest): SpawnFailure => {
  if (error instanceof SpawnFailure) return error
  const errno = errnoOf(error)
  if (isExhaustion(errno)) return failure(errno, "fork", undefined)
  if (errno === "EPERM" && stage.user !== undefined) return failure(errno, "user", undefined)
  return failure(errno, "exec", file)
}

/** A spawn of all stages in one turn, so that nothing reads the pipes between them before they are handed on. */
class Launch {
  readonly inputs = new Map<number, SocketInput>()
  readonly outputs = new Map<number, SocketOutput>()
  private readonly links: ReadonlyMap<number, KernelPipe>
  readonly started: Array<childProcessJob.Running> = []
  private readonly statuses: Array<Effect.Effect<void, SpawnFailure>> = []
  private readonly request: SpawnRequest
  private readonly watchdog: Watchdog
  private readonly mark: string
  private readonly shield: Shield | undefined

  constructor(
    request: SpawnRequest,
    links: ReadonlyMap<number, KernelPipe>,
    watchdog: Watchdog,
    mark: string,
    shield: Shield | undefined
  ) {
    this.links = links
    this.request = request
    this.watchdog = watchdog
    this.mark = mark
    this.shield = shield
  }

  /** What is to be awaited before the spawn can be said to have succeeded. */
  get execs(): Effect.Effect<void, SpawnFailure> {
    return Effect.forEach(this.statuses, (status) => status, { discard: true })
  }

  /** The failure of this stage, if it can be told now or by its child. */
  stage(stage: StageRequest, index: number): Effect.Effect<never, SpawnFailure> | undefined {
    const { killSignal, gracePeriod, pipes } = this.request
    let file = stage.file
    try {
      checkSupported(stage)
      file = preflight(stage)
      this.watchdog.announce(killSignal, Duration.toMillis(gracePeriod))
      const env = this.mark === "" ? stage.env : { ...stage.env, [markName]: this.mark }
      const { child, ends, status } = startStage(file, stage, env, this.links, this.shield)
      for (const [pipe, end] of ends) {
        if (pipes[pipe]?.owner === "reads") this.outputs.set(pipe, new SocketOutput(end))
        else this.inputs.set(pipe, new SocketInput(end))
      }
      const pid = child.pid
      if (pid === undefined) return failureOf(child, file, stage)
      this.watchdog.register(pid)
      child.on("error", () => {
        // Of a child that runs, Node reports failed kills by it, and we send our signals ourselves.
      })
      this.started.push({ child, pid, onEmpty: () => this.watchdog.forget(pid) })
      if (status !== undefined) {
        const exec = Effect.flatMap(
          statusOf(status),
          (errno) =>
            errno === "" ? Effect.void : Effect.fail(atStage(failure(errnoName(Number(errno)), "exec", file), index))
        )
        this.statuses.push(exec)
      }
      return undefined
    } catch (error) {
      return Effect.fail(failed(error, file, stage))
    }
  }

  /** Of a job that did not come to be. */
  readonly close: Effect.Effect<void> = Effect.sync(() => {
    for (const { close } of [...this.inputs.values(), ...this.outputs.values()]) close()
  })
}

/** The pipes between stages. */
const linksOf = ({ pipes }: SpawnRequest): ReadonlyArray<number> =>
  pipes.flatMap(({ owner }, pipe) => owner === "none" ? [pipe] : [])

const emptied = (job: EngineJob): Effect.Effect<void> =>
  Effect.async((resume) =>
    job.observe({ exited: () => undefined, emptied: () => resume(Effect.void), deadlinePassed: () => undefined })
  )

const start = (
  request: SpawnRequest,
  watchdog: Watchdog,
  mark: string,
  shield: Shield | undefined
): Effect.Effect<EngineJob, SpawnFailure> =>
  Effect.flatMap(kernelPipes.make(linksOf(request)), (links) => {
    const launch = new Launch(request, links, watchdog, mark, shield)
    let failed: Effect.Effect<never, SpawnFailure> | undefined
    for (const [index, stage] of request.stages.entries()) {
      failed = launch.stage(stage, index)?.pipe(Effect.mapError((failure) => atStage(failure, index)))
      if (failed !== undefined) break
    }
    // Our copies would keep their readers waiting.
    kernelPipes.close(links.values())
    const [first, ...rest] = launch.started
    if (first === undefined) return failed ?? Effect.die(new Error("a request without stages"))
    const job = childProcessJob.make([first, ...rest], launch)
    return Effect.catchAll(Effect.as(failed ?? launch.execs, job), (failure) =>
      job.kill.pipe(
        Effect.zipRight(emptied(job)),
        Effect.zipRight(launch.close),
        Effect.zipRight(Effect.fail(failure))
      ))
  })

/** What the layer can be told. */
export interface Options {
  /** Whether children carry `EFFECT_PROCESS_OWNER` in their environment. True when nothing is said. */
  readonly markOwner?: boolean
}

export const make = (given: Options): Effect.Effect<Engine, EngineUnavailable, Scope.Scope> =>
  Effect.gen(function*() {
    if (process.platform === "win32") {
      return yield* new EngineUnavailable({
        engine: "child-process",
        reason: "Windows has no process groups and no POSIX signals; run the program under WSL"
      })
    }
    if (process.versions["bun"] !== undefined) {
      return yield* new EngineUnavailable({
        engine: "child-process",
        reason:
          "the pipes of Bun's node:child_process are no sockets, as the engine needs them; run the program on Node.js"
      })
    }
    // One per layer: another layer of this owner may close, or its worker end, while our jobs go on.
    const mark = given.markOwner === false ? "" : `${ownerMark()}:${randomUUID()}`
    const watchdog = yield* Effect.acquireRelease(
      Effect.sync(() => new Watchdog(mark)),
      (self) => Effect.promise(() => self.close())
    )
    const inherited = yield* Effect.try({
      try: inheritable,
      catch: (cause) =>
        new EngineUnavailable({
          engine: "child-process",
          reason: `the descriptors of this program cannot be listed (${errnoOf(cause)})`,
          cause
        })
    })
    const shield = findShield(inherited)
    if (inherited.length > 0 && shield === undefined) {
      yield* Effect.logWarning(
        `children inherit the descriptors ${inherited.join(", ")}, with which this program was started; ` +
          "close them in what starts it, or install perl"
      )
    }
    return {
      guarantees: {
        engine: "child-process",
        reach: "group",
        ownerDeath: "watchdog",
        deadline: "event-loop",
        statuses: "node",
        usage: "sampled",
        backstop: "none"
      },
      clock: Clock.make(),
      environment,
      spawn: (request) =>
        request.terminal === undefined
          ? start(request, watchdog, mark, shield)
          : Effect.fail(noTerminal),
      connect
    }
  })
