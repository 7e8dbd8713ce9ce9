/**
 * What a finished command leaves: the statuses of its stages and what it printed.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import { NodeInspectSymbol } from "effect/Inspectable"
import type { ExitStatus } from "./ExitStatus.ts"
import { decode, type Tails } from "./internal/text.ts"
import type { ProcessInfo, ResourceUsage } from "./ProcessInfo.ts"

/**
 * How one stage of a job ended. `command` is as a user would type it, with redacted values hidden; `stderrTail` is the
 * end (at most 8 KiB) of what was read of its stderr.
 *
 * @since 0.1.0
 * @category models
 */
export interface StageResult {
  readonly command: string
  readonly pid: number
  readonly exit: ExitStatus
  readonly usage: ResourceUsage
  readonly stderrTail: string
}

/**
 * The result of `Command.run`.
 *
 * - `exit`: of the last stage that failed, else of the last stage
 * - `stdout`, `stderr`: the bytes; empty for a stream that was sent elsewhere
 * - `stdoutText`, `stderrText`: the same decoded as UTF-8, nothing stripped
 * - `duration`: from the spawn until the last stage exited
 * - `usage`: of all stages together
 * - `leaked`: the descendants that were alive when the release began, which it then ended
 *
 * Printing or serializing it shows the ends of the streams only.
 *
 * @since 0.1.0
 * @category models
 */
export interface CommandResult {
  readonly exit: ExitStatus
  readonly stages: ReadonlyArray<StageResult>
  readonly stdout: Uint8Array
  readonly stderr: Uint8Array
  readonly stdoutText: string
  readonly stderrText: string
  readonly duration: Duration.Duration
  readonly usage: ResourceUsage
  readonly leaked: ReadonlyArray<ProcessInfo>
}

interface Fields extends Omit<CommandResult, "stdoutText" | "stderrText"> {
  readonly tails: () => Tails
}

/** The outputs are properties of the class, so that printing or comparing a result does not go through all of them. */
class Result implements CommandResult {
  readonly exit: ExitStatus
  readonly stages: ReadonlyArray<StageResult>
  readonly duration: Duration.Duration
  readonly usage: ResourceUsage
  readonly leaked: ReadonlyArray<ProcessInfo>
  readonly #fields: Fields

  constructor(fields: Fields) {
    this.exit = fields.exit
    this.stages = fields.stages
    this.duration = fields.duration
    this.usage = fields.usage
    this.leaked = fields.leaked
    this.#fields = fields
  }

  get stdout() {
    return this.#fields.stdout
  }

  get stderr() {
    return this.#fields.stderr
  }

  get stdoutText() {
    return decode(this.stdout)
  }

  get stderrText() {
    return decode(this.stderr)
  }

  toJSON() {
    const { stderr, stdout } = this.#fields.tails()
    return { _id: "CommandResult", ...this, stdoutTail: stdout, stderrTail: stderr }
  }

  [NodeInspectSymbol]() {
    return this.toJSON()
  }
}

/** @internal */
export const make = (fields: Fields): CommandResult => new Result(fields)
