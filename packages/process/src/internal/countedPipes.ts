/** The owner's ends of pipes that tell of each piece that goes through them. */
import * as Effect from "effect/Effect"
import type { InputPipe, OutputPipe } from "../Engine.ts"

/** @internal */
export class CountedOutput implements OutputPipe {
  private readonly pipe: OutputPipe
  private readonly count: (bytes: number, isFirst: boolean) => void
  private isFirst = true

  constructor(pipe: OutputPipe, count: (bytes: number, isFirst: boolean) => void) {
    this.pipe = pipe
    this.count = count
  }

  poll(): ReturnType<OutputPipe["poll"]> {
    const bytes = this.pipe.poll()
    if (bytes instanceof Uint8Array) {
      this.count(bytes.byteLength, this.isFirst)
      this.isFirst = false
    }
    return bytes
  }

  listen(listener: (() => void) | undefined): void {
    this.pipe.listen(listener)
  }

  holdsData(): boolean {
    return this.pipe.holdsData()
  }

  cut(): void {
    this.pipe.cut()
  }

  close(): void {
    this.pipe.close()
  }
}

/** @internal */
export class CountedInput implements InputPipe {
  private readonly pipe: InputPipe
  private readonly count: (bytes: number) => void

  constructor(pipe: InputPipe, count: (bytes: number) => void) {
    this.pipe = pipe
    this.count = count
  }

  write(bytes: Uint8Array): ReturnType<InputPipe["write"]> {
    return Effect.map(this.pipe.write(bytes), (isRead) => {
      if (isRead) this.count(bytes.byteLength)
      return isRead
    })
  }

  close(): void {
    this.pipe.close()
  }
}
