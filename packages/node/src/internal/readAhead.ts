/** An output that never keeps its writer waiting for a reader that does not come. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** Bytes that are kept for a reader who comes late. */
const limit = 1024 * 1024

/** Bytes from which on a reader who is there holds up the writer. */
const window = 256 * 1024

export interface ReadAhead<E> {
  /** Once: what is kept, then the rest, with back-pressure. A second reader finds nothing. */
  readonly stream: Stream.Stream<Uint8Array, E>
  /** The end has been read. */
  readonly ended: Effect.Effect<void>
}

/**
 * Reads an output at once, within the scope. Until somebody wants it, the last MiB is kept, and `onDrop` is run when the
 * first byte of it is lost.
 */
export const readAhead = <E>(
  output: Stream.Stream<Uint8Array, E>,
  onDrop: Effect.Effect<void>
): Effect.Effect<ReadAhead<E>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const pieces: Array<Uint8Array> = []
    let size = 0
    let isRead = false
    let hasDropped = false
    let end: Exit.Exit<void, E> | undefined
    const more = Effect.unsafeMakeLatch(false)
    const room = Effect.unsafeMakeLatch(true)
    const done = Effect.unsafeMakeLatch(false)

    const push = (bytes: Uint8Array) =>
      Effect.suspend(() => {
        pieces.push(bytes)
        size += bytes.byteLength
        more.unsafeOpen()
        if (isRead) {
          if (size < window) return Effect.void
          room.unsafeClose()
          return room.await
        }
        let dropped = false
        while (size > limit && pieces.length > 1) {
          size -= pieces.shift()?.byteLength ?? 0
          dropped = true
        }
        if (!dropped || hasDropped) return Effect.void
        hasDropped = true
        return onDrop
      })

    const reader = yield* Stream.runForEach(output, push).pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          end = exit
          more.unsafeOpen()
          done.unsafeOpen()
        })
      ),
      Effect.interruptible,
      Effect.forkScoped
    )

    const next: Effect.Effect<Uint8Array, Option.Option<E>> = Effect.suspend(() => {
      const bytes = pieces.shift()
      if (bytes !== undefined) {
        size -= bytes.byteLength
        if (size < window) room.unsafeOpen()
        return Effect.succeed(bytes)
      }
      if (end !== undefined) {
        return Exit.matchEffect(end, {
          onFailure: (cause) => Effect.mapError(Effect.failCause(cause), Option.some),
          onSuccess: () => Effect.fail(Option.none())
        })
      }
      more.unsafeClose()
      return Effect.zipRight(more.await, next)
    })

    // Who stops early closes the pipe, as `head` does.
    const stop = Effect.sync(() => reader.unsafeInterruptAsFork(reader.id()))

    return {
      stream: Stream.suspend(() => {
        if (isRead) return Stream.empty
        isRead = true
        return Stream.ensuring(Stream.repeatEffectOption(next), stop)
      }),
      ended: done.await
    }
  })
