/** The owner's ends of real pipes, which a spawn server made. */
import type { PipeReader } from "@effect-process/spawn-server"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type OutputPipe, PipeFailure } from "effect-process/Engine"
import { errnoOf } from "./errno.ts"
import { goneErrnos } from "./pipes.ts"

export class RawOutput implements OutputPipe {
  private readonly reader: PipeReader

  constructor(reader: PipeReader) {
    this.reader = reader
  }

  private next(): Effect.Effect<Option.Option<Uint8Array>, PipeFailure> | undefined {
    const chunk = this.reader.take()
    if (chunk !== undefined) return Effect.succeedSome(chunk)
    if (!this.reader.hasEnded) return undefined
    const { error } = this.reader
    const errno = error === undefined ? undefined : errnoOf(error)
    return errno === undefined || goneErrnos.has(errno) ? Effect.succeedNone : Effect.fail(new PipeFailure({ errno }))
  }

  readonly read: OutputPipe["read"] = Effect.suspend(() =>
    this.next() ?? Effect.async((resume) => {
      const forget = () => {
        this.reader.onReadable = undefined
      }
      this.reader.onReadable = () => {
        const next = this.next()
        if (next === undefined) return
        forget()
        resume(next)
      }
      return Effect.sync(forget)
    })
  )

  readonly holdsData: OutputPipe["holdsData"] = Effect.sync(() => this.reader.holdsData())

  readonly cut: OutputPipe["cut"] = Effect.sync(() => {
    this.reader.cut()
    this.reader.onReadable?.()
  })

  readonly close: OutputPipe["close"] = Effect.sync(() => {
    this.reader.close()
    this.reader.onReadable?.()
  })
}
