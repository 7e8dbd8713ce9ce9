/** The owner's ends of real pipes, which a spawn server made. */
import type { PipeReader } from "@effect-process/spawn-server"
import { type OutputPipe, PipeFailure } from "effect-process/Engine"
import { errnoOf } from "./errno.ts"
import { goneErrnos } from "./pipes.ts"

export class RawOutput implements OutputPipe {
  private readonly reader: PipeReader

  constructor(reader: PipeReader) {
    this.reader = reader
  }

  poll(): ReturnType<OutputPipe["poll"]> {
    const chunk = this.reader.take()
    if (chunk !== undefined) return chunk
    if (!this.reader.hasEnded) return undefined
    const { error } = this.reader
    const errno = error === undefined ? undefined : errnoOf(error)
    return errno === undefined || goneErrnos.has(errno) ? null : new PipeFailure({ errno })
  }

  listen(listener: (() => void) | undefined): void {
    this.reader.onReadable = listener
    if (this.reader.hasNews) listener?.()
  }

  holdsData(): boolean {
    return this.reader.holdsData()
  }

  cut(): void {
    this.reader.cut()
    this.reader.onReadable?.()
  }

  close(): void {
    this.reader.close()
    this.reader.onReadable?.()
  }
}
