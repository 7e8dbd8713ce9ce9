/** What to run: the request that a spawn server turns into a job. */
import * as path from "node:path"
import { InvalidRequest } from "./Failure.ts"
import { isOwnEnvironment, ownEnvironment } from "./internal/ownEnvironment.ts"
import { markName } from "./internal/mark.ts"
import { Kind, maximumBody, Writer } from "./internal/wire.ts"

/**
 * One descriptor of a stage. A number that is not named is the server's own for 0 to 2, and closed otherwise.
 *
 * @since 0.1.0
 * @category models
 */
export type Redirect =
  | { readonly fd: number; readonly kind: "inherit"; readonly from?: 0 | 1 | 2 }
  | { readonly fd: number; readonly kind: "null" }
  /** An end of `pipes[pipe]`: the stage reads it or writes it. */
  | { readonly fd: number; readonly kind: "read" | "write"; readonly pipe: number }
  | {
    readonly fd: number
    readonly kind: "file"
    readonly path: string
    readonly mode: "read" | "write" | "append" | "readWrite"
  }
  /** What the stage's descriptor `of` is, once all others are in place: `2>&1` is `{ fd: 2, kind: "dup", of: 1 }`. */
  | { readonly fd: number; readonly kind: "dup"; readonly of: number }
  /** The request's terminal. */
  | { readonly fd: number; readonly kind: "terminal" }

/**
 * A pipe of the job. `owner` says which end is ours; `"none"`: both belong to stages.
 *
 * @since 0.1.0
 * @category models
 */
export interface PipeRequest {
  readonly owner: "reads" | "writes" | "none"
  /** Bytes it should hold (`F_SETPIPE_SZ`); a wish. */
  readonly size?: number
}

/**
 * `undefined` is no limit.
 *
 * @since 0.1.0
 * @category models
 */
export interface LimitRequest {
  readonly resource: "cpu" | "fileSize" | "data" | "stack" | "core" | "processes" | "openFiles" | "addressSpace"
  readonly soft: number | undefined
  readonly hard: number | undefined
}

/**
 * An environment that was encoded once, for many spawns.
 *
 * @since 0.1.0
 * @category models
 */
export interface EncodedEnvironment {
  readonly encoded: Uint8Array
}

/**
 * One program of a job: what it is, what it is given, and where its descriptors lead.
 *
 * @since 0.1.0
 * @category models
 */
export interface StageRequest {
  readonly file: string
  readonly args?: ReadonlyArray<string>
  /** What the program sees as its own name; default `file`. */
  readonly argv0?: string
  /** The whole environment; default this process's own, as it is now. */
  readonly env?: Readonly<Record<string, string | undefined>> | EncodedEnvironment
  readonly cwd?: string
  readonly redirects: ReadonlyArray<Redirect>
  readonly umask?: number
  readonly nice?: number
  /** Groups default to none but `gid`. */
  readonly user?: { readonly uid: number; readonly gid: number; readonly groups?: ReadonlyArray<number> }
  readonly limits?: ReadonlyArray<LimitRequest>
}

/**
 * A pseudo-terminal for the job, whose group has its foreground. `input` and `output` are pipes that the owner writes and
 * reads: what is written is typed, what is shown can be read. The end of the input is typed as Ctrl-D at the beginning of a
 * line; without an output what is shown is dropped. When the output's reader goes, the terminal is hung up (SIGHUP).
 *
 * @since 0.1.0
 * @category models
 */
export interface TerminalRequest {
  /** 1 to 65535; default 80. */
  readonly columns?: number
  /** 1 to 65535; default 24. */
  readonly rows?: number
  readonly input?: number
  readonly output?: number
}

/**
 * One job: the stages of a pipeline, or one command, in one process group. Stages refer to pipes by their index.
 *
 * @since 0.1.0
 * @category models
 */
export interface SpawnRequest {
  readonly stages: ReadonlyArray<StageRequest>
  readonly pipes?: ReadonlyArray<PipeRequest>
  /** Number of the signal that ends the job when its deadline or its owner's end does; default 15. */
  readonly killSignal?: number
  /** Milliseconds from it to `SIGKILL`; default 5000. */
  readonly graceMs?: number
  /** Milliseconds from now; default none. */
  readonly deadlineMs?: number
  /** Make the job the foreground group of our terminal while it runs. Not together with `terminal`. */
  readonly foreground?: boolean
  readonly terminal?: TerminalRequest
}

/**
 * How one of the first three descriptors of a plain command is set up.
 *
 * @since 0.1.0
 * @category models
 */
export type Stdio = "pipe" | "inherit" | "ignore" | {
  readonly path: string
  readonly mode: "read" | "write" | "append"
}

/**
 * What `command` can be told: the settings of the job and of its only stage.
 *
 * @since 0.1.0
 * @category models
 */
export interface CommandOptions
  extends Omit<SpawnRequest, "stages" | "pipes" | "terminal">, Omit<StageRequest, "file" | "args" | "redirects">
{
  /**
   * Takes the place of the pipes of stdin, stdout and stderr: what is written to the first pipe, if stdin has one, is
   * typed, what is shown comes out of the next one.
   */
  readonly terminal?: { readonly columns?: number; readonly rows?: number }
  readonly stdin?: Stdio
  readonly stdout?: Stdio
  readonly stderr?: Stdio | "stdout"
}

