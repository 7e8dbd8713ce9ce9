/** The spawn server, as its owner sees it: one child process that starts jobs. */
import { RequestFailure, ServerLost, SpawnFailure } from "./Failure.ts"
import { aftermath } from "./internal/aftermath.ts"
import { Connection } from "./internal/connection.ts"
import { readExit, readFailure, readLost, readRows, readStarted } from "./internal/decode.ts"
import { type Context, currentDirectory, encode, encodeEnvironment } from "./internal/encode.ts"
import { closeQuietly } from "./internal/ends.ts"
import { makeMark } from "./internal/mark.ts"
import { errnoName } from "./internal/system.ts"
import { Kind } from "./internal/wire.ts"
import type { Reader, Writer } from "./internal/wire.ts"
import { Job } from "./Job.ts"
import type { ProcessRow } from "./Job.ts"
import type { Features, StartOptions } from "./Options.ts"
import { type EncodedEnvironment, type SpawnRequest, whole } from "./Request.ts"

/** A spawn that is not answered yet. */
interface Pending {
  readonly id: number
  readonly graceMs: number
  readonly pipes: ReadonlyArray<"reads" | "writes" | "none">
  readonly resolve: (job: Job) => void
  readonly reject: (error: Error) => void
  descriptors: Array<number> | undefined
  failure: SpawnFailure | ServerLost | undefined
}

/** A request about a job that is not answered yet. */
interface Asked {
  readonly name: RequestFailure["request"]
  readonly job: Job
  readonly resolve: (rows: ReadonlyArray<ProcessRow>) => void
  readonly reject: (error: Error) => void
  readonly rows: Array<ProcessRow>
}

const requestKinds = {
  signal: Kind.Signal,
  extendDeadline: Kind.Extend,
  descendants: Kind.List,
  grow: Kind.Grow,
  resize: Kind.Resize
} as const

/**
 * A spawn server of this process's own, and the connection to it. It does not keep the event loop alive while nothing is under way.
 *
 * @example
 * import { command, SpawnServer } from "@effect-process/spawn-server"
 *
 * const server = await SpawnServer.start()
 * const job = await server.spawn(command("sh", ["-c", "echo hi; setsid sleep 60 &"], { graceMs: 300 }))
 * let text = ""
 * for await (const chunk of job.readable(0)) {
 *   text += String(chunk)
 *   job.terminate() // the supervisor carries it through, SIGKILL after the grace period included
 * }
 * text // => "hi\n"
 * await job.empty() // => true
 * job.close()
 * await server.close()
 *
 * @since 0.1.0
 * @category servers
 */
export class SpawnServer {
  readonly #connection: Connection
  readonly #options: StartOptions
  readonly #context: Context
  readonly #pending = new Map<number, Pending>()
  readonly #jobs = new Map<number, Job>()
  readonly #asked = new Map<number, Asked>()
  readonly #rows = new Map<number, Array<ProcessRow>>()
  readonly #onLost: Array<(failure: ServerLost) => void> = []
  readonly #onClosed: Array<() => void> = []
  #nextId = 1
  #nextToken = 1

  private constructor(connection: Connection, options: StartOptions, context: Context) {
    this.#connection = connection
    this.#options = options
    this.#context = context
    connection.listen({
      onFrame: (kind, body) => this.#onFrame(kind, body),
      onEnd: (lost) => this.#onEnd(lost)
    })
  }

  /** Starts a server and waits for its greeting. Rejects with `Unavailable`. */
  static async start(options: StartOptions = {}): Promise<SpawnServer> {
    const context = {
      mark: options.mark === false ? undefined : makeMark(),
      directory: currentDirectory(),
      encoded: new WeakMap<object, Uint8Array>()
    }
    return new SpawnServer(await Connection.start(options), options, context)
  }

  get pid(): number {
    return this.#connection.pid
  }

  get features(): Features {
    return this.#connection.features
  }

  /** Set once the server is gone. */
  get lost(): ServerLost | undefined {
    return this.#connection.lost
  }

  /** Called once, when the server is gone otherwise than by `close`. */
  onLost(listener: (failure: ServerLost) => void): void {
    this.#onLost.push(listener)
  }

  get liveJobs(): number {
    return this.#jobs.size + this.#pending.size
  }

