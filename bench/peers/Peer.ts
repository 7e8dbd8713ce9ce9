import type { Readable, Writable } from "node:stream"

/**
 * One way to run commands. A peer is a module of this directory that exports `open`; its name is the file's, and it runs in
 * a worker of its own. What a peer cannot do it leaves out.
 */
export interface Session {
  /** Runs `echo hi` so many times, at most `atOnce` of them at a time; each has to answer `hi`. */
  readonly captures: (count: number, atOnce: number) => Promise<void>
  /** Spawns `echo hi` so many times; for each, the milliseconds of the thread from the call to the handle and its streams. */
  readonly handles?: (count: number) => Promise<ReadonlyArray<number>>
  /** Counts the bytes of the stdout of a command, as they come. */
  readonly read?: (file: string, args: ReadonlyArray<string>) => Promise<number>
  /**
   * Runs a shell script until it has printed something and `settled` has seen its tree, interrupts it, and resolves with the
   * milliseconds until the whole tree is gone.
   */
  readonly interrupt?: (script: string, settled: (pid: number) => Promise<void>) => Promise<number>
  /** Starts so many commands that live until `close`, with pipes for stdout and stderr. */
  readonly live?: (count: number, file: string, args: ReadonlyArray<string>) => Promise<void>
  /** Runs a pipeline of commands and returns what the last one prints. */
  readonly pipeline?: (stages: ReadonlyArray<readonly [string, ...ReadonlyArray<string>]>) => Promise<string>
  /** Sends so many pieces of so many zeros through a command, and counts what comes back. */
  readonly through?: (file: string, size: number, count: number) => Promise<number>
  /** Sends so many pieces of so many zeros to a command that reads them all, and returns what it prints. */
  readonly write?: (file: string, args: ReadonlyArray<string>, size: number, count: number) => Promise<string>
  /** Runs a shell script within a time limit, and settles, either way, when the library says that it is done with it. */
  readonly survive?: (script: string, limits: Limits) => Promise<unknown>
  /** The process that owns what runs, where it is not the worker. */
  readonly owner?: number
  /** Has the owner hold so many MiB, where it is not the worker. */
  readonly hold?: (mebibytes: number) => Promise<void>
  readonly close: () => Promise<void>
}

/** As a user of the library would write it: with nothing but a time limit, or with all that it has for ending what it runs. */
export type Variant = "defaults" | "best"

export interface Limits {
  readonly variant: Variant
  /** Milliseconds. */
  readonly timeout: number
  /** Added to the owner's environment. */
  readonly env: Readonly<Record<string, string>>
}

/** Milliseconds between the polite signal and SIGKILL, where the best options have such a time. */
export const grace = 500

export interface Peer {
  readonly open: () => Promise<Session>
}

export const isGreeting = (output: string): void => {
  if (output !== "hi\n") throw new Error(`echo hi printed ${JSON.stringify(output)}`)
}

/** Runs `one` so many times, at most `atOnce` of them at a time. */
export const repeat = async (count: number, atOnce: number, one: () => Promise<void>): Promise<void> => {
  let left = count
  const worker = async () => {
    while (left-- > 0) await one()
  }
  await Promise.all(Array.from({ length: Math.min(count, atOnce) }, worker))
}

/** As many pieces as it is told, as fast as 'drain' allows. */
export const writeAll = async (stdin: Writable, size: number, count: number): Promise<void> => {
  const piece = new Uint8Array(size)
  for (let i = 0; i < count; i++) {
    if (!stdin.write(piece)) await new Promise((resolve) => stdin.once("drain", resolve))
  }
  stdin.end()
}

/** Counts what comes, until `end` has settled. */
export const counted = async (stdout: Readable, end: PromiseLike<unknown>): Promise<number> => {
  let length = 0
  stdout.on("data", (chunk: Uint8Array) => {
    length += chunk.length
  })
  await end
  return length
}

/** Once it has printed something, and `settled` has seen its tree. */
export const printing = async (
  stdout: Readable,
  pid: number,
  settled: (pid: number) => Promise<void>
): Promise<void> => {
  await new Promise((resolve) => stdout.once("data", resolve))
  await settled(pid)
}

/** A stretch of time, of which only what the thread did not spend waiting counts. */
export const busySince = (): () => number => {
  const before = performance.eventLoopUtilization()
  return () => performance.eventLoopUtilization(before).active
}