const stdioNames = ["stdin", "stdout", "stderr"] as const

/**
 * The request for one command, whose pipes are in the order stdin, stdout, stderr, as far as they are asked for; with
 * `terminal`, one for what is typed and one for what is shown.
 *
 * @example
 * import { command, SpawnServer } from "@effect-process/spawn-server"
 *
 * command("wc", ["-c"], { stdin: "pipe", graceMs: 300 }).pipes // => [{ owner: "writes" }, { owner: "reads" }, { owner: "reads" }]
 *
 * const server = await SpawnServer.start()
 * const job = await server.spawn(command("true", [], { stdout: "ignore", stderr: "ignore" }))
 * await job.empty() // => true
 * await server.close()
 *
 * @since 0.1.0
 * @category requests
 */
export const command = (file: string, args: ReadonlyArray<string> = [], options: CommandOptions = {}): SpawnRequest => {
  const pipes: Array<PipeRequest> = []
  const redirects: Array<Redirect> = []
  const isOnTerminal = options.terminal !== undefined
  let input: number | undefined
  let output: number | undefined
  for (let fd = 0; fd < 3; fd++) {
    const stdio = options[stdioNames[fd]!] ?? (fd === 0 && !isOnTerminal ? "ignore" : "pipe")
    if (stdio === "pipe" && isOnTerminal) {
      redirects.push({ fd, kind: "terminal" })
      if (fd === 0) input = pipes.push({ owner: "writes" }) - 1
      else output ??= pipes.push({ owner: "reads" }) - 1
    } else if (stdio === "pipe") {
      redirects.push({ fd, kind: fd === 0 ? "read" : "write", pipe: pipes.length })
      pipes.push({ owner: fd === 0 ? "writes" : "reads" })
    } else if (stdio === "stdout") redirects.push({ fd, kind: "dup", of: 1 })
    else if (stdio === "inherit") redirects.push({ fd, kind: "inherit" })
    else if (stdio === "ignore") redirects.push({ fd, kind: "null" })
    else redirects.push({ fd, kind: "file", path: stdio.path, mode: stdio.mode })
  }
  const { stdin: _0, stdout: _1, stderr: _2, terminal, ...rest } = options
  const request = { ...rest, stages: [{ ...rest, file, args, redirects }], pipes }
  if (terminal === undefined) return request
  return {
    ...request,
    terminal: { ...terminal, ...(input === undefined ? {} : { input }), ...(output === undefined ? {} : { output }) }
  }
}

/**
 * What one job may have. The server holds memory for so much of every job that it could run.
 *
 * @since 0.1.0
 * @category requests
 */
export const maximum = { stages: 64, pipes: 192, ownersEnds: 96 } as const

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

/** @internal */
export const whole = (what: string, value: number, low: number, high: number): number => {
  if (!Number.isInteger(value) || value < low || value > high) throw new InvalidRequest(what, String(value))
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

const writeRedirect = (w: Writer, redirect: Redirect): void => {
  w.u32(whole("descriptor", redirect.fd, 0, 65535))
  switch (redirect.kind) {
    case "inherit":
      w.u8(0).u32(whole("inherited descriptor", redirect.from ?? redirect.fd, 0, 2))
      break
    case "null":
      w.u8(1).u32(0)
      break
    case "read":
      w.u8(2).u32(redirect.pipe)
      break
    case "write":
      w.u8(3).u32(redirect.pipe)
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

/** What a spawner knows beside the request. */
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

const writeStage = (w: Writer, stage: StageRequest, context: Context): void => {
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
    w.u64(limit.soft === undefined ? unlimited : whole("limit", limit.soft, 0, Number.MAX_SAFE_INTEGER))
    w.u64(limit.hard === undefined ? unlimited : whole("limit", limit.hard, 0, Number.MAX_SAFE_INTEGER))
  }
  w.u16(whole("number of redirections", stage.redirects.length, 0, 65535))
  for (let i = 0; i < stage.redirects.length; i++) writeRedirect(w, stage.redirects[i]!)
}

/** Encodes an environment for use in many requests; what it holds is fixed from then on. */
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
  const endOf = (what: "input" | "output", owner: PipeRequest["owner"]): number => {
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
  w.u16(endOf("input", "writes")).u16(endOf("output", "reads"))
}

const writeSpawn = (w: Writer, id: number, request: SpawnRequest, context: Context): void => {
  const pipes = request.pipes ?? []
  w.u32(id).u64(request.deadlineMs === undefined ? 0 : Math.max(1, Math.ceil(request.deadlineMs)))
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
  for (let i = 0; i < request.stages.length; i++) writeStage(w, request.stages[i]!, context)
}

/**
 * Writes the SPAWN frame and says whether it is one: false when it is larger than any execve(2) would take. Throws
 * `InvalidRequest`. In both cases nothing is written.
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
