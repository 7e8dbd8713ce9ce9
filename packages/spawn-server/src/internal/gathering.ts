/** Pieces of a large output come in bursts, and to wake its consumer costs more than to read one of them. */

/** A read of so many bytes is part of more, which the consumer is to get together with it. */
const bulk = 16 * 1024

/**
 * When the consumer of an output is woken: at once for a small piece, for large ones when a turn of the event loop brought
 * nothing more, or `hasEnough` says so then.
 *
 * @example
 * import { Gathering } from "@effect-process/spawn-server"
 *
 * const pieces = [3, 65536, 65536, 65536]
 * let woken = 0
 * const gathering = new Gathering(() => woken++, () => false)
 * for (const size of pieces) if (!gathering.holds(size)) woken++
 * woken // => 1
 * gathering.stop()
 *
 * @since 0.1.0
 * @category pipes
 */
export class Gathering {
  readonly #wake: () => void
  readonly #hasEnough: () => boolean
  #look: NodeJS.Immediate | undefined
  /** More was read since it was last seen whether the consumer is to be woken. */
  #isComing = false

  constructor(wake: () => void, hasEnough: () => boolean) {
    this.#wake = wake
    this.#hasEnough = hasEnough
  }

  /** Whether the consumer is woken later for a piece of this size that has just come; if not, that is to be done now. */
  holds(size: number): boolean {
    if (size < bulk && this.#look === undefined) return false
    this.#isComing = true
    this.#look ??= setImmediate(this.#lookAgain)
    return true
  }

  /** Nobody is woken any more for what has come. */
  stop(): void {
    clearImmediate(this.#look)
    this.#look = undefined
  }

  readonly #lookAgain = (): void => {
    const goesOn = this.#isComing && !this.#hasEnough()
    this.#isComing = false
    this.#look = goesOn ? setImmediate(this.#lookAgain) : undefined
    if (!goesOn) this.#wake()
  }
}
