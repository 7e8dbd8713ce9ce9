/** The engine on a spawn server: one for the layer, ended with it, and another one when it is lost. */
import {
  InvalidRequest,
  type Job,
  maximum,
  type Redirect,
  ServerLost,
  SpawnFailure as ClientFailure,
  SpawnServer,
  type SpawnRequest as ClientRequest,
  type StageRequest as ClientStage,
  type StartOptions,
  Unavailable
} from "@effect-process/spawn-server"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import * as os from "node:os"
import { isatty } from "node:tty"
import { isMainThread } from "node:worker_threads"
import { EngineUnavailable, SpawnServerLost } from "effect-process"
import {
  type Engine,
  type EngineJob,
  type Guarantees,
  type Limits,
  type Redirect as EngineRedirect,
  SpawnFailure,
  type SpawnRequest,
  type StageRequest,
  type TerminalRequest
} from "effect-process/Engine"
import { atStage, failure, isExhaustion, missingInterpreter } from "./errno.ts"
import { connect, environment } from "./owner.ts"
import { interpreterOf } from "./preflight.ts"
import { numberOf } from "./signals.ts"
import * as spawnServerJob from "./spawnServerJob.ts"

const guaranteesOf = (features: SpawnServer["features"]): Guarantees => ({
  engine: "spawn-server",
  reach: "descendants",
  ownerDeath: "supervisor",
  deadline: "external",
  statuses: "exact",
  usage: "exact",
  backstop: features.cgroup ? "cgroup" : "none"
})

/** A spawn that finds the server lost is still bounded, so the next one has less time to start than the first. */
const restartBound = 3_000

const refused = (reason: "InvalidArgument" | "Unsupported", detail: string): SpawnFailure =>
  new SpawnFailure({ reason, stage: "validate", errno: undefined, path: undefined, detail })

const limitNames = ["cpu", "addressSpace", "openFiles", "fileSize", "processes", "core"] as const

const limitsOf = (limits: Limits) =>
  limitNames.flatMap((resource) => {
    const value = limits[resource]
    return value === undefined ? [] : [{ resource, soft: value, hard: value }]
  })

const redirectOf = (redirect: EngineRedirect): Redirect => {
  const { fd } = redirect
  switch (redirect.to) {
    case "inherit":
      return { fd, kind: "inherit" }
    case "null":
      return { fd, kind: "null" }
    case "file":
      return { fd, kind: "file", path: redirect.path, mode: redirect.mode }
    case "pipe":
      return { fd, kind: redirect.end, pipe: redirect.pipe }
    case "descriptor":
      return { fd, kind: "dup", of: redirect.of }
    case "terminal":
      return { fd, kind: "terminal" }
  }
}

const stageOf = (stage: StageRequest): ClientStage => ({
  file: stage.file,
  args: stage.args,
  env: stage.env,
  redirects: stage.redirects.map(redirectOf),
  ...(stage.argv0 === undefined ? {} : { argv0: stage.argv0 }),
  ...(stage.workingDirectory === undefined ? {} : { cwd: stage.workingDirectory }),
  ...(stage.umask === undefined ? {} : { umask: stage.umask }),
  ...(stage.nice === undefined ? {} : { nice: stage.nice }),
  ...(stage.user === undefined ? {} : { user: stage.user }),
  ...(stage.limits === undefined ? {} : { limits: limitsOf(stage.limits) })
})

const inheritsStdin = ({ stages }: SpawnRequest): boolean =>
  stages.some(({ redirects }) => redirects.some(({ fd, to }) => fd === 0 && to === "inherit"))

const checkSize = ({ pipes, stages }: SpawnRequest): void => {
  const ends = pipes.filter(({ owner }) => owner !== "none").length
  const [what, count, most] = stages.length > maximum.stages
    ? ["stages", stages.length, maximum.stages]
    : ends > maximum.ownersEnds
    ? ["pipes to us", ends, maximum.ownersEnds]
    : ["pipes", pipes.length, maximum.pipes]
  if (count <= most) return
  throw refused(
    "Unsupported",
    `${count} ${what} are more than the ${most} of one job on the spawn server; ` +
      "run a part of the pipeline by Command.through, or send stderr elsewhere"
  )
}

