/** The engine that plays a cassette. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { ExitStatus, type Signal } from "effect-process"
import { type Engine, type EngineJob, SpawnFailure, type SpawnRequest } from "effect-process/Engine"
import type { Invocation } from "../ScriptedAnswer.ts"
import { UnmatchedCommand } from "../ScriptedCall.ts"
import type { Condition } from "../ScriptedRule.ts"
import { concat, redacted, textOf } from "./bytes.ts"
import {
  bytesOfContent,
  type Interaction,
  type RecordedEvent,
  type RecordedSpawnError,
  type RecordedStage
} from "./cassette.ts"
import { Changes } from "./changes.ts"
import { type CommandPattern, hidden, matches, matchesVariable, showCommand, showRule } from "./rule.ts"
import { substitute, substituteInBytes, type Substitution } from "./substitution.ts"
import { Unmatched } from "./unmatched.ts"
import * as virtualEngine from "./virtualEngine.ts"
import { VirtualJob } from "./virtualJob.ts"

/** @internal */
export interface ReplayOptions {
  readonly name: string
  readonly timing: "immediate" | "recorded"
  readonly environment: Readonly<Record<string, string>> | undefined
  /** Texts that a cassette has nothing of, beside what commands have as redacted. */
  readonly secrets: ReadonlyArray<Substitution>
  /** Paths and what stands for them. */
  readonly paths: ReadonlyArray<Substitution>
}

const patternOf = ({ args, directory, env, file }: RecordedStage): CommandPattern => {
  const conditions: Array<Condition> = Object.entries(env ?? {}).map(([name, value]) => {
    const pattern = value === null ? undefined : hidden(value)
    return {
      description: value === null ? `without ${name}` : `with ${name}=${value}`,
      holds: ({ env }) => matchesVariable(pattern, env[name]),
      explain: ({ env }) => env[name] === undefined ? `${name} is not set` : `${name} is ${JSON.stringify(env[name])}`
    }
  })
  conditions.push({
    description: directory === undefined ? "in the owner's directory" : `in directory ${directory}`,
    holds: ({ workingDirectory }) =>
      matchesVariable(directory === undefined ? undefined : hidden(directory), workingDirectory),
    explain: ({ workingDirectory }) =>
      workingDirectory === undefined ? "it has none of its own" : `it is ${workingDirectory}`
  })
  return { words: [hidden(file), ...args.map(hidden)], takesRest: false, conditions }
}

/** One spawn of the cassette, and whether it has been played. */
interface Track {
  readonly interaction: Interaction
  readonly patterns: ReadonlyArray<CommandPattern>
  readonly number: number
  used: boolean
}

const isSent = (event: RecordedEvent): event is Extract<RecordedEvent, { readonly sent: Signal.Signal }> =>
  "sent" in event

const swapped = (table: ReadonlyArray<Substitution>): ReadonlyArray<Substitution> =>
  table.map(([from, to]): Substitution => [to, from])

/** Plays the events of one job: what the programs did comes, what was done to them is waited for. */
class Player {
  private readonly job: VirtualJob
  private readonly events: ReadonlyArray<RecordedEvent>
  private readonly options: ReplayOptions
  private readonly placeholders: ReadonlyArray<Substitution>
  private readonly changes = new Changes()
  private readonly sent: Array<Signal.Signal> = []
  /** Signals of the events that are still to come. */
  private readonly expected: Array<Signal.Signal>
  /** What each stage is to have read so far. */
  private readonly inputs = new Map<number, Uint8Array>()
  private readonly mismatch: (stage: number, expected: string, received: string) => unknown

  constructor(
    job: VirtualJob,
    events: ReadonlyArray<RecordedEvent>,
    options: ReplayOptions,
    mismatch: (stage: number, expected: string, received: string) => unknown
  ) {
    this.job = job
    this.events = events
    this.options = options
    this.mismatch = mismatch
    this.placeholders = swapped(options.paths)
    this.expected = events.filter(isSent).map(({ sent }) => sent)
    job.intercept = (signal) => {
      const at = this.expected.indexOf(signal)
      if (at < 0) return false
      this.expected.splice(at, 1)
      this.sent.push(signal)
      this.changes.notify()
      return true
    }
  }

  readonly play: Effect.Effect<void> = Effect.suspend(() =>
    Effect.zipRight(this.drain, Effect.forEach(this.events, (event) => this.playOne(event), { discard: true }))
  )

  /** A pipe that is full would keep its writer from coming to its end. */
  private get drain(): Effect.Effect<void> {
    return Effect.forEach(
      this.job.stages,
      (stage) => Effect.forEach(stage.inputs, (input) => stage.fork(Stream.runDrain(input.stream)), { discard: true }),
      { discard: true }
    )
  }

