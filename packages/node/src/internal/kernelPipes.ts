/**
 * Pipes of the kernel, which Node has no call to make: what it calls a pipe is a pair of sockets, whose writer finds a reset
 * connection where a shell's finds SIGPIPE. mkfifo(1) makes names of pipes; opened at both ends they are pipes like any other, and
 * the names go.
 */
import * as Effect from "effect/Effect"
import { SpawnFailure } from "effect-process/Engine"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { errnoOf, failure } from "./errno.ts"

/** Descriptors of ours; whoever gets it closes both. */
export interface KernelPipe {
  readonly read: number
  readonly write: number
}

export const close = (pipes: Iterable<KernelPipe>): void => {
  for (const { read, write } of pipes) {
    fs.closeSync(read)
    fs.closeSync(write)
  }
}

const open = (name: string): KernelPipe => {
  // Without O_NONBLOCK the open of one end waits for the other. Node clears the flag for descriptors 0 to 2 of a child.
  const read = fs.openSync(name, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
  try {
    return { read, write: fs.openSync(name, "w") }
  } catch (error) {
    fs.closeSync(read)
    throw error
  }
}

const openAll = (names: ReadonlyMap<number, string>): ReadonlyMap<number, KernelPipe> => {
  const pipes = new Map<number, KernelPipe>()
  try {
    for (const [key, name] of names) pipes.set(key, open(name))
    return pipes
  } catch (error) {
    close(pipes.values())
    throw error
  }
}

/** Each by itself: to look into the directory takes a descriptor, and there may be none. */
const remove = (directory: string, names: Iterable<string>): void => {
  for (const name of names) {
    try {
      fs.unlinkSync(name)
    } catch {
      // It was not made.
    }
  }
  try {
    fs.rmdirSync(directory)
  } catch {
    // Somebody has put something into it.
  }
}

/** One for each key; to be handed to children in the turn in which they come. */
export const make = (keys: ReadonlyArray<number>): Effect.Effect<ReadonlyMap<number, KernelPipe>, SpawnFailure> =>
  keys.length === 0 ? Effect.succeed(new Map()) : Effect.async((resume) => {
    let directory: string
    try {
      directory = fs.mkdtempSync(path.join(os.tmpdir(), "effect-process-"))
    } catch (error) {
      return resume(Effect.fail(failure(errnoOf(error), "open", os.tmpdir())))
    }
    const names = new Map(keys.map((key) => [key, path.join(directory, String(key))]))
    execFile("mkfifo", ["-m", "600", ...names.values()], (error) => {
      try {
        if (error !== null) throw error
        resume(Effect.succeed(openAll(names)))
      } catch (error) {
        resume(Effect.fail(failed(error)))
      } finally {
        remove(directory, names.values())
      }
    })
  })

const failed = (error: unknown): SpawnFailure => {
  const errno = errnoOf(error)
  if (errno !== "EUNKNOWN") return failure(errno, "open", errno === "ENOENT" ? "mkfifo" : undefined)
  const reason = error instanceof Error ? error.message : String(error)
  return new SpawnFailure({
    reason: "Unsupported",
    stage: "open",
    errno: undefined,
    path: "mkfifo",
    detail: `the engine on node:child_process makes pipes by mkfifo(1): ${reason.split("\n").at(-1)}`
  })
}
