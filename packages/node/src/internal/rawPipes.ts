/** The owner's ends of real pipes, which a spawn server made. */
import type { PipeReader, PipeWriter } from "@effect-process/spawn-server"
import * as Effect from "effect/Effect"
import type { InputPipe, OutputPipe, PipeFailure } from "effect-process/Engine"
import { failureOf, taken, writtenWith } from "./pipes.ts"

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
    return error === undefined ? null : failureOf(error) ?? null
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

export class RawInput implements InputPipe {
  private readonly writer: PipeWriter

  constructor(writer: PipeWriter) {
    this.writer = writer
  }

  write(bytes: Uint8Array): ReturnType<InputPipe["write"]> {
    return Effect.suspend(() => {
      let result: Effect.Effect<boolean, PipeFailure> | undefined
      let resume: ((result: Effect.Effect<boolean, PipeFailure>) => void) | undefined
      const done = (error?: NodeJS.ErrnoException) => {
        result = writtenWith(error)
        resume?.(result)
      }
      // Most writes fit: no fiber waits for those.
      return this.writer.write(bytes, done) ? taken : Effect.async((later) => {
        // The fiber may have given way to others before it came here, and the write be done meanwhile.
        if (result === undefined) resume = later
        else later(result)
      })
    })
  }

  close(): void {
    this.writer.close()
  }
}
