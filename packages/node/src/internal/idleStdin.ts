/**
 * A stdin that has nothing to say and does not end before its owner does: what the original executor gives a command that is
 * only run. Watchers exit when their stdin ends, so an empty one will not do.
 *
 * One pipe serves all commands of an executor, none of which can write it. They open it through /proc: a socket of ours for
 * each of them would cost as much as the spawn.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Command, Stdio } from "effect-process"
import * as fs from "node:fs"
import * as kernelPipes from "./kernelPipes.ts"

export type IdleStdin = Command.Stdin

/** Costs a pipe for each command. */
export const costly: IdleStdin = Stream.never

/** Closed with the scope. */
export const make: Effect.Effect<IdleStdin, never, Scope.Scope> = process.platform === "linux"
  ? Effect.acquireRelease(
    Effect.map(kernelPipes.make([0]), (pipes) => {
      const pipe = pipes.get(0)!
      // With a writer there, nobody's open waits.
      fs.closeSync(pipe.read)
      return pipe.write
    }),
    (write) => Effect.sync(() => fs.closeSync(write))
  ).pipe(
    Effect.map((write) => Stdio.file(`/proc/${process.pid}/fd/${write}`)),
    Effect.orElseSucceed(() => costly)
  )
  : Effect.succeed(costly)
