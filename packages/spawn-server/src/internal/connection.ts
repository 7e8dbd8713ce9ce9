/** One server process and the socket to it: its start and greeting, whether it still answers, its end. */
import * as childProcess from "node:child_process"
import type * as net from "node:net"
import { ServerLost, Unavailable } from "../Failure.ts"
import { markName } from "./mark.ts"
import type { Features, StartOptions } from "../Options.ts"
import { descriptorOf, descriptorsOf, fifosIn, makeDirectory, proves, writeNow } from "./ends.ts"
import type { Ends } from "./ends.ts"
import type { PipeRequest } from "../Request.ts"
import { findProgram, missingProgram } from "./program.ts"
import { Frames, Kind, version, Writer } from "./wire.ts"
import type { Reader } from "./wire.ts"

const tickMs = 500

/** How long what nothing waits for may wait for other frames to go with. */
const companyMs = 5

/** The server runs, and its pipes are not to be opened in the way that was tried. */
class OutOfReach extends Unavailable {}

const reasonOf = (error: unknown): string => error instanceof Error ? error.message : String(error)

/** @internal */
export interface Listener {
  /** Every frame but those of the connection's own. */
  readonly onFrame: (kind: number, body: Reader) => void
  /** Once. */
  readonly onEnd: (lost: ServerLost) => void
}

/** @internal */
export class Connection {
  readonly pid: number
  readonly writer = new Writer()
  features: Features = { childrenFiles: false, cgroup: false }
  cgroupPath = ""
  /** The reading end of the pipe whose writing end the server and every supervisor hold; -1: none. */
  done = -1
  lost: ServerLost | undefined
  isClosing = false
  readonly #child: childProcess.ChildProcess
  readonly #socket: net.Socket
  readonly #options: StartOptions
  readonly #fifos: string | undefined
  #ends: Ends | undefined
  #welcome: ((error?: Unavailable) => void) | undefined
  #listener: Listener | undefined
  #lastWords = ""
  #held = false
  #timer: NodeJS.Timeout | undefined
  #pingsOut = 0
  #isFlushing = false
  #company: NodeJS.Timeout | undefined

  private constructor(child: childProcess.ChildProcess, options: StartOptions, fifos: string | undefined) {
    this.#child = child
    this.#fifos = fifos
    this.pid = child.pid!
    this.#socket = child.stdio[3] as net.Socket
    this.#options = options
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
  static async start(options: StartOptions): Promise<Connection> {
    // Seen with Bun 1.4: no data and no error comes from a pipe, so commands would seem to print nothing.
    if (process.versions["bun"] !== undefined) {
      throw new Unavailable("Bun's net.Socket does not read from a descriptor; run the program on Node.js")
    }
    if (options.pipes === "fifo") return Connection.#startWithFifos(options)
    try {
      return await Connection.#startOne(options, undefined)
    } catch (error) {
      if (!(error instanceof OutOfReach) || options.pipes === "proc") throw error
      return Connection.#startWithFifos(options, error)
    }
  }

  static async #startWithFifos(options: StartOptions, why?: Unavailable): Promise<Connection> {
    let directory: string | undefined
    try {
      directory = makeDirectory()
      return await Connection.#startOne(options, directory)
    } catch (error) {
      if (directory !== undefined) fifosIn(directory).close()
      const reason = error instanceof Unavailable ? error.reason : `no directory for FIFOs: ${reasonOf(error)}`
      throw new Unavailable(why === undefined ? reason : `${why.reason}; ${reason}`, error)
    }
  }

