/** A request as it goes over the socket. `PROTOCOL.md` says how a SPAWN frame is laid out. */
import * as path from "node:path"
import { InvalidRequest } from "../Failure.ts"
import {
  type EncodedEnvironment,
  maximum,
  type PipeRequest,
  type Redirect,
  type SpawnRequest,
  type StageRequest,
  whole
} from "../Request.ts"
import { markName } from "./mark.ts"
import { isOwnEnvironment, ownEnvironment } from "./ownEnvironment.ts"
import { Kind, maximumBody, Writer } from "./wire.ts"

const resources = {
  cpu: 0,
  fileSize: 1,
  data: 2,
  stack: 3,
  core: 4,
  processes: 6,
  openFiles: 7,
  addressSpace: 9
} as const
const modes = { read: 0, write: 1, append: 2, readWrite: 3 } as const
const owners = { none: 0, reads: 1, writes: 2 } as const
const unlimited = 0xffff_ffff_ffff_ffffn

const checked = (what: string, value: string): string => {
  if (value.includes("\0")) throw new InvalidRequest(what, value)
  return value
}

const writeEnvironment = (
  w: Writer,
  env: Readonly<Record<string, string | undefined>>,
  mark: string | undefined
): void => {
  const names = Object.keys(env)
  let text = ""
  const entries: Array<string> = []
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!
    const value = env[name]
    if (value === undefined || name === markName) continue
    const entry = `${name}=${value}`
    text += entry
    entries.push(entry)
  }
  // One search instead of one for each.
  if (text.includes("\0")) throw new InvalidRequest("environment", entries.find((entry) => entry.includes("\0")) ?? "")
  if (mark !== undefined) entries.push(mark)
  w.u32(entries.length)
  for (let i = 0; i < entries.length; i++) w.string(entries[i]!)
}

/** Of a pipe that the request has, the end that is not the owner's. */
const endOf = (pipes: ReadonlyArray<PipeRequest>, pipe: number, end: "read" | "write"): number => {
  const owner = pipes[whole("pipe of a redirection", pipe, 0, pipes.length - 1)]!.owner
  if (owner !== (end === "read" ? "reads" : "writes")) return pipe
  throw new InvalidRequest("redirection", `${end} end of pipe ${pipe}, which is the owner's`)
}

const writeRedirect = (w: Writer, redirect: Redirect, pipes: ReadonlyArray<PipeRequest>): void => {
  w.u32(whole("descriptor", redirect.fd, 0, 65535))
  switch (redirect.kind) {
    case "inherit":
      w.u8(0).u32(whole("inherited descriptor", redirect.from ?? redirect.fd, 0, 2))
      break
    case "null":
      w.u8(1).u32(0)
      break
    case "read":
      w.u8(2).u32(endOf(pipes, redirect.pipe, "read"))
      break
    case "write":
      w.u8(3).u32(endOf(pipes, redirect.pipe, "write"))
      break
    case "file":
      // Absolute, because the stage may change its directory and the server does not follow ours.
      w.u8(4).u32(modes[redirect.mode]).string(path.resolve(checked("path", redirect.path)))
      break
    case "dup":
      w.u8(5).u32(whole("descriptor", redirect.of, 0, 65535))
      break
    case "terminal":
      w.u8(6).u32(0)
  }
}

const isEncoded = (env: NonNullable<StageRequest["env"]>): env is EncodedEnvironment =>
  "encoded" in env && env.encoded instanceof Uint8Array

/**
 * What a spawner knows beside the request.
 *
 * @internal
 */
export interface Context {
  /** `EFFECT_PROCESS_OWNER=...`, or nothing to mark. */
  readonly mark: string | undefined
  /** The directory that the server was started in. */
  readonly directory: string | undefined
  /** Environments that are known not to change, as they go over the socket. */
  readonly encoded: WeakMap<object, Uint8Array>
}

/** @internal */
export const currentDirectory = (): string | undefined => {
  try {
    return process.cwd()
  } catch {
    // Removed under us; the server's own is then all there is.
    return undefined
  }
}

const workingDirectory = (cwd: string | undefined, context: Context): string => {
  if (cwd !== undefined) {
    if (cwd === "") throw new InvalidRequest("working directory", cwd)
    return path.resolve(checked("working directory", cwd))
  }
  const own = currentDirectory()
  return own === undefined || own === context.directory ? "" : own
}

const writeStageEnvironment = (w: Writer, env: NonNullable<StageRequest["env"]>, context: Context): void => {
  if (isEncoded(env)) {
    w.bytes(env.encoded)
    return
  }
  const known = context.encoded.get(env)
  if (known !== undefined) {
    w.bytes(known)
    return
  }
  const from = w.length
  writeEnvironment(w, env, context.mark)
  if (isOwnEnvironment(env)) context.encoded.set(env, w.slice(from))
}

const limitOf = (value: number | undefined): number | bigint =>
  value === undefined || value === Infinity ? unlimited : whole("limit", value, 0, Number.MAX_SAFE_INTEGER)