  /** Encodes an environment for use in many requests. */
  encodeEnvironment(env: Readonly<Record<string, string | undefined>>): EncodedEnvironment {
    return encodeEnvironment(env, this.#context)
  }

  /**
   * Starts a job. Rejects with `InvalidRequest`, `SpawnFailure` or `ServerLost`; nothing is left then. `onId` gets the id
   * at once, so that `terminateId` can end a job whose answer is still under way.
   */
  spawn(request: SpawnRequest, onId?: (id: number) => void): Promise<Job> {
    return new Promise((resolve, reject) => {
      if (this.lost !== undefined) return reject(this.lost)
      if (this.#connection.isClosing) return reject(new ServerLost("server", "it was closed"))
      const id = this.#nextId++
      if (!encode(this.#connection.writer, id, request, this.#context)) {
        return reject(
          new SpawnFailure({ step: "exec", stage: 0, code: "E2BIG", errno: 7, path: undefined, exists: false })
        )
      }
      this.#pending.set(id, {
        id,
        graceMs: request.graceMs ?? 5000,
        pipes: request.pipes === undefined ? [] : request.pipes.map((pipe) => pipe.owner),
        resolve,
        reject,
        descriptors: undefined,
        failure: undefined
      })
      this.#connection.hold()
      this.#connection.flushSoon()
      onId?.(id)
    })
  }

  /** As `Job.terminate`, for a job whose `spawn` has not answered yet. */
  terminateId(id: number, signal = 0, graceMs = 0): void {
    const number = whole("signal", signal, 0, 64)
    const grace = whole("grace period", Math.ceil(graceMs), 0, 0xffff_ffff)
    if (this.lost === undefined) this.#send(this.#begin(Kind.Terminate).u32(id).u8(number).u32(grace))
  }

  /**
   * Ends every job with its own signal and grace period, then the server. Resolves when it is gone: one that does not go in time,
   * because it was stopped or hangs, is killed, and its supervisors end their jobs.
   */
  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.lost !== undefined) return resolve()
      this.#onClosed.push(resolve)
      if (this.#connection.isClosing) return
      this.#connection.shutDown()
      const timer = setTimeout(() => {
        if (this.lost === undefined) process.kill(this.pid, "SIGKILL")
      }, this.#closeBound)
      this.#onClosed.push(() => clearTimeout(timer))
    })
  }

  /** Milliseconds: the longest grace, then what supervisors and server may take, as PROTOCOL.md bounds it, and to be taken for hung. */
  get #closeBound(): number {
    const { hangMs = 2000, killBoundMs = 1000, slackMs = 250 } = this.#options
    const graces = [...this.#jobs.values(), ...this.#pending.values()].map(({ graceMs }) => graceMs)
    return Math.max(0, ...graces) + killBoundMs + 2 * slackMs + hangMs
  }

  /** @internal */
  tell(what: "terminate" | "kill" | "resume", job: Job, signal: number, graceMs: number): void {
    if (job.isEmpty) return
    if (what === "terminate") this.terminateId(job.id, signal, graceMs)
    else if (this.lost === undefined) this.#send(this.#begin(what === "kill" ? Kind.Kill : Kind.Resume).u32(job.id))
  }

  /** @internal */
  request(
    name: Asked["name"],
    job: Job,
    write: (w: Writer, token: number) => Writer
  ): Promise<ReadonlyArray<ProcessRow>> {
    return new Promise((resolve, reject) => {
      if (job.lost !== undefined) return reject(job.lost)
      if (this.lost !== undefined) return reject(this.lost)
      if (job.isEmpty) return reject(new RequestFailure(name, "ESRCH", 3))
      const token = this.#nextToken++
      this.#asked.set(token, { name, job, resolve, reject, rows: [] })
      this.#send(write(this.#begin(requestKinds[name]).u32(job.id), token))
    })
  }

  /** @internal `end`: which of the owner's ends of the job. */
  async grow(job: Job, end: number, fd: number, bytes: number): Promise<void> {
    await this.request("grow", job, (w, token) => w.u32(token).u32(end).u32(fd).u32(bytes))
  }

  #begin(kind: number): Writer {
    return this.#connection.writer.begin(kind)
  }

  #send(w: Writer): void {
    this.#connection.send(w)
  }

  #onFrame(kind: number, body: Reader): void {
    const id = body.u32()
    if (kind === Kind.Result) return this.#onResult(body.u32(), body.u32())
    if (kind === Kind.Processes) return this.#onProcesses(body)
    const pending = this.#pending.get(id)
    if (pending !== undefined) return this.#onPending(pending, kind, body)
    const job = this.#jobs.get(id)
    if (job !== undefined) this.#onJob(job, kind, body)
  }

  #onPipes(pending: Pending, body: Reader): void {
    const descriptors: Array<number> = []
    let count = body.u16()
    try {
      for (const owner of pending.pipes) {
        if (owner === "none" || count === 0) descriptors.push(-1)
        else {
          count--
          descriptors.push(this.#connection.open(body.u32(), owner))
        }
      }
    } catch (error) {
      const { code = "EIO", errno = -5 } = error as NodeJS.ErrnoException
      pending.failure = new SpawnFailure({
        step: "open",
        stage: 0,
        code,
        errno: -errno,
        path: undefined,
        exists: false
      })
      this.#send(this.#begin(Kind.Kill).u32(pending.id))
    }
    pending.descriptors = descriptors
    this.#connection.opened(pending.id, pending.pipes)
  }

  #onPending(pending: Pending, kind: number, body: Reader): void {
    switch (kind) {
      case Kind.Pipes:
        return this.#onPipes(pending, body)
      case Kind.Started: {
        if (pending.failure !== undefined) return
        const job = new Job(
          this,
          pending.id,
          readStarted(body),
          pending.descriptors ?? [],
          pending.pipes,
          pending.graceMs
        )
        this.#pending.delete(pending.id)
        this.#jobs.set(pending.id, job)
        return pending.resolve(job)
      }
      case Kind.Failed:
        pending.failure ??= readFailure(body)
        return
      case Kind.Lost:
        pending.failure ??= readLost(body)
        return
      case Kind.Empty:
      case Kind.Unkillable:
        return this.#fail(
          pending,
          pending.failure ??
            new SpawnFailure({ step: "fork", stage: 0, code: "ESRCH", errno: 3, path: undefined, exists: false })
        )
    }
  }

  #fail(pending: Pending, error: Error): void {
    this.#pending.delete(pending.id)
    for (const fd of pending.descriptors ?? []) if (fd >= 0) closeQuietly(fd)
    this.#letGo()
    pending.reject(error)
  }

  #letGo(): void {
    if (this.liveJobs === 0) this.#connection.letGo()
  }

  #onJob(job: Job, kind: number, body: Reader): void {
    switch (kind) {
      case Kind.Exit:
        return job.emit({ type: "exit", ...readExit(body) })
      case Kind.Stopped:
      case Kind.Continued:
        return job.emit({
          type: kind === Kind.Stopped ? "stopped" : "continued",
          stage: body.u8(),
          signal: body.u32(),
          terminal: body.u8() === 1
        })
      case Kind.Deadline:
        return job.emit({ type: "deadline" })
      case Kind.Terminating:
        return job.emit({ type: "terminating" })
      case Kind.Failed:
        return job.emit({ type: "failed", failure: readFailure(body) })
      case Kind.Left:
      case Kind.Unkillable: {
        body.u32()
        const { last, rows } = readRows(body)
        const all = (this.#rows.get(job.id) ?? []).concat(rows)
        if (!last) {
          this.#rows.set(job.id, all)
          return
        }
        this.#rows.delete(job.id)
        return job.emit({ type: kind === Kind.Left ? "left" : "unkillable", processes: all })
      }
      case Kind.Lost:
        return this.#loseJob(job, readLost(body))
      case Kind.Empty:
        return this.#emptied(job)
    }
  }

  #emptied(job: Job): void {
    this.#jobs.delete(job.id)
    this.#refuse(job, (asked) => job.lost ?? new RequestFailure(asked.name, "ESRCH", 3))
    job.emit({ type: "empty" })
    this.#letGo()
  }

  #loseJob(job: Job, failure: ServerLost): void {
    job.lost = failure
    this.#refuse(job, () => failure)
    job.emit({ type: "lost", failure })
  }

  #refuse(job: Job, why: (asked: Asked) => Error): void {
    for (const [token, asked] of this.#asked) {
      if (asked.job !== job) continue
      this.#asked.delete(token)
      asked.reject(why(asked))
    }
  }

  #onResult(token: number, errno: number): void {
    const asked = this.#asked.get(token)
    if (asked === undefined) return
    this.#asked.delete(token)
    if (errno === 0) asked.resolve(asked.rows)
    else asked.reject(new RequestFailure(asked.name, errnoName(errno), errno))
  }

  #onProcesses(body: Reader): void {
    const token = body.u32()
    const asked = this.#asked.get(token)
    const { last, rows } = readRows(body)
    if (asked === undefined) return
    asked.rows.push(...rows)
    if (!last) return
    this.#asked.delete(token)
    asked.resolve(asked.rows)
  }

  #onEnd(lost: ServerLost): void {
    for (const asked of this.#asked.values()) asked.reject(lost)
    this.#asked.clear()
    const jobs = [...this.#jobs.values()]
    for (const one of this.#pending.values()) this.#fail(one, lost)
    for (const job of jobs) this.#loseJob(job, lost)
    if (!this.#connection.isClosing) { for (const listener of this.#onLost) listener(lost) }
    void this.#clearUp(jobs)
  }

  async #clearUp(jobs: ReadonlyArray<Job>): Promise<void> {
    const { cgroupPath, done } = this.#connection
    this.#connection.done = -1
    await aftermath({
      jobs,
      done,
      cgroupPath,
      mark: this.#context.mark,
      killBoundMs: this.#options.killBoundMs ?? 1000,
      slackMs: this.#options.slackMs ?? 250,
      onOver: (job, processes) => {
        if (processes.length === 0) return this.#emptied(job)
        job.emit({ type: "unkillable", processes })
        this.#jobs.delete(job.id)
      }
    })
    await this.#connection.reaped()
    for (const closed of this.#onClosed) closed()
  }
}
