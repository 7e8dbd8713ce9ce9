/** The owner's ends of a child's pipes, over the sockets that `node:child_process` makes. */
import { takeFromKernel } from "@effect-process/spawn-server"
import * as Effect from "effect/Effect"
import { type InputPipe, type OutputPipe, PipeFailure } from "effect-process/Engine"
import type { Socket } from "node:net"
import { errnoOf } from "./errno.ts"

/** What a socket of a child can hold at the most: net.core.wmem_max is 208 KiB where nobody raised it. */
const cutBound = 4 * 1024 * 1024

/** What the other side's going looks like, which is no failure. */
export const goneErrnos: ReadonlySet<string> = new Set([
  "EPIPE",
  "ECONNRESET",
  "ECANCELED",
  "ERR_STREAM_DESTROYED",
  "ERR_STREAM_WRITE_AFTER_END",
  "ERR_STREAM_PREMATURE_CLOSE"
])

/** Node has no public name for the descriptor of a pipe that it made itself. */
const descriptorOf = (socket: Socket): number | undefined => {
  const handle = "_handle" in socket ? socket._handle : undefined
  const fd = typeof handle === "object" && handle !== null && "fd" in handle ? handle.fd : undefined
  return typeof fd === "number" && fd >= 0 ? fd : undefined
}

export class SocketOutput implements OutputPipe {
  private readonly socket: Socket
  private readonly taken: Array<Buffer> = []
  private ended = false
  private failed: PipeFailure | undefined
  private wake: (() => void) | undefined

  constructor(socket: Socket) {
    this.socket = socket
    // Attached at once: Node throws away what a stream without a reader holds when the process exits.
    socket.on("readable", () => this.wake?.())
    socket.on("end", () => this.finish())
    socket.on("close", () => this.finish())
    socket.on("error", (error) => {
      const errno = errnoOf(error)
      if (!goneErrnos.has(errno)) this.failed = new PipeFailure({ errno })
      this.finish()
    })
  }

  private finish(): void {
    this.ended = true
    this.wake?.()
  }

  readonly poll: OutputPipe["poll"] = () => {
    const chunk: Buffer | null = this.taken.shift() ?? this.socket.read()
    return chunk ?? (this.ended ? this.failed ?? null : undefined)
  }

  readonly listen: OutputPipe["listen"] = (listener) => {
    this.wake = listener
    if (this.ended || this.holdsData()) listener?.()
  }

  readonly holdsData: OutputPipe["holdsData"] = () => this.taken.length > 0 || this.socket.readableLength > 0

  readonly cut: OutputPipe["cut"] = () => {
    if (this.ended) return
    for (let chunk = this.socket.read(); chunk !== null; chunk = this.socket.read()) this.taken.push(chunk)
    const fd = descriptorOf(this.socket)
    if (fd !== undefined) this.taken.push(...takeFromKernel(fd, cutBound))
    this.socket.destroy()
    this.finish()
  }

  readonly close: OutputPipe["close"] = () => {
    this.taken.length = 0
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
      if (this.socket.destroyed) return resume(Effect.succeed(false))
      this.socket.write(bytes, (error) => {
        if (error === null || error === undefined) return resume(Effect.succeed(true))
        const errno = errnoOf(error)
        resume(goneErrnos.has(errno) ? Effect.succeed(false) : Effect.fail(new PipeFailure({ errno })))
      })
    })

  readonly close: InputPipe["close"] = () => {
    // What was not taken by now never will be: the job has gone.
    if (this.socket.writableLength > 0) this.socket.destroy()
    else this.socket.end(() => this.socket.destroy())
  }
}