const writeStage = (
  w: Writer,
  stage: StageRequest,
  pipes: ReadonlyArray<PipeRequest>,
  context: Context
): void => {
  if (stage.file === "") throw new InvalidRequest("command", "")
  const args = stage.args ?? []
  w.string(checked("command", stage.file)).u32(args.length + 1).string(checked("argv0", stage.argv0 ?? stage.file))
  for (let i = 0; i < args.length; i++) w.string(checked("argument", args[i]!))
  w.u8(0)
  writeStageEnvironment(w, stage.env ?? ownEnvironment(), context)
  w.string(workingDirectory(stage.cwd, context))
  const user = stage.user
  w.u32((stage.umask === undefined ? 0 : 1) | (stage.nice === undefined ? 0 : 2) | (user === undefined ? 0 : 28))
  w.u32(whole("umask", stage.umask ?? 0, 0, 0o777)).u32(whole("nice", stage.nice ?? 0, -20, 19))
  w.u32(whole("uid", user?.uid ?? 0, 0, 0xffff_fffe)).u32(whole("gid", user?.gid ?? 0, 0, 0xffff_fffe))
  const groups = user === undefined ? [] : user.groups ?? [user.gid]
  w.u16(whole("number of groups", groups.length, 0, 65535))
  for (const group of groups) w.u32(whole("group", group, 0, 0xffff_fffe))
  const limits = stage.limits ?? []
  w.u8(whole("number of limits", limits.length, 0, 64))
  for (const limit of limits) {
    w.u8(resources[limit.resource])
    w.u64(limitOf(limit.soft)).u64(limitOf(limit.hard))
  }
  w.u16(whole("number of redirections", stage.redirects.length, 0, 65535))
  for (let i = 0; i < stage.redirects.length; i++) writeRedirect(w, stage.redirects[i]!, pipes)
}

/**
 * Encodes an environment for use in many requests; what it holds is fixed from then on.
 *
 * @internal
 */
export const encodeEnvironment = (
  env: Readonly<Record<string, string | undefined>>,
  context: Context
): EncodedEnvironment => {
  const w = new Writer()
  writeEnvironment(w, env, context.mark)
  return { encoded: w.slice(0) }
}

const noPipe = 0xffff

const writeTerminal = (w: Writer, request: SpawnRequest): void => {
  const { pipes = [], stages, terminal } = request
  if (terminal === undefined) {
    if (stages.some(({ redirects }) => redirects.some(({ kind }) => kind === "terminal"))) {
      throw new InvalidRequest("redirection to a terminal", "of a job without one")
    }
    return
  }
  if (request.foreground === true) throw new InvalidRequest("foreground", "of a job with a terminal of its own")
  const joined = (what: "input" | "output", owner: PipeRequest["owner"]): number => {
    const pipe = terminal[what]
    if (pipe === undefined) return noPipe
    if (pipes[pipe]?.owner !== owner) throw new InvalidRequest(`terminal's ${what}`, `pipe ${pipe}`)
    const isStages = stages.some(({ redirects }) =>
      redirects.some((redirect) => "pipe" in redirect && redirect.pipe === pipe)
    )
    if (isStages) throw new InvalidRequest(`terminal's ${what}`, `pipe ${pipe}, which is also a stage's`)
    return pipe
  }
  w.u16(whole("columns", terminal.columns ?? 80, 1, 65535)).u16(whole("rows", terminal.rows ?? 24, 1, 65535))
  w.u16(joined("input", "writes")).u16(joined("output", "reads"))
}

/** 0: none. One that has passed already is due at once. */
const deadlineOf = ({ deadlineMs = Infinity }: SpawnRequest): number =>
  deadlineMs === Infinity ? 0 : whole("deadline", Math.max(1, Math.ceil(deadlineMs)), 1, Number.MAX_SAFE_INTEGER)

const writeSpawn = (w: Writer, id: number, request: SpawnRequest, context: Context): void => {
  const pipes = request.pipes ?? []
  w.u32(id).u64(deadlineOf(request))
  w.u32(whole("grace period", Math.ceil(request.graceMs ?? 5000), 0, 0xffff_ffff)).u32(
    (request.foreground === true ? 1 : 0) | (request.terminal === undefined ? 0 : 2)
  )
  w.u8(whole("kill signal", request.killSignal ?? 15, 1, 64)).u8(
    whole("number of stages", request.stages.length, 1, maximum.stages)
  )
  w.u16(whole("number of pipes", pipes.length, 0, maximum.pipes))
  let ownersEnds = 0
  for (let i = 0; i < pipes.length; i++) if (pipes[i]!.owner !== "none") ownersEnds++
  whole("number of pipes with an end of the owner's", ownersEnds, 0, maximum.ownersEnds)
  for (let i = 0; i < pipes.length; i++) {
    w.u8(owners[pipes[i]!.owner]).u32(whole("pipe size", pipes[i]!.size ?? 0, 0, 1 << 30))
  }
  writeTerminal(w, request)
  for (let i = 0; i < request.stages.length; i++) writeStage(w, request.stages[i]!, pipes, context)
}

/**
 * Writes the SPAWN frame and says whether it is one: false when it is larger than any execve(2) would take. Throws
 * `InvalidRequest`. In both cases nothing is written.
 *
 * @internal
 */
export const encode = (w: Writer, id: number, request: SpawnRequest, context: Context): boolean => {
  w.begin(Kind.Spawn)
  try {
    writeSpawn(w, id, request, context)
  } catch (error) {
    w.abandon()
    throw error
  }
  if (w.bodyLength > maximumBody) {
    w.abandon()
    return false
  }
  w.end()
  return true
}
