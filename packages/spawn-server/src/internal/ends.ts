/** The owner's ends of the pipes that a server has made. */
import * as fs from "node:fs"
import type * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"

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
 * Of a socket that Node made: there is no public name for it. `undefined` once it is closed.
 *
 * @example
 * import { descriptorOf } from "@effect-process/spawn-server"
 * import * as net from "node:net"
 *
 * descriptorOf(new net.Socket()) // => undefined
 *
 * @since 0.1.0
 * @category pipes
 */
export const descriptorOf = (socket: net.Socket): number | undefined => {
  const handle = "_handle" in socket ? socket._handle : undefined
  const fd = typeof handle === "object" && handle !== null && "fd" in handle ? handle.fd : undefined
  return typeof fd === "number" && fd >= 0 ? fd : undefined
}

/**
 * How much of it a non-blocking descriptor takes at once. What is left, all of it after an error, is a stream's, which waits for
 * room and tells of the error.
 *
 * @internal
 */
export const writeNow = (fd: number, bytes: Uint8Array): number => {
  try {
    return fs.writeSync(fd, bytes)
  } catch {
    return 0
  }
}

/** @internal */
export interface Ends {
  /** Each is a description of its own of the same pipe. Throws what open(2) says. */
  readonly open: (number: number, way: "reads" | "writes") => number
  readonly close: () => void
}

/**
 * Through `/proc`: the numbers are the server's descriptors.
 *
 * @internal
 */
export const descriptorsOf = (pid: number): Ends => {
  const directory = fs.openSync(`/proc/${pid}/fd`, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
  const prefix = `/proc/self/fd/${directory}/`
  return {
    open: (number, way) => fs.openSync(`${prefix}${number}`, way === "reads" ? readFlags : writeFlags),
    close: () => closeQuietly(directory)
  }
}

/**
 * FIFOs in a directory that nobody else can enter: the numbers are names, which the server removes once they are open.
 *
 * @internal
 */
export const fifosIn = (directory: string): Ends => ({
  open: (number, way) => fs.openSync(`${directory}/${number}`, way === "reads" ? readFlags : writeFlags),
  close: () => {
    try {
      fs.rmSync(directory, { recursive: true, force: true })
    } catch {
      // Somebody has changed it; the server tries as well when it ends.
    }
  }
})

/**
 * Of mode 0700, as mkdtemp(3) makes it.
 *
 * @internal
 */
export const makeDirectory = (): string => fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), "effect-process-"))

/**
 * Whether a pipe whose content we know is what we find. Throws when nothing is.
 *
 * @internal
 */
export const proves = (ends: Ends, probe: number, nonce: Buffer): boolean => {
  const fd = ends.open(probe, "reads")
  try {
    const read = Buffer.alloc(nonce.length)
    return fs.readSync(fd, read) === nonce.length && read.equals(nonce)
  } finally {
    fs.closeSync(fd)
  }
}
