/** What was received and not yet expected, and who waits for more of it. */
import * as Effect from "effect/Effect"

/** Characters; the oldest are dropped when nobody expects anything for so long. */
const most = 4 * 1024 * 1024

/** @internal */
export class Transcript {
  private text = ""
  private from = 0
  private readonly waiting = new Set<() => void>()
  isEnded = false

  push(text: string): void {
    if (text === "") return
    this.text += text
    if (this.text.length > most) {
      const drop = this.text.length - most / 2
      this.text = this.text.slice(drop)
      this.from = Math.max(0, this.from - drop)
    }
    this.changed()
  }

  end(): void {
    this.isEnded = true
    this.changed()
  }

  changed(): void {
    for (const wake of [...this.waiting]) wake()
  }

  /** Since the last match. */
  get unread(): string {
    return this.text.slice(this.from)
  }

  /** All of it, as far as it is kept. */
  get all(): string {
    return this.text
  }

  consume(characters: number): void {
    this.from += characters
  }

  /** Completes with what `look` finds, now or when something has changed. */
  until<A>(look: () => A | undefined): Effect.Effect<A> {
    return Effect.async<A>((resume) => {
      const found = look()
      if (found !== undefined) return resume(Effect.succeed(found))
      const wake = () => {
        const now = look()
        if (now === undefined) return
        this.waiting.delete(wake)
        resume(Effect.succeed(now))
      }
      this.waiting.add(wake)
      return Effect.sync(() => this.waiting.delete(wake))
    })
  }
}