const terminalOf = ({ columns, input, output, rows }: TerminalRequest): NonNullable<ClientRequest["terminal"]> => ({
  columns,
  rows,
  ...(input === undefined ? {} : { input }),
  ...(output === undefined ? {} : { output })
})

const translate = (request: SpawnRequest): ClientRequest => {
  checkSize(request)
  const { gracePeriod, killSignal, pipes, stages, terminal, timeout } = request
  const signal = numberOf(killSignal)
  if (signal === undefined) throw refused("InvalidArgument", `${killSignal} is no signal of this system`)
  const deadline = timeout === undefined || !Duration.isFinite(timeout) ? undefined : Duration.toMillis(timeout)
  return {
    stages: stages.map(stageOf),
    pipes,
    killSignal: signal,
    graceMs: spawnServerJob.graceMillis(gracePeriod),
    // The server finds out by itself whether there is a terminal.
    foreground: terminal === undefined && inheritsStdin(request),
    ...(terminal === undefined ? {} : { terminal: terminalOf(terminal) }),
    ...(deadline === undefined ? {} : { deadlineMs: Math.min(deadline, Number.MAX_SAFE_INTEGER) })
  }
}

const failed = (error: unknown, request: SpawnRequest): SpawnFailure | SpawnServerLost => {
  if (error instanceof SpawnFailure || error instanceof SpawnServerLost) return error
  if (error instanceof ServerLost) return spawnServerJob.lostOf(error, "a command that was being started")
  if (error instanceof Unavailable) return new SpawnServerLost({ lost: `a command; another one: ${error.message}` })
  // Its message quotes the value, which may be secret.
  if (error instanceof InvalidRequest) return refused("InvalidArgument", `the ${error.what} is not valid`)
  if (!(error instanceof ClientFailure)) throw error
  const { stage: index } = error
  return atStage(stageFailure(error, request.stages[index] ?? request.stages[0]), index)
}

const stageFailure = ({ code, exists, path, step }: ClientFailure, stage: StageRequest): SpawnFailure => {
  if (isExhaustion(code)) return failure(code, "fork", undefined)
  if (step === "chdir") return failure(code, step, stage.workingDirectory ?? path)
  if (step !== "exec") return failure(code, step, path)
  const file = path ?? stage.file
  return code === "ENOENT" && exists ? missingInterpreter(code, file, interpreterOf(file)) : failure(code, step, file)
}

const [ttin, ttou] = [os.constants.signals.SIGTTIN, os.constants.signals.SIGTTOU]

const onTerminal = new Set<Job>()

const resumeAll = (): void => {
  for (const job of onTerminal) job.resume()
}

/** A job that inherits a terminal: it is stopped with us, goes on with us, and is in the foreground when we are. */
const followTerminal = (job: Job): void => {
  // Also after a `bg`, when it goes on without the terminal, and gets it with a later `fg`. Worker threads have no signals.
  if (isMainThread && onTerminal.size === 0) process.on("SIGCONT", resumeAll)
  onTerminal.add(job)
  job.listen((event) => {
    if (event.type === "empty" || event.type === "unkillable") {
      onTerminal.delete(job)
      if (onTerminal.size === 0) process.off("SIGCONT", resumeAll)
    }
    if (event.type !== "stopped" || !event.terminal) return
    // The one signal that our own group ever gets. It stops us here; where it is ignored, as in a group that no shell
    // looks after, the job just goes on.
    process.kill(0, "SIGTSTP")
    job.resume()
  })
}

/** Says once why a job does not go on: it wants the terminal, and is not in its foreground. */
const stoppedWarning = (inherits: boolean, warn: (message: string) => void): spawnServerJob.Events["onStopped"] => {
  let warned = false
  return (job, { signal }) => {
    if (warned || (signal !== ttin && signal !== ttou)) return
    warned = true
    warn(
      `process ${job.pid} was stopped by ${signal === ttin ? "SIGTTIN" : "SIGTTOU"} because it wants the terminal; ` +
        (inherits
          ? "it goes on when this program is in the foreground"
          : "a command that may ask something there, such as a password, is given it by Command.stdin(\"inherit\")")
    )
  }
}

