/** Our end of a pipe that a job writes. */
import * as fs from "node:fs"
import * as net from "node:net"
import { Gathering } from "./internal/gathering.ts"

/**
 * What a pipe holds when nobody asked for more, and what is read at a time. Source: pipe(7). The writer cannot go on while we
 * read, so larger reads are slower; and larger buffers would not be in the cache.
 */
const usualSize = 64 * 1024

/** What it is grown to, the first that is allowed: the writer is to have room while the consumer works on what it got. */
const grownSizes = [1024 * 1024, 256 * 1024]

/** What one may hold without privileges, if a request said so. */
const cutBound = 1024 * 1024

/**
 * Found full so often, it is grown: a larger one saves switches between the child and us. What is read between is no sign
 * of the contrary: a read goes on until the pipe is empty, so a short one follows each full one.
 */
const fullBeforeGrowth = 8

/** Reads that a consumer gets at once when it is slower than we are; above it the pipe is left to fill. */
const readsAhead = 8

/** As many in a pipe that was grown. */
const readsAheadGrown = 32

/**
 * Milliseconds that a job may take before a socket is made for what it writes. One that is over by then needs none: two
 * reads and a close cost a tenth of it.
 */
const patience = 2

const none = Buffer.allocUnsafeSlow(0)

/** For what is copied out at once. */
let scratch: Buffer | undefined

/**
 * What can be read now, about `bound` bytes at the most. All in one turn of the event loop, so libuv cannot read in between
 * and the order of the bytes stays.
 *
 * @example
 * import { takeFromKernel } from "@effect-process/spawn-server"
 * import * as fs from "node:fs"
 *
 * const fd = fs.openSync("/dev/null", "r")
 * takeFromKernel(fd, 1024) // => []
 * fs.closeSync(fd)
 *
 * @since 0.1.0
 * @category pipes
 */
export const takeFromKernel = (fd: number, bound: number): ReadonlyArray<Buffer> => {
  const taken: Array<Buffer> = []
  for (let size = 0; size < bound;) {
    const buffer = Buffer.allocUnsafe(usualSize)
    let count: number
    try {
      count = fs.readSync(fd, buffer, 0, buffer.length, null)
    } catch {
      // EAGAIN: that was all, and somebody could still write.
      break
    }
    if (count === 0) break
    taken.push(buffer.subarray(0, count))
    size += count
  }
  return taken
}

/**
 * What a reader needs of its job.
 *
 * @since 0.1.0
 * @category pipes
 */
export interface Writers {
  readonly hasExited: () => boolean
  /** Calls back once, when every stage has exited or the job is lost. */
  readonly onExited: (listener: () => void) => void
  /** Makes the pipe behind our descriptor larger; rejects where it cannot. */
  readonly grow: (fd: number, bytes: number) => Promise<void>
}

/**
 * Reads when it is asked to, up to what the pipe holds ahead; then the pipe fills and the child waits. Takes larger pieces
 * than the streams of Node do, and hands them on without a copy.
 *
 * @example
 * import { command, SpawnServer } from "@effect-process/spawn-server"
 *
 * const server = await SpawnServer.start()
 * const job = await server.spawn(command("echo", ["hi"], { stderr: "ignore" }))
 * const reader = job.reader(0)
 * let text = ""
 * await new Promise<void>((resolve) => {
 *   reader.onReadable = () => {
 *     for (let chunk = reader.take(); chunk !== undefined; chunk = reader.take()) text += chunk.toString()
 *     if (reader.hasEnded) resolve()
 *   }
 *   reader.onReadable()
 * })
 * text // => "hi\n"
 * await job.empty()
 * await server.close()
 *
 * @since 0.1.0
 * @category pipes
 */
export class PipeReader {
  /** Called when there is something to take, or the end. */
  onReadable: (() => void) | undefined
  readonly #writers: Writers
  #fd: number
  #state: "idle" | "waiting" | "flowing" | "ended" = "idle"
  #socket: net.Socket | undefined
  #timer: NodeJS.Timeout | undefined
  /** Half of what the consumer may get at once is enough to wake it. */
  readonly #gathering = new Gathering(() => this.onReadable?.(), () => 2 * this.#queued >= this.#highWater)
  readonly #taken: Array<Buffer> = []
  #queued = 0
  /** Not told from `#queued`: the mark rises when the pipe is grown. */
  #isPaused = false
  #buffer = none
  #highWater = readsAhead * usualSize
  #timesFull = 0
  #mayGrow = true
  #error: NodeJS.ErrnoException | undefined

  /** Owns the descriptor, a non-blocking one, from now on. */
  constructor(fd: number, writers: Writers) {
    this.#fd = fd
    this.#writers = writers
  }