  /** With `fifos`, pipes have names in this directory. */
  static async #startOne(options: StartOptions, fifos: string | undefined): Promise<Connection> {
    const binary = options.binary ?? findProgram()
    const missing = missingProgram(binary)
    if (missing !== undefined) throw new Unavailable(missing)
    let child: childProcess.ChildProcess
    try {
      // Not marked as a process of an owner further up, and nor are its supervisors: it looks after itself.
      const { [markName]: _, ...env } = process.env
      child = childProcess.spawn(binary, [], { stdio: ["inherit", "inherit", "inherit", "pipe"], env })
    } catch (error) {
      throw new Unavailable(`${binary} does not start: ${reasonOf(error)}`, error)
    }
    if (child.pid === undefined) {
      const error = await new Promise<Error>((resolve) => child.once("error", resolve))
      throw new Unavailable(`${binary} does not start: ${error.message}`, error)
    }
    const self = new Connection(child, options, fifos)
    await self.#greet()
    self.#socket.unref()
    return self
  }

  #greet(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        // After one more look at the socket: an event loop that was blocked runs late timers before it reads.
        () => setImmediate(() => this.#welcome?.(new Unavailable("it does not answer"))),
        this.#options.startTimeoutMs ?? 5000
      )
      this.#welcome = (error) => {
        clearTimeout(timer)
        this.#welcome = undefined
        if (error === undefined) return resolve()
        this.#child.kill("SIGKILL")
        reject(error)
      }
      const { cgroup, childrenFiles, killBoundMs, slackMs } = this.#options
      const flags = (cgroup === false ? 0 : 1) | (this.#fifos === undefined ? 0 : 2) | (childrenFiles === false ? 4 : 0)
      const hello = this.writer.begin(Kind.Hello).u32(version).u32(killBoundMs ?? 1000).u32(slackMs ?? 250).u32(flags)
      this.send(this.#fifos === undefined ? hello : hello.string(this.#fifos))
    })
  }

  listen(listener: Listener): void {
    this.#listener = listener
    if (this.lost !== undefined) listener.onEnd(this.lost)
  }

  send(w: Writer): void {
    w.end()
    this.flushSoon()
  }

  /** What one turn has to say goes out in one piece: each write costs a system call and wakes the server. */
  flushSoon(): void {
    if (this.#isFlushing) return
    this.#isFlushing = true
    process.nextTick(this.#flush)
  }

  readonly #flush = (): void => {
    this.#isFlushing = false
    const frames = this.writer.take()
    if (this.lost === undefined) this.#write(frames)
  }

  /** As far as the socket takes it at once, without the stream: that costs a fifth of what the server's answer takes. */
  #write(frames: Buffer): void {
    const fd = this.#socket.writableLength === 0 && !this.#socket.destroyed ? descriptorOf(this.#socket) : undefined
    const written = fd === undefined ? 0 : writeNow(fd, frames)
    if (written < frames.length) this.#socket.write(frames.subarray(written))
  }

  /** It goes out with the next frame that is sent, or alone after a while. */
  #sendWithNext(w: Writer): void {
    w.end()
    this.#company ??= setTimeout(this.#flushAlone, companyMs).unref()
  }

  readonly #flushAlone = (): void => {
    this.#company = undefined
    if (this.writer.length > 0) this.#flush()
  }

  /** Opens our end of a pipe; the number is the server's. */
  open(number: number, way: "reads" | "writes"): number {
    return this.#ends!.open(number, way)
  }

  /**
   * Our ends of a job's pipes are open, and the server closes its own. An input ends when the last writer has closed it, and
   * the server is one until then; of FIFOs it is a writer both ways. Else it is but a reader more, and that can wait a little.
   */
  opened(id: number, pipes: ReadonlyArray<PipeRequest["owner"]>): void {
    if (pipes.length === 0) return
    const frame = this.writer.begin(Kind.Opened).u32(id)
    if (this.#fifos !== undefined || pipes.includes("writes")) this.send(frame)
    else this.#sendWithNext(frame)
  }

  /** While a job lives the event loop stays up, and the server is asked now and then whether it does. */
  hold(): void {
    if (this.#held) return
    this.#held = true
    this.#socket.ref()
    this.#pingsOut = 0
    this.#timer ??= setInterval(() => this.#tick(), tickMs).unref()
  }

  letGo(): void {
    if (!this.#held) return
    this.#held = false
    if (!this.isClosing) this.#socket.unref()
  }

  /** Asks the server to end every job and then itself. */
  shutDown(): void {
    this.isClosing = true
    this.#child.ref()
    this.#socket.ref()
    this.send(this.writer.begin(Kind.Shutdown))
  }

  /** Node has waited for the server, which closes its socket some time before it exits. */
  reaped(): Promise<void> {
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
    this.send(this.writer.begin(Kind.Ping).u32(this.#pingsOut))
  }

  #onFrame(kind: number, body: Reader): void {
    // Whatever it says, it lives: an answer may be queued behind two thousand others.
    this.#pingsOut = 0
    if (kind === Kind.Pong) return
    if (kind === Kind.Welcome) this.#onWelcome(body)
    else if (kind === Kind.Error) this.#lastWords = body.string()
    else this.#listener?.onFrame(kind, body)
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
    this.cgroupPath = body.string()
    this.features = { childrenFiles: (features & 1) !== 0, cgroup: (features & 2) !== 0 }
    // The way that every stream will be opened, tried on a pipe whose content we know.
    try {
      this.#ends = this.#fifos === undefined ? descriptorsOf(this.pid) : fifosIn(this.#fifos)
      if (!proves(this.#ends, probe, nonce)) throw new Error("another process's descriptors are behind it")
      this.done = this.#ends.open(done, "reads")
    } catch (error) {
      const where = this.#fifos === undefined ? `through /proc/${this.pid}/fd` : `as FIFOs in ${this.#fifos}`
      this.#welcome?.(new OutOfReach(`its pipes cannot be opened ${where} (${reasonOf(error)})`, error))
      return
    }
    this.send(this.writer.begin(Kind.Opened).u32(0))
    this.#welcome?.()
  }

  #end(reason: string): void {
    if (this.lost !== undefined) return
    const said = this.#lastWords === "" ? reason : `${reason}: ${this.#lastWords}`
    this.lost = new ServerLost("server", this.isClosing ? "it was closed" : said)
    clearInterval(this.#timer)
    this.#timer = undefined
    clearTimeout(this.#company)
    // A server that has closed its socket or does not answer may still be there.
    if (!this.isClosing && this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill("SIGKILL")
    }
    this.#socket.destroy()
    this.#ends?.close()
    this.#welcome?.(new Unavailable(said))
    this.#listener?.onEnd(this.lost)
  }
}
