/** Which stage of a job decides how the job ended. */
import type { StageExit } from "../Engine.ts"
import { type ExitStatus, isExited, isKilled } from "../ExitStatus.ts"
import type { Signal } from "../Signal.ts"
import type { Stage } from "./spec.ts"

/** @internal */
export const isAccepted = ({ accepted }: Stage, exit: ExitStatus): boolean =>
  accepted === "any" || (isExited(exit) && accepted.includes(exit.code))

/** Whether a stage still had the pipe before it when the one that writes it exited. A redirection of its own comes first. */
const readsOn = (stage: Stage | undefined, exit: StageExit | undefined, order: number): boolean =>
  stage !== undefined && exit !== undefined && exit.order > order &&
  (stage.stdin === undefined || stage.stdin === "pipe")

/**
 * The last stage that failed. One whose reader ended first, and which then died of SIGPIPE, has not: it did what `yes | head`
 * is meant to do.
 *
 * @internal
 */
export const failedStage = (
  stages: ReadonlyArray<Stage>,
  exits: ReadonlyArray<StageExit>,
  isAbandoned: (stage: number) => boolean,
  isOnTerminal = false
): number | undefined => {
  const index = exits.findLastIndex(({ exit, order }, i) => {
    const stage = stages[i]
    if (stage === undefined || isAccepted(stage, exit)) return false
    const readerIsGone = isAbandoned(i) || (stage.feeds !== undefined && !readsOn(stages[i + 1], exits[i + 1], order))
    // A terminal whose reader is gone is hung up.
    const isToldBy = (signal: Signal) => signal === "SIGPIPE" || (signal === "SIGHUP" && isOnTerminal && isAbandoned(i))
    return !(isKilled(exit) && isToldBy(exit.signal) && readerIsGone)
  })
  return index < 0 ? undefined : index
}