  /** The next bytes; `undefined`: there are none yet, or no more, see `hasEnded`. */
  take(): Buffer | undefined {
    let chunk = this.#taken.shift()
    if (chunk === undefined && this.#state === "idle") {
      this.#begin()
      chunk = this.#taken.shift()
    }
    if (chunk === undefined) return undefined
    this.#queued -= chunk.length
    if (this.#isPaused && this.#queued < this.#highWater && this.#state === "flowing") {
      this.#isPaused = false
      this.#socket?.resume()
    }
    return chunk
  }

  /** Nothing will come beyond what can be taken now. */
  get hasEnded(): boolean {
    return this.#state === "ended" && this.#taken.length === 0
  }

  /** Whether `take` or `hasEnded` has something to say at once. Nothing is read before the first `take`. */
  get hasNews(): boolean {
    return this.#taken.length > 0 || this.#state === "ended"
  }

  /** Why it ended, if not by the end of the file. */
  get error(): NodeJS.ErrnoException | undefined {
    return this.#error
  }

  /** Whether bytes wait that nobody has taken. */
  holdsData(): boolean {
    if (this.#taken.length === 0 && this.#state === "idle") {
      for (const chunk of takeFromKernel(this.#fd, 1)) this.#keep(chunk)
    }
    return this.#taken.length > 0
  }

  /** Takes what the pipe holds now, and ends. */
  cut(): void {
    if (this.#state === "ended") return
    if (this.#socket?.destroyed !== true) {
      for (const chunk of takeFromKernel(this.#fd, cutBound)) this.#keep(chunk)
    }
    this.#end()
  }

  /** Ends, and drops what was not taken. */
  close(): void {
    this.#taken.length = 0
    this.#queued = 0
    if (this.#state !== "ended") this.#end()
  }

  #begin(): void {
    if (this.#writers.hasExited()) return this.#readNow()
    this.#state = "waiting"
    this.#timer = setTimeout(() => this.#flow(), patience)
    this.#writers.onExited(() => {
      if (this.#state !== "waiting") return
      this.#readNow()
      this.onReadable?.()
    })
  }

  /** The end is near: everything is in the pipe already, unless a child of the job's holds it too. */
  #readNow(): void {
    scratch ??= Buffer.allocUnsafeSlow(usualSize)
    while (this.#queued < this.#highWater) {
      let count: number
      try {
        count = fs.readSync(this.#fd, scratch, 0, usualSize, null)
      } catch (error) {
        const failure = error as NodeJS.ErrnoException
        if (failure.code === "EAGAIN") break
        this.#error = failure
        count = 0
      }
      if (count === 0) return this.#end()
      this.#keep(Buffer.from(scratch.subarray(0, count)))
    }
    this.#flow()
  }

  #flow(): void {
    clearTimeout(this.#timer)
    this.#state = "flowing"
    const onread = { buffer: () => this.#nextBuffer(), callback: (count: number) => this.#push(count) }
    const options: net.SocketConstructorOpts & { readonly onread: net.OnReadOpts } = {
      fd: this.#fd,
      readable: true,
      writable: false,
      onread
    }
    const socket = new net.Socket(options)
    this.#socket = socket
    const ended = (): void => {
      if (this.#state !== "flowing") return
      this.#end()
      this.onReadable?.()
    }
    socket.on("end", ended)
    socket.on("close", ended)
    socket.on("error", (error) => {
      this.#error = error
      ended()
    })
    // Without it nobody looks for the end of what a callback reads.
    socket.resume()
  }

  /** Asked for after each read: what it gives is what the next read fills. */
  #nextBuffer(): Buffer {
    if (this.#buffer.length === 0) this.#buffer = Buffer.allocUnsafeSlow(usualSize)
    return this.#buffer
  }

  #keep(chunk: Buffer): void {
    this.#taken.push(chunk)
    this.#queued += chunk.length
  }

  /** Whether more may come. A short read is copied, so that ten bytes do not keep a whole buffer alive. */
  #push(count: number): boolean {
    const buffer = this.#buffer
    const isFull = count === buffer.length
    if (count < buffer.length / 2) this.#keep(Buffer.from(buffer.subarray(0, count)))
    else {
      this.#keep(buffer.subarray(0, count))
      this.#buffer = none
    }
    if (isFull && this.#mayGrow && ++this.#timesFull === fullBeforeGrowth) void this.#grow()
    this.#isPaused = this.#queued >= this.#highWater
    if (this.#isPaused || !this.#gathering.holds(count)) this.onReadable?.()
    return !this.#isPaused
  }

  async #grow(): Promise<void> {
    this.#mayGrow = false
    for (const size of grownSizes) {
      try {
        await this.#writers.grow(this.#fd, size)
        this.#highWater = readsAheadGrown * usualSize
        return
      } catch {
        // The allowance is spent, or the job is over: it works at any size.
      }
    }
  }

  #end(): void {
    clearTimeout(this.#timer)
    // Who ends it tells of it.
    this.#gathering.stop()
    this.#state = "ended"
    if (this.#socket === undefined) fs.closeSync(this.#fd)
    else this.#socket.destroy()
    this.#buffer = none
  }
}
