/** The spawn server, as its owner sees it: one child process that starts jobs. */
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import type * as net from "node:net"
import { fileURLToPath } from "node:url"
import { RequestFailure, ServerLost, SpawnFailure, Unavailable } from "./Failure.ts"
import type { Step } from "./Failure.ts"
import { errnoName, findOrphans, ownerMark, readStat } from "./internal/system.ts"
import { Frames, Kind, version, Writer } from "./internal/wire.ts"
import type { Reader } from "./internal/wire.ts"
import { Job } from "./Job.ts"
import type { ProcessRow, StageExit } from "./Job.ts"
import { encode, encodeEnvironment } from "./Request.ts"
import type { Context, EncodedEnvironment, SpawnRequest } from "./Request.ts"

export interface StartOptions {
  /** Path of the program; default the one built with this package. */
  readonly binary?: string
  /** Milliseconds after SIGKILL before what is left is reported; default 1000. */
  readonly killBoundMs?: number
  /** Milliseconds that a supervisor may be late before the server looks after it; default 250. */
  readonly slackMs?: number
  /** Mark processes with `EFFECT_PROCESS_OWNER`; default true. */
  readonly mark?: boolean
  /** Keep jobs in a cgroup of their own where one can be made; default true. */
  readonly cgroup?: boolean
  /** Use `/proc/PID/task/TID/children` where the kernel has it; default true. Without, all of `/proc` is read. */
  readonly childrenFiles?: boolean
  /** Milliseconds for the program to start and greet; default 5000. */
  readonly startTimeoutMs?: number
  /** Milliseconds without an answer after which the server is taken for hung and killed; default 2000. */
  readonly hangMs?: number
}

export interface Features {
  /** The kernel has `/proc/PID/task/TID/children`. */
  readonly childrenFiles: boolean
  readonly cgroup: boolean
}

interface Pending {
  readonly id: number
  readonly graceMs: number
  readonly pipes: ReadonlyArray<"reads" | "writes" | "none">
  readonly resolve: (job: Job) => void
  readonly reject: (error: Error) => void
  descriptors: Array<number> | undefined
  failure: SpawnFailure | ServerLost | undefined
}

interface Asked {
  readonly name: "signal" | "extendDeadline" | "descendants"
  readonly job: Job
  readonly resolve: (rows: ReadonlyArray<ProcessRow>) => void
  readonly reject: (error: Error) => void
  readonly rows: Array<ProcessRow>
}

/** Where the build puts the program. */
export const defaultBinary = (): string =>
  fileURLToPath(new URL("../build/effect-process-spawn-server", import.meta.url))

const steps: ReadonlyArray<Step> = ["fork", "fork", "open", "limits", "user", "chdir", "exec"]
const readFlags = fs.constants.O_RDONLY | fs.constants.O_NONBLOCK
const writeFlags = fs.constants.O_WRONLY | fs.constants.O_NONBLOCK
const tickMs = 500

const closeQuietly = (fd: number): void => {
  try {
    fs.closeSync(fd)
  } catch {
    // Closed by its owner already.
  }
}

const readRows = (body: Reader): { last: boolean; rows: Array<ProcessRow> } => {
  const last = body.u8() === 1
  const rows: Array<ProcessRow> = []
  for (let n = body.u16(); n > 0; n--) {
    rows.push({
      pid: body.u32(),
      ppid: body.u32(),
      pgid: body.u32(),
      sid: body.u32(),
      state: String.fromCharCode(body.u8()),
      denied: (body.u8() & 1) !== 0,
      start: body.u64(),
      rssBytes: body.u64(),
      cpuMicros: body.u64(),
      command: body.string()
    })
  }
  return { last, rows }
}

const readExit = (body: Reader): StageExit => {
  const stage = body.u8()
  const killed = body.u8() === 1
  const coreDumped = body.u8() === 1
  const status = body.u32()
  return {
    stage,
    exit: killed ? { kind: "killed", signal: status, coreDumped } : { kind: "exited", code: status },
    usage: {
      userMicros: body.u64(),
      systemMicros: body.u64(),
      maximumRssBytes: body.u64(),
      minorFaults: body.u64(),
      majorFaults: body.u64(),
      voluntarySwitches: body.u64(),
      involuntarySwitches: body.u64()
    }
  }
}

