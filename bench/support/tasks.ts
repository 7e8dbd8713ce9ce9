import type { Variant } from "../peers/Peer.ts"

/** What a worker can be asked, and what it answers. Times are milliseconds. */

export interface Delay {
  /** Of the event loop, beyond the interval of the timer that measures it. */
  readonly p50: number
  readonly p99: number
  readonly maximum: number
}

export interface Outcome {
  /** Whether the call returned, either way. */
  readonly settled: boolean
  readonly elapsed: number
  /** Processes that are alive a moment after that. */
  readonly left: number
}

export interface Tasks {
  /** `echo hi`, so many times. `busy` is how long the thread of JavaScript was not waiting. */
  readonly captures: {
    readonly input: { readonly count: number; readonly atOnce: number }
    readonly output: { readonly elapsed: number; readonly busy: number }
  }
  /** For each spawn, how long the thread was busy between the call and the handle, its streams included. */
  readonly handles: { readonly input: { readonly count: number }; readonly output: ReadonlyArray<number> }
  /** For each `echo hi`, the time within the calls that `instrument.ts` wraps. */
  readonly direct: { readonly input: { readonly count: number }; readonly output: ReadonlyArray<number> }
  /** Reads that many zeros from a command; `aged`: after a full collection, as in a program that has run for a while. */
  readonly read: {
    readonly input: { readonly aged: boolean; readonly bytes: number }
    readonly output: { readonly elapsed: number }
  }
  /** `head -c BYTES /dev/zero | tr '\\0' a | cat ... | wc -c`, with so many `cat`s. `growth` is of the peak of our own memory. */
  readonly pipeline: {
    readonly input: { readonly bytes: number; readonly cats: number }
    readonly output: { readonly elapsed: number; readonly growth: number }
  }
  /** Zeros in pieces of 64 KiB through `cat`. */
  readonly through: { readonly input: { readonly bytes: number }; readonly output: { readonly elapsed: number } }
  /** From the interrupt of a tree of so many processes until it is gone. */
  /** Zeros in pieces of 64 KiB into `wc -c`. */
  readonly write: { readonly input: { readonly bytes: number }; readonly output: { readonly elapsed: number } }
  /** Runs all of these scripts at once, each within a time limit, and tells what became of each within `patience`. */
  readonly survive: {
    readonly input: {
      readonly variant: Variant
      readonly cases: ReadonlyArray<{ readonly script: string; readonly mark: string }>
      readonly timeout: number
      readonly patience: number
    }
    readonly output: ReadonlyArray<Outcome>
  }
  /** Begins to run a script without end, and tells who owns it, once so many processes carry the mark. */
  readonly begin: {
    readonly input: {
      readonly variant: Variant
      readonly script: string
      readonly mark: string
      readonly processes: number
    }
    readonly output: { readonly owner: number }
  }
  readonly interrupt: { readonly input: { readonly size: number }; readonly output: { readonly elapsed: number } }
  /** Starts processes that live until the end, up to so many of them. */
  readonly live: {
    readonly input: { readonly upTo: number }
    readonly output: { readonly elapsed: number; readonly delay: Delay }
  }
  readonly idle: { readonly input: { readonly millis: number }; readonly output: Delay }
  /** Private memory, in bytes, of the worker and of what runs between it and the processes that `live` started. */
  readonly memory: {
    readonly input: Record<string, never>
    readonly output: { readonly owner: number; readonly between: number; readonly processes: number }
  }
  readonly close: { readonly input: Record<string, never>; readonly output: null }
}

export type Answer =
  | { readonly ok: true; readonly output: unknown }
  | { readonly ok: false; readonly problem: string }
