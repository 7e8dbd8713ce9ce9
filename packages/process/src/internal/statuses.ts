/** Which stage of a job decides how the job ended. */
import type { StageExit } from "../Engine.ts"
import { type ExitStatus, isExited, isKilled } from "../ExitStatus.ts"
import type { Stage } from "./spec.ts"

/** @internal */
export const isAccepted = ({ accepted }: Stage, exit: ExitStatus): boolean =>
  accepted === "any" || (isExited(exit) && accepted.includes(exit.code))

/**
 * The last stage that failed. One whose reader ended first, and which then died of SIGPIPE, has not: it did what `yes | head`
 * is meant to do.
 *
 * @internal
 */
export const failedStage = (
  stages: ReadonlyArray<Stage>,
  exits: ReadonlyArray<StageExit>,
  isAbandoned: (stage: number) => boolean
): number | undefined => {
  const index = exits.findLastIndex(({ exit, order }, i) => {
    const stage = stages[i]
    if (stage === undefined || isAccepted(stage, exit)) return false
    const reader = stage.feeds === undefined ? undefined : exits[i + 1]
    const readerIsGone = isAbandoned(i) || (reader !== undefined && reader.order <= order)
    return !(isKilled(exit) && exit.signal === "SIGPIPE" && readerIsGone)
  })
  return index < 0 ? undefined : index
}
