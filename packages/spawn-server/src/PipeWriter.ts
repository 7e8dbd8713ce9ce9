/** Our end of a pipe that a job reads. */
import * as fs from "node:fs"
import * as net from "node:net"
import { writeNow } from "./internal/ends.ts"

/** What it is grown to: what a child reads while we are on our way to fill it again. */
const grownSize = 256 * 1024

/** Found full so often, it is grown. */
const fullBeforeGrowth = 8

const gone = (): NodeJS.ErrnoException => Object.assign(new Error("the pipe is closed"), { code: "EPIPE" })

/**
 * Writes at once what the pipe takes, without a stream of Node's; a socket is made for the first piece that does not fit.
 *
 * @example
 * import { command, SpawnServer } from "@effect-process/spawn-server"
 *
 * const server = await SpawnServer.start()
 * const job = await server.spawn(command("wc", ["-c"], { stdin: "pipe", stdout: "inherit" }))
 * const writer = job.writer(0)
 * await new Promise<void>((resolve) => {
 *   if (writer.write(new Uint8Array(1_000_000), () => resolve())) resolve()
 * })
 * writer.close() // wc prints 1000000
 * await job.empty()
 * await server.close()
 *
 * @since 0.1.0
 * @category pipes
 */
export class PipeWriter {
  readonly #fd: number
  readonly #grow: (fd: number, bytes: number) => Promise<void>
  #socket: net.Socket | undefined
  #timesFull = 0
  #isClosed = false

  /** Owns the descriptor, a non-blocking one, from now on. `grow` makes the pipe behind it larger; it rejects where it cannot. */
  constructor(fd: number, grow: (fd: number, bytes: number) => Promise<void>) {
    this.#fd = fd
    this.#grow = grow
  }

  /**
   * Whether the pipe took all at once. If not, `done` is called when it has, or with the error: `EPIPE` when nobody reads
   * any more, or it was closed. One write at a time: the next one when this one is done.
   */
  write(bytes: Uint8Array, done: (error?: NodeJS.ErrnoException) => void): boolean {
    // A socket that failed has closed its descriptor, whose number may be another's by now.
    if (this.#isClosed || this.#socket?.destroyed === true) {
      process.nextTick(done, gone())
      return false
    }
    const written = writeNow(this.#fd, bytes)
    if (written === bytes.length) return true
    if (++this.#timesFull === fullBeforeGrowth) {
      // The allowance is spent, or the job is over: it works at any size.
      this.#grow(this.#fd, grownSize).catch(() => {})
    }
    this.#socket ??= new net.Socket({ fd: this.#fd, readable: false, writable: true }).on("error", () => {
      // Each write is told of it.
    })
    // Node tells a write that a close cut off of no error.
    this.#socket.write(bytes.subarray(written), (error) => done(this.#isClosed ? gone() : error ?? undefined))
    return false
  }

  /** Drops what was not taken by then, and is the end of the file for the child. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    if (this.#socket === undefined) fs.closeSync(this.#fd)
    else this.#socket.destroy()
  }
}
