/** The owner's ends of pipes that tell of each piece that goes through them. */
import * as Effect from "effect/Effect"
import type { InputPipe, OutputPipe } from "../Engine.ts"
import type { Measures } from "./measures.ts"

/** @internal */
export class CountedOutput implements OutputPipe {
  private readonly pipe: OutputPipe
  private readonly measures: Measures | undefined
  private onFirst: (() => void) | undefined

  constructor(pipe: OutputPipe, measures: Measures | undefined, onFirst: (() => void) | undefined) {
    this.pipe = pipe
    this.measures = measures
    this.onFirst = onFirst
  }

  poll(): ReturnType<OutputPipe["poll"]> {
    const bytes = this.pipe.poll()
    if (bytes instanceof Uint8Array) {
      this.measures?.read(bytes.byteLength)
      if (this.onFirst !== undefined) this.first(this.onFirst)
    }
    return bytes
  }

  private first(tell: () => void): void {
    this.onFirst = undefined
    tell()
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
  private readonly measures: Measures

  constructor(pipe: InputPipe, measures: Measures) {
    this.pipe = pipe
    this.measures = measures
  }

  write(bytes: Uint8Array): ReturnType<InputPipe["write"]> {
    return Effect.map(this.pipe.write(bytes), (isRead) => {
      if (isRead) this.measures.wrote(bytes.byteLength)
      return isRead
    })
  }

  close(): void {
    this.pipe.close()
  }
}
