/** Everything that can go wrong, as `Error`s with fields. */

/**
 * The request itself is wrong; nothing was sent. `what` of it, and the `value`, whose beginning the message quotes: where arguments or
 * variables may be secret it is not to be shown.
 *
 * @example
 * import { command, InvalidRequest, SpawnServer } from "@effect-process/spawn-server"
 *
 * const server = await SpawnServer.start()
 * const failure = await server.spawn(command("echo", ["a\0b"])).catch((error) => error)
 * failure instanceof InvalidRequest // => true
 * await server.close()
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidRequest extends Error {
  override readonly name = "InvalidRequest"
  readonly what: string
  readonly value: string
  constructor(what: string, value: string) {
    super(`invalid ${what}: ${JSON.stringify(value.length > 200 ? `${value.slice(0, 200)}...` : value)}`)
    this.what = what
    this.value = value
  }
}

/**
 * The step of a spawn that failed, as the server names it.
 *
 * @since 0.1.0
 * @category models
 */
export type Step = "fork" | "open" | "limits" | "user" | "chdir" | "exec"

/**
 * The job could not be started; nothing of it is left.
 *
 * @example
 * import { command, SpawnFailure, SpawnServer } from "@effect-process/spawn-server"
 *
 * const server = await SpawnServer.start()
 * const failure = await server.spawn(command("no-such-program")).catch((error) => error)
 * if (failure instanceof SpawnFailure) {
 *   failure.code // => "ENOENT"
 * }
 * await server.close()
 *
 * @since 0.1.0
 * @category errors
 */
export class SpawnFailure extends Error {
  override readonly name = "SpawnFailure"
  readonly step: Step
  /** Which stage of the pipeline. */
  readonly stage: number
  /** `ENOENT` and so on. */
  readonly code: string
  readonly errno: number
  /** What was being opened, entered or executed, where there is such a thing. */
  readonly path: string | undefined
  /** `exec`: the file is there. `ENOENT` then speaks of the interpreter that it names. */
  readonly exists: boolean
  constructor(
    fields: { step: Step; stage: number; code: string; errno: number; path: string | undefined; exists: boolean }
  ) {
    super(`${fields.step} ${fields.code}${fields.path === undefined ? "" : `: ${fields.path}`}`)
    this.step = fields.step
    this.stage = fields.stage
    this.code = fields.code
    this.errno = fields.errno
    this.path = fields.path
    this.exists = fields.exists
  }
}

/**
 * The server, or the supervisor of this job, is gone: `what` says which, `reason` how. What it ran is ended; another server can be
 * started.
 *
 * @example
 * import { command, ServerLost, SpawnServer } from "@effect-process/spawn-server"
 *
 * const server = await SpawnServer.start()
 * await server.close()
 * const failure = await server.spawn(command("true")).catch((error) => error)
 * failure instanceof ServerLost // => true
 *
 * @since 0.1.0
 * @category errors
 */
export class ServerLost extends Error {
  override readonly name = "ServerLost"
  readonly what: "server" | "supervisor"
  readonly reason: string
  constructor(what: "server" | "supervisor", reason: string) {
    super(`the ${what === "server" ? "spawn server" : "supervisor"} was lost: ${reason}`)
    this.what = what
    this.reason = reason
  }
}

/**
 * The server cannot be used here. `reason` says why, with the remedy where there is one.
 *
 * @example
 * import { SpawnServer, Unavailable } from "@effect-process/spawn-server"
 *
 * const failure = await SpawnServer.start({ binary: "/nowhere/spawn-server" }).catch((error) => error)
 * failure instanceof Unavailable // => true
 *
 * @since 0.1.0
 * @category errors
 */
export class Unavailable extends Error {
  override readonly name = "Unavailable"
  readonly reason: string
  constructor(reason: string, cause?: unknown) {
    super(`the spawn server cannot be used: ${reason}`, { cause })
    this.reason = reason
  }
}

/**
 * A request about a running job was refused: `request` says which, `code` and `errno` why. `ESRCH`: there is nobody any more; `EPERM`: another
 * user's, or for `grow` that the allowance for pipes is spent; `ENOTTY`: no terminal. Source: errno(3).
 *
 * @example
 * import { command, RequestFailure, SpawnServer } from "@effect-process/spawn-server"
 *
 * const server = await SpawnServer.start()
 * const job = await server.spawn(command("true", [], { stdout: "ignore", stderr: "ignore" }))
 * await job.empty()
 * const failure = await job.signal(15).catch((error) => error)
 * if (failure instanceof RequestFailure) {
 *   failure.code // => "ESRCH"
 * }
 * await server.close()
 *
 * @since 0.1.0
 * @category errors
 */
export class RequestFailure extends Error {
  override readonly name = "RequestFailure"
  readonly request: "signal" | "extendDeadline" | "descendants" | "grow" | "resize"
  readonly code: string
  readonly errno: number
  constructor(request: RequestFailure["request"], code: string, errno: number) {
    super(`${request}: ${code}`)
    this.request = request
    this.code = code
    this.errno = errno
  }
}
