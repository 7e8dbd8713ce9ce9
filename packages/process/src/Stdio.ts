/**
 * Where the descriptors of a child lead: words, files, Streams and Sinks.
 *
 * @example
 * import { Command, Stdio } from "effect-process"
 *
 * // make > build.log 2>&1
 * Command.make("make").pipe(
 *   Command.stdout(Stdio.file("build.log")),
 *   Command.stderr(Stdio.toStdout)
 * )
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"

/**
 * Where a descriptor of 0 to 2 leads, by a word.
 *
 * - `pipe`: to or from the handle; in a pipeline, to or from the next stage
 * - `inherit`: the owner's own descriptor of that number
 * - `ignore`: `/dev/null`
 *
 * @since 0.1.0
 * @category models
 */
export type Keyword = "pipe" | "inherit" | "ignore"

/**
 * A file, opened when the command is spawned; a relative path is below the owner's directory. One that is written is made
 * with the permissions that the umask, or `Command.umask`, leaves, and emptied unless `mode` is `append`. What fails is a `SpawnError` with stage
 * `open`. Source: open(2).
 *
 * @example
 * import { Stdio } from "effect-process"
 *
 * Stdio.file("log.txt", { append: true }).mode // => "append"
 *
 * @since 0.1.0
 * @category models
 */
export class File extends Data.TaggedClass("File")<{
  readonly path: string
  /** When nothing is said: `read` for stdin, `write` for an output. Another descriptor needs to be told. */
  readonly mode: "read" | "write" | "append" | undefined
}> {}

/**
 * Where stderr follows stdout, wherever that leads: `2>&1`.
 *
 * @example
 * import { Stdio } from "effect-process"
 *
 * Stdio.toStdout instanceof Stdio.ToStdout // => true
 *
 * @since 0.1.0
 * @category models
 */
export class ToStdout extends Data.TaggedClass("ToStdout")<{}> {}

/**
 * What a child reads. The strings of a Stream are encoded as UTF-8.
 *
 * @since 0.1.0
 * @category models
 */
export type Input<E = never, R = never> = Keyword | File | Stream.Stream<Uint8Array | string, E, R>

/**
 * Where a child writes. A Sink runs beside the command; one that is done closes the pipe, one that fails ends the job.
 *
 * @since 0.1.0
 * @category models
 */
export type Output<E = never, R = never> = Keyword | File | Sink.Sink<unknown, Uint8Array, unknown, E, R>

/**
 * A file to read or write.
 *
 * @example
 * import { Command, Stdio } from "effect-process"
 *
 * // sort < names.txt >> sorted.txt
 * Command.make("sort").pipe(
 *   Command.stdin(Stdio.file("names.txt")),
 *   Command.stdout(Stdio.file("sorted.txt", { append: true }))
 * )
 *
 * @since 0.1.0
 * @category constructors
 */
export const file = (
  path: string,
  options?: { readonly append?: boolean; readonly mode?: "read" | "write" | "append" }
): File => new File({ path, mode: options?.mode ?? (options?.append === true ? "append" : undefined) })

/**
 * For stderr: the same place as stdout, in the order in which the child writes.
 *
 * @example
 * import { Command, Stdio } from "effect-process"
 *
 * // => "out\nerr\n"
 * Command.shell("echo out; echo err >&2").pipe(Command.stderr(Stdio.toStdout), Command.string)
 *
 * @since 0.1.0
 * @category constructors
 */
export const toStdout: ToStdout = new ToStdout()
