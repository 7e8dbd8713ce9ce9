/** Why V8 does not collect its whole heap over and over while much is read: see "What V8 counts" in ARCHITECTURE.md. */

/** Bytes read for which one array is made: a full piece. */
const step = 64 * 1024

/** 2.5 KiB of heap. A sixtieth of what is read would do on the machine that was measured; the faster V8 marks, the more it takes. */
const length = 320

/**
 * So many live at a time. 48 MiB are read meanwhile, more than between two cheap collections: what outlives two of them is moved to the
 * old space.
 */
const latest: Array<ReadonlyArray<unknown> | undefined> = new Array(768).fill(undefined)

let read = 0
let place = 0

/**
 * Makes garbage of the kind that V8 goes by. How much may be allocated until the next full collection it computes from how fast its
 * old space is filled. What is read lies outside, so V8 takes a program that reads gibibytes for one that is nearly at rest.
 * Source: `MemoryController` in V8's `src/heap/heap-controller.cc`; `--trace-gc-verbose` shows the factor.
 *
 * @internal
 */
export const pace = (bytes: number): void => {
  for (read += bytes; read >= step; read -= step) {
    latest[place] = new Array(length)
    place = (place + 1) % latest.length
  }
}
