/** An engine that starts nothing: whatever it is asked for has exited with code 0 and printed nothing. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import {
  type Engine,
  type EngineJob,
  type InputPipe,
  type OutputPipe,
  SignalFailure,
  type SpawnRequest
} from "../Engine.ts"
import { exited } from "../ExitStatus.ts"
import { noUsage } from "../ProcessInfo.ts"
import type { Plan } from "./plan.ts"

/** No process has it, so a program that signals it by itself hits nobody: pids of Linux end at 2 ** 22. */
const nobody = 2 ** 31 - 1

const output: OutputPipe = {
  poll: () => null,
  listen: (listener) => listener?.(),
  holdsData: () => false,
  cut: () => undefined,
  close: () => undefined
}

/** As one whose reader has gone. */
const input: InputPipe = { write: () => Effect.succeed(false), close: () => undefined }

const job = ({ stages }: SpawnRequest): EngineJob => ({
  pid: nobody,
  processGroupId: nobody,
  input: () => input,
  output: () => output,
  observe: (observer) => {
    observer.exited(Exit.succeed(stages.map((_, order) => ({ pid: nobody, exit: exited(0), usage: noUsage, order }))))
    observer.emptied(Exit.void)
  },
  signal: () => Effect.fail(new SignalFailure({ reason: "Gone" })),
  terminate: () => Effect.void,
  kill: Effect.void,
  descendants: Effect.succeed([]),
  survivors: Effect.succeed([]),
  usage: Effect.succeed(noUsage),
  extendDeadline: () => Effect.void
})

/** @internal */
export const dryRun: Engine = {
  guarantees: {
    engine: "dry-run",
    reach: "descendants",
    ownerDeath: "none",
    deadline: "event-loop",
    statuses: "exact",
    usage: "exact",
    backstop: "none"
  },
  clock: Clock.make(),
  environment: Effect.succeed({}),
  spawn: (request) => Effect.sync(() => job(request)),
  // What a command that was not run would listen on counts as there.
  connect: () => Effect.succeed(true)
}

/**
 * A plan of which only the checks are wanted: no Stream of the user's is run, and no Sink.
 *
 * @internal
 */
export const withoutStreams = (plan: Plan): Plan => ({ ...plan, feeds: [], drains: [] })
