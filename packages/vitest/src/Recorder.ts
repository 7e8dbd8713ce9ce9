/**
 * Tests against what real programs did once: a cassette keeps it, and replays it without them.
 *
 * @example
 * import { it } from "@effect/vitest"
 * import { Recorder } from "@effect-process/vitest"
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 * import { expect } from "vitest"
 *
 * // The first run asks git, and later ones the cassette; in CI a cassette that is missing is an error.
 * it.effect("knows the version", () =>
 *   Effect.gen(function*() {
 *     expect(yield* Command.string(Command.make("git", "--version"))).toMatch(/^git version/)
 *   }).pipe(Effect.provide(Recorder.layer({ cassette: "test/cassettes/version.json" }))))
 *
 * @since 0.1.0
 */
import { NodeProcess } from "@effect-process/node"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { type EngineUnavailable, ProcessSpawner } from "effect-process"
import { engineOf, fromEngine } from "effect-process/ProcessSpawner"
import * as fs from "node:fs"
import * as path from "node:path"
import { redacted } from "./internal/bytes.ts"
import { type Interaction, parse, print } from "./internal/cassette.ts"
import * as recording from "./internal/recording.ts"
import { Replay } from "./internal/replay.ts"
import type { Substitution } from "./internal/substitution.ts"
import { ScriptNotFollowed } from "./ScriptedCall.ts"

/**
 * A cassette cannot be used.
 *
 * - `Missing`: there is none, and nothing is to be recorded
 * - `Invalid`: it holds something else than a cassette of this version
 * - `Unusable`: it cannot be read or written
 * - `NoEngine`: the spawner to record was not made by `ProcessSpawner.fromEngine`
 *
 * @example
 * import { it } from "@effect/vitest"
 * import { Recorder } from "@effect-process/vitest"
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 * import { expect } from "vitest"
 *
 * it.effect("asks for a cassette", () =>
 *   Effect.gen(function*() {
 *     const failure = yield* Command.string(Command.make("ls")).pipe(
 *       Effect.provide(Recorder.layer({ cassette: "nowhere.json", mode: "replay" })),
 *       Effect.flip
 *     )
 *     expect(failure).toMatchObject({ _tag: "CassetteError", reason: "Missing" })
 *   }))
 *
 * @since 0.1.0
 * @category errors
 */
export class CassetteError extends Data.TaggedError("CassetteError")<{
  readonly cassette: string
  readonly reason: "Missing" | "Invalid" | "Unusable" | "NoEngine"
  readonly detail: string
}> {
  override get message(): string {
    return `cassette ${this.cassette}: ${this.reason}: ${this.detail}`
  }
}

/**
 * - `cassette`: path of the file, below the current directory
 * - `mode`: `record` runs the programs and writes the file anew; `replay` runs nothing; `auto`, when nothing is said, replays what is
 *   there and records what is not, except in CI (`CI=true`), where a missing cassette is an error
 * - `env`: names of the variables that are recorded, and that must have the same value in a replay; no other one is written
 * - `paths`: what stands in the cassette for a path that is another one elsewhere, such as `{ "<project>": process.cwd() }`
 * - `secrets`: texts that are not to be written, beside what the commands have as `Redacted`
 * - `timing`: `recorded` has a replay take the time that the programs took, on the clock of the fiber that builds the layer;
 *   `immediate`, when nothing is said, has it take none
 * - `environment`: the owner's in a replay, in place of that of Node
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly cassette: string
  readonly mode?: "record" | "replay" | "auto"
  readonly env?: ReadonlyArray<string>
  readonly paths?: Readonly<Record<string, string>>
  readonly secrets?: ReadonlyArray<string | Redacted.Redacted<string>>
  readonly timing?: "immediate" | "recorded"
  readonly environment?: Readonly<Record<string, string>>
}

/**
 * - `mode`: what the layer does
 * - `unused`: the recordings that were not replayed
 * - `verify`: fails where a recording was not replayed, or a command was not recorded
 *
 * @example
 * import { it } from "@effect/vitest"
 * import { Recorder } from "@effect-process/vitest"
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 *
 * it.effect("uses the whole cassette", () =>
 *   Effect.gen(function*() {
 *     yield* Command.string(Command.make("uname"))
 *     yield* (yield* Recorder.Recorder).verify
 *   }).pipe(Effect.provide(Recorder.layer({ cassette: "test/cassettes/uname.json" }))))
 *
 * @since 0.1.0
 * @category services
 */
export class Recorder extends Context.Tag("@effect-process/vitest/Recorder")<Recorder, {
  readonly mode: "record" | "replay"
  readonly unused: Effect.Effect<ReadonlyArray<string>>
  readonly verify: Effect.Effect<void, ScriptNotFollowed>
}>() {}

const isNothing = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "ENOENT"

const read = (cassette: string): Effect.Effect<string | undefined, CassetteError> =>
  Effect.try({
    try: () => fs.readFileSync(cassette, "utf8"),
    catch: (error) =>
      new CassetteError({ cassette, reason: isNothing(error) ? "Missing" : "Unusable", detail: String(error) })
  }).pipe(Effect.catchIf(({ reason }) => reason === "Missing", () => Effect.succeed(undefined)))

const write = (cassette: string, text: string): Effect.Effect<void, CassetteError> =>
  Effect.try({
    try: () => {
      fs.mkdirSync(path.dirname(cassette), { recursive: true })
      // Never half a cassette, also when two suites write it.
      const written = `${cassette}.${process.pid}.tmp`
      fs.writeFileSync(written, text)
      fs.renameSync(written, cassette)
    },
    catch: (error) => new CassetteError({ cassette, reason: "Unusable", detail: String(error) })
  })

