/**
 * The processes of this system: as rows, which `ps -j` and `ps -l` show, and as a tree, which `pstree -p` draws. The layers of
 * `@effect-process/node` provide it beside `ProcessSpawner`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { below, byPid, printableRow } from "./internal/processTree.ts"
import { renderTable, renderTree } from "./internal/renderTree.ts"
import type { ProcessInfo } from "./ProcessInfo.ts"

/**
 * How `render` draws.
 *
 * - `format`: `tree` as pstree(1) does, which is what is done when nothing is said; `table` as ps(1) does, a row for each
 *   process with the command line at its end, indented below its parent's. RSS is in KiB there, times are local.
 * - `colours`: whether to mark by colour what is unusual: zombies red, stopped processes yellow, uninterruptible ones
 *   magenta. When nothing is said: on a terminal, unless `NO_COLOR` is set
 * - `ascii`: whether branches are drawn in ASCII, for terminals without UTF-8. False when nothing is said
 * - `width`: the columns of a line; one that is longer is cut, with a `+` at its end. Unbounded when nothing is said
 *
 * @since 0.1.0
 * @category models
 */
export interface RenderOptions {
  readonly format?: "tree" | "table"
  readonly colours?: boolean
  readonly ascii?: boolean
  readonly width?: number
}

/**
 * The processes of this system, read now. A process that ends meanwhile is in the answer or is not; none of these fails.
 * What another user's processes hide from this one is missing: on most systems all rows are to be seen, their memory and
 * arguments too.
 *
 * - `snapshot`: all rows, zombies too, in order of their pids
 * - `descendantsOf`: the rows below a process, however deep, without its own. A process whose parent has ended belongs to init
 *   or to the nearest subreaper; of a process of this library, `Process.descendants` knows these as well
 * - `treeOf`: the same with its own row; empty when it is gone
 * - `render`: draws rows. Those whose parent is not among them are roots
 *
 * @example
 * import { NodeProcess } from "@effect-process/node"
 * import { Console, Effect } from "effect"
 * import { Command, ProcessTable } from "effect-process"
 *
 * const program = Effect.scoped(
 *   Effect.gen(function*() {
 *     const job = yield* Command.start(Command.make("sh", "-c", "sleep 100 & sleep 100"))
 *     const tree = yield* ProcessTable.treeOf(job.pid)
 *     // sh(4711)─┬─sleep(4712)
 *     //          └─sleep(4713)
 *     yield* Console.log(yield* ProcessTable.render(tree))
 *   })
 * )
 *
 * Effect.runPromise(program.pipe(Effect.provide(NodeProcess.layer)))
 *
 * @since 0.1.0
 * @category services
 */
export class ProcessTable extends Context.Tag("effect-process/ProcessTable")<ProcessTable, {
  readonly snapshot: Effect.Effect<ReadonlyArray<ProcessInfo>>
  readonly descendantsOf: (pid: number) => Effect.Effect<ReadonlyArray<ProcessInfo>>
  readonly treeOf: (pid: number) => Effect.Effect<ReadonlyArray<ProcessInfo>>
  readonly render: (tree: ReadonlyArray<ProcessInfo>, options?: RenderOptions) => Effect.Effect<string>
}>() {
  /**
   * All rows of the table.
   *
   * @since 0.1.0
   */
  static readonly snapshot: Effect.Effect<ReadonlyArray<ProcessInfo>, never, ProcessTable> = Effect.flatMap(
    ProcessTable,
    (table) => table.snapshot
  )

  /**
   * The rows below a process.
   *
   * @since 0.1.0
   */
  static readonly descendantsOf = (pid: number): Effect.Effect<ReadonlyArray<ProcessInfo>, never, ProcessTable> =>
    Effect.flatMap(ProcessTable, (table) => table.descendantsOf(pid))

  /**
   * The row of a process and those below it.
   *
   * @since 0.1.0
   */
  static readonly treeOf = (pid: number): Effect.Effect<ReadonlyArray<ProcessInfo>, never, ProcessTable> =>
    Effect.flatMap(ProcessTable, (table) => table.treeOf(pid))

  /**
   * Draws rows.
   *
   * @since 0.1.0
   */
  static readonly render = (
    tree: ReadonlyArray<ProcessInfo>,
    options?: RenderOptions
  ): Effect.Effect<string, never, ProcessTable> => Effect.flatMap(ProcessTable, (table) => table.render(tree, options))
}

/**
 * What a platform tells of processes.
 *
 * - `snapshot`: all rows, in any order, their texts as the system has them. Never fails
 * - `wantsColours`: whether what this program prints is shown by a terminal that has colours, and nobody said that he wants none
 *
 * @since 0.1.0
 * @category models
 */
export interface ProcessSource {
  readonly snapshot: Effect.Effect<ReadonlyArray<ProcessInfo>>
  readonly wantsColours: Effect.Effect<boolean>
}

/**
 * Draws rows, without colours when nothing is said, for programs that have no `ProcessTable` at hand.
 *
 * @example
 * import { ProcessTable } from "effect-process"
 * import { render } from "effect-process/ProcessTable"
 * import { Effect } from "effect"
 *
 * const drawn = Effect.map(ProcessTable.snapshot, (rows) => render(rows, { format: "table", width: 120 }))
 *
 * @since 0.1.0
 * @category rendering
 */
export const render = (tree: ReadonlyArray<ProcessInfo>, options?: RenderOptions): string => {
  const { ascii = false, colours = false, format = "tree", width = Infinity } = options ?? {}
  return (format === "table" ? renderTable : renderTree)(tree, { ascii, colours, width: Math.max(1, width) })
}

/**
 * Puts the table on what a platform tells.
 *
 * @example
 * import { Effect, Layer } from "effect"
 * import { ProcessTable } from "effect-process"
 * import { fromSource } from "effect-process/ProcessTable"
 *
 * // A system without processes, for a test
 * const none = Layer.succeed(
 *   ProcessTable,
 *   fromSource({ snapshot: Effect.succeed([]), wantsColours: Effect.succeed(false) })
 * )
 *
 * const program = ProcessTable.snapshot.pipe(Effect.provide(none)) // => []
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromSource = (source: ProcessSource): Context.Tag.Service<ProcessTable> => {
  const snapshot = Effect.map(source.snapshot, (rows) => rows.map(printableRow).sort(byPid))
  return {
    snapshot,
    descendantsOf: (pid) => Effect.map(snapshot, (rows) => below(rows, [pid])),
    treeOf: (pid) =>
      Effect.map(snapshot, (rows) => {
        const root = rows.find((row) => row.pid === pid)
        return root === undefined ? [] : [root, ...below(rows, [pid])]
      }),
    render: (tree, options) =>
      options?.colours === undefined
        ? Effect.map(source.wantsColours, (colours) => render(tree, { ...options, colours }))
        : Effect.sync(() => render(tree, options))
  }
}
