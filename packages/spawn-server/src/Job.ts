/** A running job, as its owner sees it. */
import * as fs from "node:fs"
import * as net from "node:net"
import { RequestFailure, ServerLost } from "./Failure.ts"
import type { SpawnFailure } from "./Failure.ts"
import { PipeReader } from "./PipeReader.ts"
import { PipeWriter } from "./PipeWriter.ts"
import { whole } from "./Request.ts"
import type { SpawnServer } from "./SpawnServer.ts"

/**
 * How a stage ended: with a code from 0 to 255, or by a signal, by its number.
 *
 * @since 0.1.0
 * @category models
 */
export type Exit =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "killed"; readonly signal: number; readonly coreDumped: boolean }

/**
 * Of the stage and of those of its children that it has waited for; see getrusage(2).
 *
 * @since 0.1.0
 * @category models
 */
export interface Usage {
  readonly userMicros: number
  readonly systemMicros: number
  readonly maximumRssBytes: number
  readonly minorFaults: number
  readonly majorFaults: number
  readonly voluntarySwitches: number
  readonly involuntarySwitches: number
}

/**
 * How one stage ended, the first one being 0, and what it used.
 *
 * @since 0.1.0
 * @category models
 */
export interface StageExit {
  readonly stage: number
  readonly exit: Exit
  readonly usage: Usage
}

/**
 * A process of a job, as its supervisor saw it.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProcessRow {
  readonly pid: number
  readonly ppid: number
  readonly pgid: number
  readonly sid: number
  /** As in proc(5); `?` where it is hidden from us. */
  readonly state: string
  /** It could not be signalled: another user's. */
  readonly denied: boolean
  /** Clock ticks since boot. */
  readonly start: number
  readonly rssBytes: number
  readonly cpuMicros: number
  /** Up to 199 bytes. */
  readonly command: string
}

/**
 * What happens to a job. `empty` or `unkillable` is the last of it.
 *
 * @since 0.1.0
 * @category models
 */
export type JobEvent =
  | ({ readonly type: "exit" } & StageExit)
  /**
   * `terminal`: it had the terminal, which the owner has again, and its deadline waits. A shell expects of the owner to
   * stop as well, and then to `resume` the job.
   */
  | {
    readonly type: "stopped" | "continued"
    readonly stage: number
    readonly signal: number
    readonly terminal: boolean
  }
  /** The deadline has passed; termination begins. */
  | { readonly type: "deadline" }
  | { readonly type: "terminating" }
  /** Alive when termination began although every stage had exited. */
  | { readonly type: "left"; readonly processes: ReadonlyArray<ProcessRow> }
  /** Alive a kill bound after `SIGKILL`. `empty` still follows if they do end. */
  | { readonly type: "unkillable"; readonly processes: ReadonlyArray<ProcessRow> }
  /** After a pending start: the execve(2) failed in the end. */
  | { readonly type: "failed"; readonly failure: SpawnFailure }
  /** `empty` or `unkillable` follows, when what it left has been ended. */
  | { readonly type: "lost"; readonly failure: ServerLost }
  /** Nothing is left, not even a zombie. */
  | { readonly type: "empty" }

/**
 * Streams are not opened until asked for: `readable`, `reader`, `writable`, `writer` or `takeDescriptor` take an owner's end once, `close`
 * closes those that nobody took.
 *
 * @example
 * import { command, SpawnServer } from "@effect-process/spawn-server"
 *
 * const server = await SpawnServer.start()
 * const job = await server.spawn(command("sh", ["-c", "sleep 60 & exit 3"]))
 * const [leader] = await job.exited()
 * leader?.exit // => { kind: "exited", code: 3 }
 * job.terminate() // its sleep is left
 * await job.empty() // => true
 * job.close()
 * await server.close()
 *
 * @since 0.1.0
 * @category jobs
 */