/** What the layer can be told. */
export interface Options {
  /** Whether children carry `EFFECT_PROCESS_OWNER` in their environment. True when nothing is said. */
  readonly markOwner?: boolean
  /** Path of the program; the one that was built with the package when nothing is said. */
  readonly binary?: string
}

/** The one server of a layer. */
class Servers {
  private readonly options: StartOptions
  private current: Promise<SpawnServer>
  /** The one that served last, so that a spawn on it need not wait for a promise. */
  private latest: SpawnServer
  private isClosed = false

  readonly guarantees: Guarantees

  private constructor(options: StartOptions, first: SpawnServer) {
    this.options = options
    this.guarantees = guaranteesOf(first.features)
    this.current = Promise.resolve(first)
    this.latest = first
  }

  static async start(options: StartOptions): Promise<Servers> {
    return new Servers(options, await SpawnServer.start(options))
  }

  private async server(): Promise<SpawnServer> {
    const seen = this.current
    const server = await seen.catch(() => undefined)
    if (server !== undefined && server.lost === undefined) return server
    // One start for all that wait, and one for each spawn that finds nothing: a server that cannot live is not tried for ever.
    if (this.current === seen) {
      if (this.isClosed) throw new ServerLost("server", "its layer was closed")
      this.current = SpawnServer.start({ ...this.options, startTimeoutMs: restartBound })
      this.current.catch(() => undefined)
    }
    return this.current
  }

  async spawn(request: ClientRequest): Promise<Job> {
    if (this.latest.lost !== undefined) this.latest = await this.server()
    return this.latest.spawn(request)
  }

  async close(): Promise<void> {
    this.isClosed = true
    const server = await this.current.catch(() => undefined)
    await server?.close()
  }
}

const unavailable = (reason: string, cause?: unknown): EngineUnavailable =>
  new EngineUnavailable({ engine: "spawn-server", reason, ...(cause === undefined ? {} : { cause }) })

const start =
  (servers: Servers, clock: Clock.Clock, warn: (message: string) => void, late: (message: string) => void) =>
  (request: SpawnRequest) =>
    Effect.tryPromise({
      try: async (): Promise<EngineJob> => {
        const translated = translate(request)
        const job = await servers.spawn(translated)
        const inherits = translated.foreground === true
        if (inherits && isatty(0)) followTerminal(job)
        return spawnServerJob.make(job, clock, {
          onLateFailure: late,
          onStopped: stoppedWarning(inherits, warn)
        })
      },
      catch: (error) => failed(error, request)
    }).pipe(Effect.uninterruptible)

/** Once in a process, however many layers there are. */
let saidInit = false

export const make = (given: Options): Effect.Effect<Engine, EngineUnavailable, Scope.Scope> =>
  Effect.gen(function*() {
    if (process.platform !== "linux") {
      return yield* unavailable(
        "it runs on Linux only; provide NodeProcess.layerChildProcess, or NodeProcess.layer, which chooses"
      )
    }
    const options: StartOptions = {
      ...(given.markOwner === undefined ? {} : { mark: given.markOwner }),
      ...(given.binary === undefined ? {} : { binary: given.binary })
    }
    const servers = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: () => Servers.start(options),
        catch: (error) =>
          error instanceof Unavailable ? unavailable(error.reason, error) : unavailable(String(error), error)
      }),
      (self) => Effect.promise(() => self.close())
    )
    if (process.pid === 1 && !saidInit) {
      saidInit = true
      yield* Effect.logWarning(
        "this program is PID 1 and waits for no process but its own: what a killed spawn server leaves remains as zombies; " +
          "run it below an init, as with `docker run --init`"
      )
    }
    const runtime = yield* Effect.runtime()
    const clock = Clock.make()
    const warn = (message: string) => void Runtime.runFork(runtime)(Effect.logWarning(message))
    const late = (message: string) =>
      void Runtime.runFork(runtime)(Effect.logError(`a command did not start in the end: ${message}`))
    return {
      guarantees: servers.guarantees,
      clock,
      environment,
      spawn: start(servers, clock, warn, late),
      connect
    }
  })
