/** What engines without processes have in common. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Engine, SpawnRequest } from "effect-process/Engine"
import type { Invocation } from "../ScriptedAnswer.ts"

/** @internal */
export const make = (options: {
  readonly name: string
  readonly clock: Clock.Clock
  readonly environment: Readonly<Record<string, string>> | undefined
  readonly connect: ((port: number, host: string) => boolean) | undefined
  readonly spawn: Engine["spawn"]
}): Engine => ({
  guarantees: {
    engine: options.name,
    reach: "descendants",
    ownerDeath: "none",
    deadline: "event-loop",
    statuses: "exact",
    usage: "sampled",
    backstop: "none"
  },
  clock: options.clock,
  environment: Effect.sync(() => options.environment ?? ownEnvironment()),
  connect: (port, host) => Effect.sync(() => options.connect?.(port, host) ?? false),
  spawn: options.spawn
})

const ownEnvironment = (): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined)
  )

/** The commands of a request as rules see them. @internal */
export const invocationsOf = ({ stages }: SpawnRequest): ReadonlyArray<Invocation> =>
  stages.map(({ args, env, file, workingDirectory }, stage) => ({
    file,
    args,
    env,
    workingDirectory,
    stage,
    stages: stages.length
  }))
