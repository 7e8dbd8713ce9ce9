/** The process table as the server's program writes it, when it is started for that. `PROTOCOL.md` says how it is laid out. */
import { parseCommandLine, parseStat, type ProcessStat } from "./procfs.ts"

/**
 * One process: whom it runs as (the effective user), and what two files of `/proc` said of it.
 *
 * @since 0.1.0
 * @category proc
 */
export interface TableRow {
  readonly stat: ProcessStat
  readonly uid: number
  readonly commandLine: string
}

/**
 * What the program is to be told so that it writes the rows of the pids that leave `part` when divided by `parts`.
 *
 * @example
 * import { tableArguments } from "@effect-process/spawn-server"
 *
 * tableArguments(1, 2) // => ["--processes", "1", "2"]
 *
 * @since 0.1.0
 * @category proc
 */
export const tableArguments = (part: number, parts: number): ReadonlyArray<string> => [
  "--processes",
  String(part),
  String(parts)
]

/** The four numbers before the texts of a process. */
const headSize = 16

/**
 * Takes the pieces in which the table arrives.
 *
 * @example
 * import { defaultBinary, tableArguments, TableReader } from "@effect-process/spawn-server"
 * import { execFileSync } from "node:child_process"
 *
 * const pids: Array<number> = []
 * const reader = new TableReader(({ stat }) => pids.push(stat.pid))
 * reader.push(execFileSync(defaultBinary(), [...tableArguments(0, 1)]))
 * reader.isComplete // => true
 * pids.includes(process.pid) // => true
 *
 * @since 0.1.0
 * @category proc
 */
export class TableReader {
  /** The end has been seen: all rows are there. */
  isComplete = false
  private rest: Buffer = Buffer.alloc(0)
  private readonly onRow: (row: TableRow) => void

  constructor(onRow: (row: TableRow) => void) {
    this.onRow = onRow
  }

  push(piece: Uint8Array): void {
    const bytes = this.rest.length === 0
      ? Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
      : Buffer.concat([this.rest, piece])
    let at = 0
    while (!this.isComplete && at + headSize <= bytes.length) {
      const pid = bytes.readUInt32LE(at)
      const stat = at + headSize
      const words = stat + bytes.readUInt32LE(at + 8)
      const end = words + bytes.readUInt32LE(at + 12)
      if (end > bytes.length) break
      if (pid === 0) this.isComplete = true
      else {
        const row = parseStat(bytes, stat, words)
        const uid = bytes.readUInt32LE(at + 4)
        if (row !== undefined) this.onRow({ stat: row, uid, commandLine: parseCommandLine(bytes, words, end) })
      }
      at = end
    }
    // A copy, as the piece may be the reader's own.
    this.rest = Buffer.from(bytes.subarray(at))
  }
}
