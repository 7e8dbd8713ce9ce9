/** The fallback engine: `node:child_process`, each job in a session and process group of its own, and a watchdog. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { EngineUnavailable } from "effect-process"
import { type Engine, type EngineJob, SpawnFailure, type SpawnRequest, type StageRequest } from "effect-process/Engine"
import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process"
import { randomUUID } from "node:crypto"
import type { Stream } from "node:stream"
import { connect, environment } from "./owner.ts"
import * as childProcessJob from "./childProcessJob.ts"
import { errnoName, find as findShield, inheritable, type Shield } from "./descriptorShield.ts"
import { errnoOf, failure, isExhaustion } from "./errno.ts"
import { preflight } from "./preflight.ts"
import { ownerMark } from "./processTable.ts"
import { Watchdog } from "./watchdog.ts"

/** The variable by which a later owner, and the watchdog, know whose a process is. */
const markName = "EFFECT_PROCESS_OWNER"

const unsupported = (what: string, remedy: string): SpawnFailure =>
  new SpawnFailure({
    reason: "Unsupported",
    stage: "validate",
    errno: undefined,
    path: undefined,
    detail: `${what} is not supported by the engine on node:child_process; ${remedy}`
  })

/** Refused rather than left out: a limit that silently does not hold is worse than none. */
const checkSupported = (request: SpawnRequest): StageRequest => {
  const [stage, ...more] = request.stages
  if (more.length > 0) throw unsupported("a pipeline", "run it in Command.shell")
  if (stage.limits !== undefined) throw unsupported("Command.limits", "use ulimit in Command.shell")
  if (stage.nice !== undefined) throw unsupported("Command.nice", "run nice(1)")
  if (stage.umask !== undefined) throw unsupported("Command.umask", "use umask in Command.shell")
  if ((stage.user?.groups?.length ?? 0) > 0) throw unsupported("Command.user with groups", "run setpriv(1)")
  return stage
}

const options = (stage: StageRequest, mark: string): SpawnOptions => ({
  detached: true,
  cwd: stage.workingDirectory,
  env: mark === "" ? stage.env : { ...stage.env, [markName]: mark },
  ...(stage.user === undefined ? {} : { uid: stage.user.uid, gid: stage.user.gid })
})

/** A child, its stdio and, where it starts through the shield, the stream that tells how its exec went. */
interface Started {
  readonly child: ChildProcess
  readonly stdio: childProcessJob.Stdio
  readonly status: Stream | undefined
}

const spawnStage = (file: string, stage: StageRequest, mark: string, shield: Shield | undefined): Started => {
  const { stderr, stdin, stdout } = stage
  if (shield === undefined) {
    const stdio = [stdin, stdout, stderr]
    const child = spawn(file, stage.args, { ...options(stage, mark), stdio, argv0: stage.argv0 ?? stage.file })
    return { child, stdio: [child.stdio?.[0], child.stdio?.[1], child.stdio?.[2]], status: undefined }
  }
  const stdio = [stdin, stdout, "ignore", "pipe", stderr === "inherit" ? 2 : stderr] as const
  const child = spawn(shield.command, shield.args(file, stage), { ...options(stage, mark), stdio: [...stdio] })
  return {
    child,
    stdio: [child.stdio?.[0], child.stdio?.[1], child.stdio?.[4]],
    status: child.stdio?.[3] ?? undefined
  }
}

/** What the status stream says: nothing when the exec succeeded and closed it, else an errno. */
const statusOf = (stream: Stream): Effect.Effect<string> =>
  Effect.async((resume) => {
    let text = ""
    stream.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1")
    })
    stream.on("error", () => {
      // The stream closes.
    })
    stream.once("close", () => resume(Effect.succeed(text)))
  })

/** A child without a pid was not spawned; its error comes in a later turn. Its `kill` must not be called. */
const failureOf = (child: ChildProcess, file: string, stage: StageRequest): Effect.Effect<never, SpawnFailure> =>
  Effect.async((resume) => {
    child.once("error", (error) => {
      for (const stream of child.stdio ?? []) stream?.destroy()
      resume(Effect.fail(failed(error, file, stage)))
    })
  })

const failed = (error: unknown, file: string, stage: StageRequest): SpawnFailure => {
  if (error instanceof SpawnFailure) return error
  const errno = errnoOf(error)
  if (isExhaustion(errno)) return failure(errno, "fork", undefined)
  if (errno === "EPERM" && stage.user !== undefined) return failure(errno, "user", undefined)
  return failure(errno, "exec", file)
}

const start = (
  request: SpawnRequest,
  watchdog: Watchdog,
  mark: string,
  shield: Shield | undefined
): Effect.Effect<EngineJob, SpawnFailure> =>
  Effect.suspend(() => {
    let file = request.stages[0].file
    try {
      const stage = checkSupported(request)
      file = preflight(stage)
      watchdog.announce(request.killSignal, Duration.toMillis(request.gracePeriod))
      const { child, status, stdio } = spawnStage(file, stage, mark, shield)
      const pid = child.pid
      if (pid === undefined) return failureOf(child, file, stage)
      watchdog.register(pid)
      child.on("error", () => {
        // Of a child that runs, Node reports failed kills by it, and we send our signals ourselves.
      })
      const job = childProcessJob.make(child, pid, stdio, () => watchdog.forget(pid))
      if (status === undefined) return Effect.succeed(job)
      return Effect.flatMap(statusOf(status), (errno) =>
        errno === ""
          ? Effect.succeed(job)
          : Effect.zipRight(Effect.ignore(job.empty), Effect.fail(failure(errnoName(errno), "exec", file))))
    } catch (error) {
      return Effect.fail(failed(error, file, request.stages[0]))
    }
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
    // One per layer: another layer of this owner may close, or its worker end, while our jobs go on.
    const mark = given.markOwner === false ? "" : `${ownerMark()}:${randomUUID()}`
    const watchdog = yield* Effect.acquireRelease(
      Effect.sync(() => new Watchdog(mark)),
      (self) => Effect.promise(() => self.close())
    )
    const inherited = inheritable()
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
      spawn: (request) => start(request, watchdog, mark, shield),
      connect
    }
  })
