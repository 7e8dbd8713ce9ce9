/** The owner's ends of a child's pipes, over the sockets that `node:child_process` makes. */
import { descriptorOf, Gathering, takeFromKernel } from "@effect-process/spawn-server"
import * as Effect from "effect/Effect"
import { type InputPipe, type OutputPipe, PipeFailure } from "effect-process/Engine"
import type { Socket } from "node:net"
import { errnoOf } from "./errno.ts"

/** What a socket of a child can hold at the most: net.core.wmem_max is 208 KiB where nobody raised it. */
const cutBound = 4 * 1024 * 1024

/** What a consumer gets at once. */
const gathered = 512 * 1024

/** What the other side's going looks like, which is no failure. */
const goneErrnos: ReadonlySet<string> = new Set([
  "EPIPE",
  "ECONNRESET",
  "ECANCELED",
  "ERR_STREAM_DESTROYED",
  "ERR_STREAM_WRITE_AFTER_END",
  "ERR_STREAM_PREMATURE_CLOSE"
])

/** Why a pipe failed; `undefined` when the other side has gone. */
export const failureOf = (error: unknown): PipeFailure | undefined => {
  const errno = errnoOf(error)
  return goneErrnos.has(errno) ? undefined : new PipeFailure({ errno })
}

type Written = Effect.Effect<boolean, PipeFailure>

export const taken: Written = Effect.succeed(true)
const refused: Written = Effect.succeed(false)

/** What a write says of itself when it is done. */
export const writtenWith = (error: unknown): Written =>
  error === null || error === undefined ? taken : failureOf(error) ?? refused

export class SocketOutput implements OutputPipe {
  private readonly socket: Socket
  private readonly taken: Array<Buffer> = []
  private ended = false
  private failed: PipeFailure | undefined
  private wake: (() => void) | undefined
  private queued = 0
  private readonly gathering = new Gathering(() => this.wake?.(), () => false)

  constructor(socket: Socket) {
    this.socket = socket
    // Attached at once: Node throws away what a stream without a reader holds when the process exits.
    socket.on("readable", () => this.gather())
    socket.on("end", () => this.finish())
    socket.on("close", () => this.finish())
    socket.on("error", (error) => {
      this.failed = failureOf(error)
      this.finish()
    })
  }

  /** Nothing is taken out of the socket while nobody waits for it: it stops reading when it holds enough. */
  private gather(): void {
    if (this.wake === undefined) return
    const chunk: Buffer | null = this.socket.read()
    if (chunk !== null) this.keep(chunk)
    if (chunk === null || this.queued >= gathered || !this.gathering.holds(chunk.length)) this.wake()
  }

  private keep(chunk: Buffer): void {
    this.taken.push(chunk)
    this.queued += chunk.length
  }

  private finish(): void {
    this.ended = true
    this.gathering.stop()
    this.wake?.()
  }

  readonly poll: OutputPipe["poll"] = () => {
    const kept = this.taken.shift()
    if (kept !== undefined) {
      this.queued -= kept.length
      return kept
    }
    const chunk: Buffer | null = this.socket.read()
    return chunk ?? (this.ended ? this.failed ?? null : undefined)
  }

  readonly listen: OutputPipe["listen"] = (listener) => {
    this.wake = listener
    if (this.ended || this.holdsData()) listener?.()
  }

  readonly holdsData: OutputPipe["holdsData"] = () => this.taken.length > 0 || this.socket.readableLength > 0

  readonly cut: OutputPipe["cut"] = () => {
    if (this.ended) return
    for (let chunk = this.socket.read(); chunk !== null; chunk = this.socket.read()) this.keep(chunk)
    const fd = descriptorOf(this.socket)
    for (const chunk of fd === undefined ? [] : takeFromKernel(fd, cutBound)) this.keep(chunk)
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

export class SocketInput implements InputPipe {
  private readonly socket: Socket

  constructor(socket: Socket) {
    this.socket = socket
    socket.on("error", () => {
      // Each write is told of it.
    })
  }

  readonly write: InputPipe["write"] = (bytes) =>
    Effect.async((resume) => {
      if (this.socket.destroyed) return resume(refused)
      this.socket.write(bytes, (error) => resume(writtenWith(error)))
    })

  readonly close: InputPipe["close"] = () => {
    // What was not taken by now never will be: the job has gone.
    if (this.socket.writableLength > 0) this.socket.destroy()
    else this.socket.end(() => this.socket.destroy())
  }
}