  private bytes(content: Parameters<typeof bytesOfContent>[0]): Uint8Array {
    return substituteInBytes(bytesOfContent(content), this.placeholders)
  }

  private playOne(event: RecordedEvent): Effect.Effect<void> {
    const index = event.stage ?? 0
    const stage = this.job.stages[index]
    if (stage === undefined) {
      return Effect.die(new Error(`the cassette has an event of stage ${index}, which is not there`))
    }
    const print = (fd: number, content: Parameters<typeof bytesOfContent>[0]) =>
      this.late(event, stage.write(fd, this.bytes(content)))
    if ("stdout" in event) return print(1, event.stdout)
    if ("stderr" in event) return print(2, event.stderr)
    if ("descriptor" in event) return print(event.descriptor, event.data)
    if ("stdin" in event) return this.awaitInput(index, bytesOfContent(event.stdin))
    if ("stdinEnd" in event) return this.awaitEnd(index)
    if ("sent" in event) return this.awaitSignal(event.sent)
    if ("closed" in event) return this.awaitClose(index, event.closed)
    if ("left" in event) {
      return Effect.sync(() => this.job.leave(stage, event.left.map((line) => substitute(line, this.placeholders))))
    }
    const status = "exit" in event
      ? ExitStatus.exited(event.exit)
      : ExitStatus.killed(event.killedBy, { coreDumped: event.coreDumped ?? false })
    return this.late(event, Effect.sync(() => stage.end(status)))
  }

  private late(event: RecordedEvent, effect: Effect.Effect<unknown>): Effect.Effect<void> {
    const { after } = event
    return Effect.asVoid(
      this.options.timing === "recorded" && after !== undefined
        ? Effect.zipRight(Effect.sleep(after), effect)
        : effect
    )
  }

  private awaitSignal(signal: Signal.Signal): Effect.Effect<void> {
    return Effect.asVoid(this.changes.until(() => {
      const at = this.sent.indexOf(signal)
      if (at < 0) return undefined
      this.sent.splice(at, 1)
      return true
    }))
  }

  private awaitClose(stage: number, fd: number): Effect.Effect<void> {
    const { redirects } = this.job.request.stages[stage] ?? { redirects: [] }
    const redirect = redirects.find((redirect) => redirect.fd === fd)
    const pipe = redirect?.to === "pipe" ? this.job.pipes[redirect.pipe] : undefined
    return pipe === undefined ? Effect.void : Effect.asVoid(pipe.until(() => pipe.isAbandoned ? true : undefined))
  }

  /** What was read so far, as a cassette has it. */
  private received(stage: number): Uint8Array {
    const { secrets } = this.job.request
    const table: ReadonlyArray<Substitution> = [
      ...secrets.map((secret): Substitution => [secret, redacted]),
      ...this.options.secrets,
      ...this.options.paths
    ]
    return substituteInBytes(concat(this.job.stages[stage]?.source(0).written ?? []), table)
  }

  private check(stage: number, isWhole: boolean): Effect.Effect<void> {
    return Effect.suspend(() => {
      const expected = this.inputs.get(stage) ?? new Uint8Array(0)
      const received = this.received(stage)
      const isSame = Buffer.from(isWhole ? received : received.subarray(0, expected.byteLength)).equals(expected)
      return isSame ? Effect.void : Effect.die(this.mismatch(stage, textOf(expected), textOf(received)))
    })
  }

  private awaitInput(stage: number, bytes: Uint8Array): Effect.Effect<void> {
    return Effect.suspend(() => {
      const expected = concat([this.inputs.get(stage) ?? new Uint8Array(0), bytes])
      this.inputs.set(stage, expected)
      const source = this.job.stages[stage]?.source(0)
      if (source === undefined) return Effect.void
      const there = () => source.isEnded || this.received(stage).byteLength >= expected.byteLength ? true : undefined
      return Effect.zipRight(source.until(there), this.check(stage, false))
    })
  }

  private awaitEnd(stage: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      const source = this.job.stages[stage]?.source(0)
      if (source === undefined) return Effect.void
      return Effect.zipRight(source.until(() => source.isEnded ? true : undefined), this.check(stage, true))
    })
  }
}

const failureOf = (
  { detail, errno, index, path, reason, stage }: RecordedSpawnError,
  owner: (text: string) => string
) =>
  new SpawnFailure({
    reason,
    stage,
    errno,
    path: path === undefined ? undefined : owner(path),
    detail: owner(detail),
    ...(index === undefined ? {} : { index })
  })