const substitutionsOf = (paths: Readonly<Record<string, string>> = {}): ReadonlyArray<Substitution> =>
  Object.entries(paths).map(([name, path]): Substitution => [path, name])

const secretsOf = (secrets: Options["secrets"] = []): ReadonlyArray<Substitution> =>
  secrets.map((secret) => [typeof secret === "string" ? secret : Redacted.value(secret), redacted])

const isCI = (): boolean => {
  const value = process.env["CI"]
  return value !== undefined && value !== "" && value !== "false" && value !== "0"
}

const service = (mode: "record" | "replay", replay: Replay | undefined): Context.Tag.Service<Recorder> => ({
  mode,
  unused: Effect.sync(() => replay?.unused ?? []),
  verify: Effect.suspend(() => {
    const unused = replay?.unused ?? []
    const unmatched = replay?.unmatched.errors.map(({ command }) => command) ?? []
    return unused.length + unmatched.length === 0 ? Effect.void : new ScriptNotFollowed({ unmatched, unused })
  })
})

type Made = Context.Context<ProcessSpawner | Recorder>

const replaying = (
  options: Options,
  interactions: ReadonlyArray<Interaction>
): Effect.Effect<Made, never, Scope.Scope> =>
  Effect.gen(function*() {
    const replay = new Replay(interactions, {
      name: options.cassette,
      timing: options.timing ?? "immediate",
      environment: options.environment,
      secrets: secretsOf(options.secrets),
      paths: substitutionsOf(options.paths)
    }, yield* Effect.clock)
    yield* replay.unmatched.tell
    return Context.make(ProcessSpawner, fromEngine(replay.engine)).pipe(
      Context.add(Recorder, service("replay", replay))
    )
  })

const recordingOn = (
  { cassette, env = [], paths, secrets }: Options,
  spawner: Context.Tag.Service<ProcessSpawner>
): Effect.Effect<Made, CassetteError, Scope.Scope> =>
  Effect.gen(function*() {
    const engine = engineOf(spawner)
    if (Option.isNone(engine)) {
      const detail = "the spawner has no engine of its own; record one that was made by ProcessSpawner.fromEngine"
      return yield* new CassetteError({ cassette, reason: "NoEngine", detail })
    }
    const substitutions = [...secretsOf(secrets), ...substitutionsOf(paths)]
    const recorded = recording.make(engine.value, { env, substitutions })
    // What a failing test has seen is nothing to compare with.
    yield* Effect.addFinalizer((exit) =>
      Exit.isSuccess(exit)
        ? Effect.orDie(write(cassette, print(recorded.interactions())))
        : Effect.logWarning(`cassette ${cassette}: not written, for what was recorded has failed`)
    )
    return Context.make(ProcessSpawner, fromEngine(recorded.engine)).pipe(
      Context.add(Recorder, service("record", undefined))
    )
  })

/**
 * A spawner that records what `spawner` runs, or replays what was recorded. The spawner is built only to record. What each command
 * printed and read, the signals that it was sent and how it ended is kept, and the policy of the library runs anew in a replay:
 * timeouts and limits may be others. A replay gives a command the first recording of it that was not replayed yet; one that was
 * not recorded, or that is given another stdin, dies with `UnmatchedCommand`.
 *
 * What was given as redacted is not written, whether in arguments, variables or output: `<redacted>` stands there, and in a replay any
 * secret matches. Not recorded: files that a command writes, what goes to descriptors above 2, resource usage, and what goes past
 * us, as with `inherit`.
 *
 * @example
 * import { NodeProcess } from "@effect-process/node"
 * import { Recorder } from "@effect-process/vitest"
 *
 * Recorder.layerWith(NodeProcess.layerChildProcess, {
 *   cassette: "test/cassettes/deploy.json",
 *   mode: "record",
 *   env: ["LANG"],
 *   paths: { "<project>": process.cwd() }
 * })
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWith = <E, R>(
  spawner: Layer.Layer<ProcessSpawner, E, R>,
  options: Options
): Layer.Layer<ProcessSpawner | Recorder, E | CassetteError, R> => {
  const cassette = path.resolve(options.cassette)
  return Layer.scopedContext(Effect.gen(function*() {
    const mode = options.mode ?? "auto"
    const text = mode === "record" ? undefined : yield* read(cassette)
    if (text !== undefined) {
      const interactions = parse(text)
      if (Either.isRight(interactions)) return yield* replaying(options, interactions.right)
      return yield* new CassetteError({ cassette, reason: "Invalid", detail: interactions.left })
    }
    if (mode === "replay" || (mode === "auto" && isCI())) {
      const detail = mode === "replay"
        ? "there is no such file; record it with mode: \"auto\" or \"record\""
        : "there is no such file, and in CI nothing is recorded; record it elsewhere and commit it"
      return yield* new CassetteError({ cassette, reason: "Missing", detail })
    }
    const real = yield* Layer.build(spawner)
    return yield* recordingOn({ ...options, cassette }, Context.get(real, ProcessSpawner))
  }))
}

/**
 * As `layerWith`, recording what `NodeProcess.layer` runs.
 *
 * @example
 * import { Recorder } from "@effect-process/vitest"
 *
 * const cassette = Recorder.layer({ cassette: "test/cassettes/tags.json", paths: { "<project>": process.cwd() } })
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options
): Layer.Layer<ProcessSpawner | Recorder, CassetteError | EngineUnavailable> => layerWith(NodeProcess.layer, options)
