/** What to run: the request that a spawn server turns into a job. */
import { InvalidRequest } from "./Failure.ts"

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
 * A resource limit of a stage, soft and hard: seconds for `cpu`, counts for `processes` and `openFiles`, bytes for the others; `undefined` or
 * `Infinity` is none. Source: setrlimit(2).
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

/**
 * A number from outside that goes over the socket: a frame with one that is out of bounds would end the server with all its jobs.
 *
 * @internal
 */
export const whole = (what: string, value: number, low: number, high: number): number => {
  if (!Number.isInteger(value) || value < low || value > high) throw new InvalidRequest(what, String(value))
  return value
}