export class SpawnServer {
  readonly pid: number
  features: Features = { childrenFiles: false, cgroup: false }
  readonly #child: childProcess.ChildProcess
  readonly #socket: net.Socket
  readonly #options: StartOptions
  readonly #context: Context
  readonly #writer = new Writer()
  readonly #pending = new Map<number, Pending>()
  readonly #jobs = new Map<number, Job>()
  readonly #asked = new Map<number, Asked>()
  readonly #rows = new Map<number, Array<ProcessRow>>()
  #welcome: ((error?: Unavailable) => void) | undefined
  #directory = -1
  #done = -1
  #cgroupPath = ""
  #nextId = 1
  #nextToken = 1
  #lost: ServerLost | undefined
  #lastWords = ""
  #closing: (() => void) | undefined
  #held = false
  #timer: NodeJS.Timeout | undefined
  #pingsOut = 0
  #onLost: Array<(failure: ServerLost) => void> = []

  private constructor(child: childProcess.ChildProcess, options: StartOptions) {
    this.#child = child
    this.pid = child.pid!
    this.#socket = child.stdio[3] as net.Socket
    this.#options = options
    let directory: string | undefined
    try {
      directory = process.cwd()
    } catch {
      directory = undefined
    }
    this.#context = { mark: options.mark === false ? undefined : ownerMark(), directory }
    const frames = new Frames((kind, body) => this.#onFrame(kind, body))
    this.#socket.on("data", (chunk: Buffer) => frames.push(chunk))
    this.#socket.on("error", () => this.#end("its socket broke"))
    this.#socket.on("close", () => this.#end("it closed its socket"))
    child.on(
      "exit",
      (code, signal) => this.#end(signal === null ? `it exited with ${String(code)}` : `it was killed by ${signal}`)
    )
    child.on("error", (error) => this.#end(error.message))
    child.unref()
  }

  /** Starts a server and waits for its greeting. Rejects with `Unavailable`. */
  static async start(options: StartOptions = {}): Promise<SpawnServer> {
    const binary = options.binary ?? defaultBinary()
    let child: childProcess.ChildProcess
    try {
      child = childProcess.spawn(binary, [], { stdio: ["inherit", "inherit", "inherit", "pipe"] })
    } catch (error) {
      throw new Unavailable(`${binary} does not start`, error)
    }
    if (child.pid === undefined) {
      const error = await new Promise<Error>((resolve) => child.once("error", resolve))
      throw new Unavailable(`${binary} does not start: ${error.message}`, error)
    }
    const server = new SpawnServer(child, options)
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        // After one more look at the socket: an event loop that was blocked runs late timers before it reads.
        () => setImmediate(() => server.#welcome?.(new Unavailable("it does not answer"))),
        options.startTimeoutMs ?? 5000
      )
      server.#welcome = (error) => {
        clearTimeout(timer)
        server.#welcome = undefined
        if (error === undefined) return resolve()
        child.kill("SIGKILL")
        reject(error)
      }
      server.#send(
        server.#writer.begin(Kind.Hello).u32(version).u32(options.killBoundMs ?? 1000).u32(options.slackMs ?? 250).u32(
          (options.cgroup === false ? 0 : 1) | (options.childrenFiles === false ? 2 : 0)
        )
      )
    })
    server.#socket.unref()
    return server
  }

  /** Set once the server is gone. */
  get lost(): ServerLost | undefined {
    return this.#lost
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
      if (this.#lost !== undefined) return reject(this.#lost)
      if (this.#closing !== undefined) return reject(new ServerLost("server", "it was closed"))
      const id = this.#nextId++
      const frame = encode(id, request, this.#context)
      if (frame === undefined) {
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
      this.#hold()
      this.#socket.write(frame)
      onId?.(id)
    })
  }

  /** As `Job.terminate`, for a job whose `spawn` has not answered yet. */
  terminateId(id: number, signal = 0, graceMs = 0): void {
    if (this.#lost === undefined) {
      this.#send(this.#writer.begin(Kind.Terminate).u32(id).u8(signal).u32(Math.ceil(graceMs)))
    }
  }

  /** Ends every job with its own signal and grace period, then the server. Resolves when it is gone. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#lost !== undefined) return resolve()
      const previous = this.#closing
      this.#closing = () => {
        previous?.()
        resolve()
      }
      if (previous !== undefined) return
      this.#child.ref()
      this.#socket.ref()
      this.#send(this.#writer.begin(Kind.Shutdown))
    })
  }

  /** @internal */
  tell(what: "terminate" | "kill" | "resume", job: Job, signal: number, graceMs: number): void {
    if (this.#lost !== undefined || job.isEmpty) return
    if (what === "kill") this.#send(this.#writer.begin(Kind.Kill).u32(job.id))
    else if (what === "resume") this.#send(this.#writer.begin(Kind.Resume).u32(job.id))
    else this.#send(this.#writer.begin(Kind.Terminate).u32(job.id).u8(signal).u32(Math.ceil(graceMs)))
  }

  /** @internal */
  request(
    name: Asked["name"],
    job: Job,
    write: (w: Writer, token: number) => Writer
  ): Promise<ReadonlyArray<ProcessRow>> {
    return new Promise((resolve, reject) => {
      if (job.lost !== undefined) return reject(job.lost)
      if (this.#lost !== undefined) return reject(this.#lost)
      if (job.isEmpty) return reject(new RequestFailure(name, "ESRCH", 3))
      const token = this.#nextToken++
      this.#asked.set(token, { name, job, resolve, reject, rows: [] })
      const kind = name === "signal" ? Kind.Signal : name === "extendDeadline" ? Kind.Extend : Kind.List
      this.#send(write(this.#writer.begin(kind).u32(job.id), token))
    })
  }

  #send(w: Writer): void {
    this.#socket.write(w.end())
  }

  /** While a job lives the event loop stays up, and the server is asked now and then whether it does. */
  #hold(): void {
    if (this.#held) return
    this.#held = true
    this.#socket.ref()
    this.#pingsOut = 0
    this.#timer ??= setInterval(() => this.#tick(), tickMs).unref()
  }

  #letGo(): void {
    if (!this.#held || this.liveJobs > 0) return
    this.#held = false
    if (this.#closing === undefined) this.#socket.unref()
  }

  #tick(): void {
    if (!this.#held) {
      clearInterval(this.#timer)
      this.#timer = undefined
      return
    }
    // Counted in ticks, not in time: an event loop that was blocked has not read the answers yet.
    if (this.#pingsOut * tickMs >= (this.#options.hangMs ?? 2000)) {
      process.kill(this.pid, "SIGKILL")
      this.#end("it did not answer")
      return
    }
    this.#pingsOut++
    this.#send(this.#writer.begin(Kind.Ping).u32(this.#pingsOut))
  }

  #onFrame(kind: number, body: Reader): void {
    // Whatever it says, it lives: an answer may be queued behind two thousand others.
    this.#pingsOut = 0
    if (kind === Kind.Welcome) return this.#onWelcome(body)
    if (kind === Kind.Pong) return
    if (kind === Kind.Error) {
      this.#lastWords = body.string()
      return
    }
    const id = body.u32()
    if (kind === Kind.Result) return this.#onResult(body.u32(), body.u32())
    if (kind === Kind.Processes) return this.#onProcesses(body)
    const pending = this.#pending.get(id)
    if (pending !== undefined) return this.#onPending(pending, kind, body)
    const job = this.#jobs.get(id)
    if (job !== undefined) this.#onJob(job, kind, body)
  }

  #onWelcome(body: Reader): void {
    const theirs = body.u32()
    if (theirs !== version) {
      return this.#welcome?.(new Unavailable(`it speaks version ${theirs} of the protocol, we ${version}`))
    }
    body.u32()
    const features = body.u32()
    const probe = body.u32()
    const done = body.u32()
    const nonce = body.bytes(16)
    this.#cgroupPath = body.string()
    this.features = { childrenFiles: (features & 1) !== 0, cgroup: (features & 2) !== 0 }
    // The way that every stream will be opened, tried on a pipe whose content we know.
    try {
      this.#directory = fs.openSync(`/proc/${this.pid}/fd`, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
      const fd = this.#open(probe, readFlags)
      const read = Buffer.alloc(16)
      const length = fs.readSync(fd, read)
      fs.closeSync(fd)
      if (length !== 16 || !read.equals(nonce)) throw new Error("another process's descriptors are behind it")
      this.#done = this.#open(done, readFlags)
    } catch (error) {
      this.#welcome?.(new Unavailable(`its pipes cannot be opened through /proc/${this.pid}/fd`, error))
      return
    }
    this.#send(this.#writer.begin(Kind.Opened).u32(0))
    this.#welcome?.()
  }

  #open(number: number, flags: number): number {
    return fs.openSync(`/proc/self/fd/${this.#directory}/${number}`, flags)
  }

  #onPipes(pending: Pending, body: Reader): void {
    const descriptors: Array<number> = []
    let count = body.u16()
    try {
      for (let i = 0; i < pending.pipes.length; i++) {
        const owner = pending.pipes[i]!
        if (owner === "none" || count === 0) descriptors.push(-1)
        else {
          count--
          descriptors.push(this.#open(body.u32(), owner === "reads" ? readFlags : writeFlags))
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
      this.#send(this.#writer.begin(Kind.Kill).u32(pending.id))
    }
    pending.descriptors = descriptors
    if (pending.pipes.length > 0) this.#send(this.#writer.begin(Kind.Opened).u32(pending.id))
  }

  #onPending(pending: Pending, kind: number, body: Reader): void {
    switch (kind) {
      case Kind.Pipes:
        return this.#onPipes(pending, body)
      case Kind.Started: {
        if (pending.failure !== undefined) return
        const supervisor = body.u32()
        const isPending = body.u8() === 1
        const pids: Array<number> = []
        for (let n = body.u8(); n > 0; n--) pids.push(body.u32())
        const job = new Job(
          this,
          pending.id,
          { supervisor, pending: isPending, pids },
          pending.descriptors ?? [],
          pending.graceMs
        )
        this.#pending.delete(pending.id)
        this.#jobs.set(pending.id, job)
        return pending.resolve(job)
      }
      case Kind.Failed:
        pending.failure ??= this.#readFailure(body)
        return
      case Kind.Lost:
        pending.failure ??= new ServerLost("supervisor", body.u8() === 2 ? "it hung" : "it died")
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

  #readFailure(body: Reader): SpawnFailure {
    const stage = body.u8()
    const step = steps[body.u8()] ?? "fork"
    const errno = body.u32()
    const exists = body.u8() === 1
    const path = body.string()
    return new SpawnFailure({
      stage,
      step,
      errno,
      code: errnoName(errno),
      exists,
      path: path === "" ? undefined : path
    })
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
        return job.emit({ type: "failed", failure: this.#readFailure(body) })
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
        return this.#loseJob(job, new ServerLost("supervisor", body.u8() === 2 ? "it hung" : "it died"))
      case Kind.Empty:
        return this.#emptied(job)
    }
  }

  #emptied(job: Job): void {
    this.#jobs.delete(job.id)
    for (const [token, asked] of this.#asked) {
      if (asked.job !== job) continue
      this.#asked.delete(token)
      asked.reject(job.lost ?? new RequestFailure(asked.name, "ESRCH", 3))
    }
    job.emit({ type: "empty" })
    this.#letGo()
  }

  #loseJob(job: Job, failure: ServerLost): void {
    job.lost = failure
    for (const [token, asked] of this.#asked) {
      if (asked.job !== job) continue
      this.#asked.delete(token)
      asked.reject(failure)
    }
    job.emit({ type: "lost", failure })
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

  #end(reason: string): void {
    if (this.#lost !== undefined) return
    const said = this.#lastWords === "" ? reason : `${reason}: ${this.#lastWords}`
    this.#lost = new ServerLost("server", this.#closing === undefined ? said : "it was closed")
    clearInterval(this.#timer)
    this.#timer = undefined
    // A server that has closed its socket or does not answer may still be there.
    if (this.#closing === undefined && this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill("SIGKILL")
    }
    this.#socket.destroy()
    if (this.#directory >= 0) closeQuietly(this.#directory)
    this.#welcome?.(new Unavailable(said))
    for (const asked of this.#asked.values()) asked.reject(this.#lost)
    this.#asked.clear()
    const pending = [...this.#pending.values()]
    const jobs = [...this.#jobs.values()]
    const closed = this.#closing
    for (const one of pending) this.#fail(one, this.#lost)
    for (const job of jobs) this.#loseJob(job, this.#lost)
    if (closed === undefined) { for (const listener of this.#onLost) listener(this.#lost) }
    void this.#aftermath(jobs).then(() => closed?.())
  }

  /**
   * The supervisors see the end of their server and end their jobs by themselves; a job is over when its supervisor is.
   * What is left after that, because both were killed, is ended here.
   */
  async #aftermath(jobs: ReadonlyArray<Job>): Promise<void> {
    const began = performance.now()
    const killBound = this.#options.killBoundMs ?? 1000
    const limit = (job: Job): number => job.graceMs + killBound + 2 * (this.#options.slackMs ?? 250)
    const left = new Set(jobs)
    const byte = Buffer.alloc(1)
    let allDone = this.#done < 0
    while (left.size > 0 && !allDone) {
      try {
        allDone = fs.readSync(this.#done, byte) === 0
      } catch {
        // EAGAIN: some supervisor is still there.
      }
      const isGone = (job: Job): boolean => {
        const stat = readStat(job.supervisorPid)
        return allDone || stat === undefined || stat.state === "Z" || stat.state === "X" ||
          performance.now() - began > limit(job)
      }
      const gone = [...left].filter(isGone)
      // One look through all of /proc for as many as there are.
      const isClear = gone.length === 0 || (await this.#endOrphans(killBound)) === 0
      for (const job of gone) {
        left.delete(job)
        if (isClear) this.#emptied(job)
        else {
          job.emit({ type: "unkillable", processes: [] })
          this.#jobs.delete(job.id)
        }
      }
      if (left.size > 0 && !allDone) await new Promise<void>((resolve) => setTimeout(resolve, 10))
    }
    for (const job of left) this.#emptied(job)
    if (this.#done >= 0) closeQuietly(this.#done)
    this.#done = -1
    if (this.#cgroupPath !== "") await this.#removeCgroup()
    await this.#reaped()
  }

  /** Node has waited for the server, which closes its socket some time before it exits. */
  #reaped(): Promise<void> {
    const child = this.#child
    if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
    child.ref()
    return new Promise((resolve) => {
      // Its jobs are over: if it is still there after that, it was stopped.
      const timer = setTimeout(() => child.kill("SIGKILL"), this.#options.killBoundMs ?? 1000)
      child.once("exit", () => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  /** How many are left. */
  async #endOrphans(withinMs: number): Promise<number> {
    if (this.#context.mark === undefined) return 0
    const until = performance.now() + withinMs
    for (;;) {
      const found = findOrphans(this.#context.mark)
      if (found.length === 0 || performance.now() > until) return found.length
      // Stopped first, so that none forks while the others are ended.
      for (const signal of ["SIGSTOP", "SIGKILL"] as const) {
        for (const { pid, start } of found) {
          try {
            if (readStat(pid)?.start === start) process.kill(pid, signal)
          } catch {
            // Gone, or another user's, and then it is counted in the next round.
          }
        }
      }
      await new Promise<void>((resolve) => setTimeout(resolve, 5))
    }
  }

  async #removeCgroup(): Promise<void> {
    for (let i = 0; i < 100; i++) {
      try {
        fs.rmdirSync(this.#cgroupPath)
        return
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EBUSY") return
      }
      // Every supervisor is gone or given up: what is left in it is nobody's.
      try {
        fs.writeFileSync(`${this.#cgroupPath}/cgroup.kill`, "1")
      } catch {
        return
      }
      await new Promise<void>((resolve) => setTimeout(resolve, 10))
    }
  }
}
