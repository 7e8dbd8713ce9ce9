/** The owner's ends of real pipes, which a spawn server made. */
import { type OutputPipe, PipeFailure } from "effect-process/Engine"
import { type OnReadOpts, Socket, type SocketConstructorOpts } from "node:net"
import { errnoOf } from "./errno.ts"
import { goneErrnos, takeFromKernel } from "./pipes.ts"

/** A pipe holds 64 KiB when nobody asked for more. */
const bufferSize = 64 * 1024

/** Above this much that nobody has taken, the pipe is left to fill, and with it the child to wait. */
const highWater = 64 * 1024

/** What pipe-max-size allows without privileges. Source: pipe(7). */
const cutBound = 1024 * 1024

/** Reads into buffers of its own: the streams of Node take smaller pieces and hand each through several layers. */
export class RawOutput implements OutputPipe {
  private readonly socket: Socket
  private readonly fd: number
  private readonly taken: Array<Buffer> = []
  private buffer = Buffer.allocUnsafeSlow(0)
  private queued = 0
  private ended = false
  private failed: PipeFailure | undefined
  private wake: (() => void) | undefined

  /** Owns the descriptor from now on. */
  constructor(fd: number) {
    this.fd = fd
    const onread = { buffer: () => this.nextBuffer(), callback: (count: number) => this.push(count) }
    const options: SocketConstructorOpts & { readonly onread: OnReadOpts } = {
      fd,
      readable: true,
      writable: false,
      onread
    }
    this.socket = new Socket(options)
    this.socket.on("end", () => this.finish())
    this.socket.on("close", () => this.finish())
    this.socket.on("error", (error) => {
      const errno = errnoOf(error)
      if (!goneErrnos.has(errno)) this.failed = new PipeFailure({ errno })
      this.finish()
    })
    // Without it nobody looks for the end of what a callback reads.
    this.socket.resume()
  }

  private nextBuffer(): Buffer {
    if (this.buffer.length === 0) this.buffer = Buffer.allocUnsafeSlow(bufferSize)
    return this.buffer
  }

  /** Whether more may come. A short read is copied, so that ten bytes do not keep a whole buffer alive. */
  private push(count: number): boolean {
    const bytes = this.buffer.subarray(0, count)
    if (count < bufferSize / 2) this.taken.push(Buffer.from(bytes))
    else {
      this.taken.push(bytes)
      this.buffer = Buffer.allocUnsafeSlow(0)
    }
    this.queued += count
    this.wake?.()
    return this.queued < highWater
  }

  private finish(): void {
    this.ended = true
    this.wake?.()
  }

  readonly poll: OutputPipe["poll"] = () => {
    const chunk = this.taken.shift()
    if (chunk === undefined) return this.ended ? this.failed ?? null : undefined
    const wasFull = this.queued >= highWater
    this.queued -= chunk.length
    if (wasFull && this.queued < highWater && !this.socket.destroyed) this.socket.resume()
    return chunk
  }

  readonly listen: OutputPipe["listen"] = (listener) => {
    this.wake = listener
    if (this.ended || this.taken.length > 0) listener?.()
  }

  readonly holdsData: OutputPipe["holdsData"] = () => this.taken.length > 0

  readonly cut: OutputPipe["cut"] = () => {
    if (this.ended) return
    if (!this.socket.destroyed) {
      const rest = takeFromKernel(this.fd, cutBound)
      this.taken.push(...rest)
      for (const { length } of rest) this.queued += length
    }
    this.socket.destroy()
    this.finish()
  }

  readonly close: OutputPipe["close"] = () => {
    this.taken.length = 0
    this.queued = 0
    this.socket.destroy()
    this.finish()
  }
}