const quoted = (text: string): string => JSON.stringify(text.length > 500 ? `${text.slice(0, 500)}...` : text)

/** Follows one cassette. @internal */
export class Replay {
  readonly engine: Engine
  readonly unmatched: Unmatched
  private readonly tracks: ReadonlyArray<Track>
  private readonly options: ReplayOptions
  private readonly clock: Clock.Clock
  private pid = 1000

  constructor(interactions: ReadonlyArray<Interaction>, options: ReplayOptions, clock: Clock.Clock) {
    this.tracks = interactions.map((interaction, i) => ({
      interaction,
      patterns: interaction.stages.map(patternOf),
      number: i + 1,
      used: false
    }))
    this.options = options
    this.clock = clock
    this.unmatched = new Unmatched(
      `the cassette ${options.name} has no recording of the command`,
      "recording",
      "Record the cassette anew with mode: \"record\", or mend the command."
    )
    this.engine = virtualEngine.make({
      name: "replay",
      clock,
      environment: options.environment,
      connect: undefined,
      spawn: (request) => Effect.suspend(() => this.spawn(request))
    })
  }

  /** As a cassette has it: with placeholders in place of paths. */
  private folded(invocation: Invocation): Invocation {
    const fold = (text: string) => substitute(text, this.options.paths)
    const { args, env, file, workingDirectory } = invocation
    return {
      ...invocation,
      file: fold(file),
      args: args.map(fold),
      env: Object.fromEntries(Object.entries(env).map(([name, value]) => [name, fold(value)])),
      workingDirectory: workingDirectory === undefined ? undefined : fold(workingDirectory)
    }
  }

  private spawn(request: SpawnRequest): Effect.Effect<EngineJob, SpawnFailure> {
    const invocations = virtualEngine.invocationsOf(request).map((invocation) => this.folded(invocation))
    const track = this.tracks.find(({ patterns, used }) =>
      !used && patterns.length === invocations.length &&
      invocations.every((invocation, i) => patterns[i] !== undefined && matches(patterns[i], invocation))
    )
    if (track === undefined) return Effect.die(this.explain(invocations, request.secrets))
    track.used = true
    const { events, spawnError } = track.interaction
    if (spawnError !== undefined) return failureOf(spawnError, (text) => substitute(text, swapped(this.options.paths)))
    const job = new VirtualJob(this.pid, request, this.clock, undefined)
    this.pid += 100
    const player = new Player(
      job,
      events,
      this.options,
      (stage, expected, received) => this.otherInput(track, invocations[stage], request.secrets, expected, received)
    )
    return Effect.as(job.conduct(player.play), job)
  }

  /** Of a pipeline, the first stage that no recording has at this place. */
  private explain(invocations: ReadonlyArray<Invocation>, secrets: ReadonlyArray<string>): UnmatchedCommand {
    const candidatesAt = (stage: number) =>
      this.tracks.flatMap(({ number, patterns, used }) => {
        const pattern = patterns[stage]
        if (pattern === undefined) return []
        const name = `recording ${number} of ${this.tracks.length}`
        return [{ pattern, name, used: used ? 1 : 0, times: 1 }]
      })
    const isKnown = (invocation: Invocation) =>
      candidatesAt(invocation.stage).some(({ pattern, used }) => used === 0 && matches(pattern, invocation))
    const invocation = invocations.find((invocation) => !isKnown(invocation)) ?? invocations[0]
    if (invocation === undefined) throw new Error("a request without stages")
    return this.unmatched.add(invocation, candidatesAt(invocation.stage), secrets)
  }

  private otherInput(
    { number, patterns }: Track,
    invocation: Invocation | undefined,
    secrets: ReadonlyArray<string>,
    expected: string,
    received: string
  ): UnmatchedCommand {
    const pattern = patterns[invocation?.stage ?? 0]
    const error = new UnmatchedCommand({
      problem: `the cassette ${this.options.name} has another stdin for the command`,
      command: invocation === undefined ? "" : showCommand(invocation, secrets),
      nearest: pattern === undefined ? undefined : showRule(pattern),
      explanation: `recording ${number} of ${this.tracks.length} was given\n\n  ${
        quoted(expected)
      }\n\nand this was given\n\n  ${
        quoted(received)
      }\n\nRecord the cassette anew with mode: "record", or mend what is written.`
    })
    this.unmatched.errors.push(error)
    return error
  }

  get unused(): ReadonlyArray<string> {
    return this.tracks.filter(({ used }) => !used).map(({ number, patterns }) =>
      `recording ${number}: ${patterns.map(showRule).join(" | ")}`
    )
  }
}