export class Job {
  readonly id: number
  /** One for each stage. */
  readonly pids: ReadonlyArray<number>
  readonly supervisorPid: number
  /** In clock ticks since boot, not before its start; whoever has its pid later began later. */
  readonly supervisorStart: number
  /** The execve(2) of a stage takes long, on a FIFO or a slow file system, and may still fail: `failed`. */
  readonly pending: boolean
  readonly graceMs: number
  /** By stage; `undefined` while it runs. */
  readonly exits: Array<StageExit | undefined>
  /** Set by `lost`. */
  lost: ServerLost | undefined
  isEmpty = false
  readonly #server: SpawnServer
  readonly #descriptors: Array<number>
  readonly #pipes: ReadonlyArray<"reads" | "writes" | "none">
  readonly #listeners: Array<(event: JobEvent) => void> = []
  readonly #past: Array<JobEvent> = []
  readonly #onExited: Array<() => void> = []
  #left: number

  /** @internal */
  constructor(
    server: SpawnServer,
    id: number,
    started: { supervisor: number; supervisorStart: number; pending: boolean; pids: Array<number> },
    descriptors: Array<number>,
    pipes: ReadonlyArray<"reads" | "writes" | "none">,
    graceMs: number
  ) {
    this.#server = server
    this.id = id
    this.pids = started.pids
    this.supervisorPid = started.supervisor
    this.supervisorStart = started.supervisorStart
    this.pending = started.pending
    this.graceMs = graceMs
    this.exits = new Array<StageExit | undefined>(started.pids.length).fill(undefined)
    this.#left = started.pids.length
    this.#descriptors = descriptors
    this.#pipes = pipes
  }

  /** Of the leader. */
  get pid(): number {
    return this.pids[0]!
  }

  get processGroupId(): number {
    return this.pids[0]!
  }

  get hasExited(): boolean {
    return this.#left === 0
  }

