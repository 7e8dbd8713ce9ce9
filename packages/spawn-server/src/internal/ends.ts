/** The owner's ends of the pipes that a server has made. */
import * as fs from "node:fs"

const readFlags = fs.constants.O_RDONLY | fs.constants.O_NONBLOCK
const writeFlags = fs.constants.O_WRONLY | fs.constants.O_NONBLOCK

/** @internal */
export const closeQuietly = (fd: number): void => {
  try {
    fs.closeSync(fd)
  } catch {
    // Closed by its owner already.
  }
}

/**
 * Opens them through `/proc`, each as a description of its own of the same pipe.
 *
 * @internal
 */
export class Ends {
  readonly #directory: number

  constructor(pid: number) {
    this.#directory = fs.openSync(`/proc/${pid}/fd`, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
  }

  open(number: number, way: "reads" | "writes"): number {
    return fs.openSync(`/proc/self/fd/${this.#directory}/${number}`, way === "reads" ? readFlags : writeFlags)
  }

  /** Whether a pipe whose content we know is what we find. Throws when nothing is. */
  proves(probe: number, nonce: Buffer): boolean {
    const fd = this.open(probe, "reads")
    const read = Buffer.alloc(nonce.length)
    const length = fs.readSync(fd, read)
    fs.closeSync(fd)
    return length === nonce.length && read.equals(nonce)
  }

  close(): void {
    closeQuietly(this.#directory)
  }
}