  /** Calls `listener` with what has happened so far, in order, and from then on as it happens. */
  listen(listener: (event: JobEvent) => void): void {
    for (let i = 0; i < this.#past.length; i++) listener(this.#past[i]!)
    this.#listeners.push(listener)
  }

  /** @internal */
  emit(event: JobEvent): void {
    if (event.type === "exit") {
      if (this.exits[event.stage] === undefined) this.#left--
      this.exits[event.stage] = event
    } else if (event.type === "empty") this.isEmpty = true
    else if (event.type === "lost") this.lost = event.failure
    // A job that is stopped and continued for ever must not grow.
    if ((event.type !== "stopped" && event.type !== "continued") || this.#past.length < 100) this.#past.push(event)
    for (let i = 0; i < this.#listeners.length; i++) this.#listeners[i]!(event)
    if (this.#onExited.length > 0 && (this.hasExited || event.type === "lost" || event.type === "failed")) {
      for (const listener of this.#onExited.splice(0)) listener()
    }
  }

  /** Every stage has exited. Rejects with `ServerLost`, or with `SpawnFailure` after a pending start. */
  exited(): Promise<ReadonlyArray<StageExit>> {
    return new Promise((resolve, reject) => {
      if (this.hasExited) return resolve(this.exits as Array<StageExit>)
      this.listen((event) => {
        if (event.type === "exit" && this.hasExited) resolve(this.exits as Array<StageExit>)
        else if (event.type === "lost" || event.type === "failed") reject(event.failure)
      })
    })
  }

  /** Nothing is left of the job, or, with `false`, what is left cannot be killed. */
  empty(): Promise<boolean> {
    return new Promise((resolve) => {
      this.listen((event) => {
        if (event.type === "empty") resolve(true)
        else if (event.type === "unkillable") resolve(false)
      })
    })
  }

  /** The descriptor of our end of a pipe, non-blocking; whoever takes it closes it. */
  takeDescriptor(pipe: number): number {
    const fd = this.#descriptors[pipe]
    if (fd === undefined || fd < 0) throw new Error(`pipe ${pipe} of job ${this.id} is not ours or is taken`)
    this.#descriptors[pipe] = -1
    return fd
  }

  readable(pipe: number, options?: { readonly onread?: net.OnReadOpts }): net.Socket {
    return new net.Socket(
      { fd: this.takeDescriptor(pipe), readable: true, writable: false, ...options }
    )
  }

  /** As `readable`, to be pulled from, and faster: without a socket for a job that is over at once, with a pipe that grows. */
  reader(pipe: number): PipeReader {
    const fd = this.takeDescriptor(pipe)
    return new PipeReader(fd, {
      hasExited: () => this.hasExited,
      onExited: (listener) => this.#onExited.push(listener),
      grow: (owned, bytes) => this.#grow(pipe, owned, bytes)
    })
  }

  writable(pipe: number): net.Socket {
    return new net.Socket({ fd: this.takeDescriptor(pipe), readable: false, writable: true })
  }

  /** As `writable`, and faster: without a socket for what fits into the pipe, with a pipe that grows. */
  writer(pipe: number): PipeWriter {
    return new PipeWriter(this.takeDescriptor(pipe), (owned, bytes) => this.#grow(pipe, owned, bytes))
  }

  /** By the server, which knows its pipes by their order. */
  #grow(pipe: number, owned: number, bytes: number): Promise<void> {
    const end = this.#pipes.slice(0, pipe).filter((owner) => owner !== "none").length
    return this.#server.grow(this, end, owned, bytes)
  }

  /** Closes the ends that nobody took. The job goes on. */
  close(): void {
    for (let i = 0; i < this.#descriptors.length; i++) {
      const fd = this.#descriptors[i]!
      if (fd >= 0) fs.closeSync(fd)
      this.#descriptors[i] = -1
    }
  }

  /**
   * A signal by its number, to the group, as `kill %1` does, or to the leader alone. Rejects with `RequestFailure`, and with
   * `InvalidRequest` for what is no number from 0 to 64.
   */
  async signal(signal: number, to: "group" | "leader" = "group"): Promise<void> {
    const number = whole("signal", signal, 0, 64)
    await this.#server.request("signal", this, (w, token) => w.u32(token).u8(number).u8(to === "leader" ? 1 : 0))
  }

  /**
   * Begins the end of the whole tree, which the supervisor carries through by itself: `signal`, after `graceMs` SIGKILL
   * until nothing is left. Once begun, a further call can only shorten the grace. Throws `InvalidRequest` for what is no signal
   * and no time.
   */
  terminate(signal = 0, graceMs: number = this.graceMs): void {
    this.#server.tell("terminate", this, signal, graceMs)
  }

  /** SIGKILL now, to everything. */
  kill(): void {
    this.#server.tell("kill", this, 0, 0)
  }

  /** Continues a stopped job; one of the foreground gets the terminal and its modes again. */
  resume(): void {
    this.#server.tell("resume", this, 0, 0)
  }

  /** Moves the deadline, by `Infinity` for good; without one it does nothing. Rejects with `ESRCH` once termination has begun. */
  async extendDeadline(byMs: number): Promise<void> {
    const most = Number.MAX_SAFE_INTEGER
    const by = whole("time", Math.min(most, Math.max(0, Math.ceil(byMs))), 0, most)
    await this.#server.request("extendDeadline", this, (w, token) => w.u32(token).u64(by))
  }

  /** Changes the size of the job's terminal; its foreground group is sent SIGWINCH. Rejects with `ENOTTY` without one. */
  async resize(columns: number, rows: number): Promise<void> {
    const size = [whole("columns", columns, 1, 65535), whole("rows", rows, 1, 65535)] as const
    await this.#server.request("resize", this, (w, token) => w.u32(token).u16(size[0]).u16(size[1]))
  }

  /** Every descendant, escapees too, by pid. */
  descendants(): Promise<ReadonlyArray<ProcessRow>> {
    return this.#server.request("descendants", this, (w, token) => w.u32(token)).catch((error: unknown) => {
      if (error instanceof RequestFailure && error.code === "ESRCH") return []
      throw error
    })
  }
}
