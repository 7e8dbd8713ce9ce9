/** An engine that remembers what the jobs of another one did and what was done to them. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Signal } from "effect-process"
import {
  type Engine,
  type EngineJob,
  type InputPipe,
  type OutputPipe,
  type Redirect,
  SpawnFailure,
  type SpawnRequest,
  type StageExit,
  type StageRequest
} from "effect-process/Engine"
import { isKilled } from "effect-process/ExitStatus"
import { concat, redacted } from "./bytes.ts"
import { contentOf, incomplete, type Interaction, type RecordedEvent, type RecordedStage } from "./cassette.ts"
import { substitute, substituteInChunks, type Substitution } from "./substitution.ts"

/** @internal */
export interface RecordingOptions {
  /** Names of variables that are written. */
  readonly env: ReadonlyArray<string>
  /** Full texts and what stands for them. */
  readonly substitutions: ReadonlyArray<Substitution>
}

/**
 * Milliseconds. Times are multiples of it, and what is printed within it is one piece for each stream: else no two recordings
 * would be alike. Which of two streams came first within it nobody can tell: they are two pipes.
 */
const grain = 100

type Happening =
  | {
    readonly kind: "data"
    readonly at: number
    readonly stage: number
    readonly fd: number
    readonly bytes: Uint8Array
  }
  | {
    readonly kind: "input"
    readonly at: number
    readonly stage: number
    readonly bytes: Uint8Array
    refused: boolean
  }
  | { readonly kind: "inputEnd"; readonly at: number; readonly stage: number }
  | { readonly kind: "sent"; readonly at: number; readonly signal: Signal.Signal }
  | { readonly kind: "closed"; readonly at: number; readonly stage: number; readonly fd: number }

/** What is one event in the cassette, in the pieces in which it came. */
interface Joined {
  readonly one: Happening
  readonly parts: Array<Uint8Array>
}

const fdOf = (one: Happening): number => "fd" in one ? one.fd : 0

const stageOf = (one: Happening): number => "stage" in one ? one.stage : 0

interface End {
  readonly stage: number
  readonly fd: number
}

/** Which descriptor of which stage each pipe is, on the side of the job. */
const endsOf = ({ pipes, stages }: SpawnRequest): ReadonlyArray<End | undefined> =>
  pipes.map((_, pipe) => {
    const isIt = (redirect: Redirect) => redirect.to === "pipe" && redirect.pipe === pipe
    const stage = stages.findIndex(({ redirects }) => redirects.some(isIt))
    const fd = stages[stage]?.redirects.find(isIt)?.fd
    return fd === undefined ? undefined : { stage, fd }
  })

/** One job, from its spawn to the end of its last stage. */
class Recording {
  private readonly request: SpawnRequest
  private readonly table: ReadonlyArray<Substitution>
  private readonly env: ReadonlyArray<string>
  private readonly clock: Clock.Clock
  private readonly ends: ReadonlyArray<End | undefined>
  private readonly happened: Array<Happening> = []
  private readonly startedAt: number
  private exits: ReadonlyArray<StageExit> | undefined
  private exitedAt = 0
  private left: ReadonlyArray<string> = []
  private failure: SpawnFailure | undefined
  /** The engine has sent the first signal itself; the policy sends it again. */
  private isPastDeadline = false

  constructor(request: SpawnRequest, options: RecordingOptions, clock: Clock.Clock) {
    this.request = request
    this.table = [
      ...request.secrets.map((secret): Substitution => [secret, redacted]),
      ...options.substitutions
    ]
    this.env = options.env
    this.clock = clock
    this.ends = endsOf(request)
    this.startedAt = this.now()
  }

  private now(): number {
    return this.clock.unsafeCurrentTimeMillis()
  }

  fail(failure: SpawnFailure): void {
    this.failure = failure
  }

  wrap(job: EngineJob): EngineJob {
    const sent = (signal: Signal.Signal) => {
      if (this.exits === undefined) this.happened.push({ kind: "sent", at: this.now(), signal })
    }
    const terminated = (signal: Signal.Signal) => {
      if (!this.isPastDeadline || signal !== this.request.killSignal) sent(signal)
    }
    return {
      pid: job.pid,
      processGroupId: job.processGroupId,
      input: (pipe) => this.input(job.input(pipe), this.ends[pipe]),
      output: (pipe) => this.output(job.output(pipe), this.ends[pipe]),
      observe: (observer) =>
        job.observe({
          ...observer,
          exited: (exits) => {
            if (Exit.isSuccess(exits)) {
              this.exits = exits.value
              this.exitedAt = this.now()
            }
            observer.exited(exits)
          },
          emptied: (empty) => observer.emptied(empty),
          deadlinePassed: () => {
            sent(this.request.killSignal)
            this.isPastDeadline = true
            observer.deadlinePassed()
          }
        }),
      signal: (signal, to) => Effect.zipRight(Effect.sync(() => sent(signal)), job.signal(signal, to)),
      terminate: (signal, grace) =>
        Effect.zipRight(Effect.sync(() => terminated(signal)), job.terminate(signal, grace)),
      kill: Effect.zipRight(Effect.sync(() => sent("SIGKILL")), job.kill),
      descendants: Effect.tap(job.descendants, (all) =>
        Effect.sync(() => {
          if (this.exits !== undefined && all.length > 0) this.left = all.map(({ commandLine }) => commandLine)
        })),
      survivors: job.survivors,
      usage: job.usage,
      extendDeadline: (by) => job.extendDeadline(by)
    }
  }

  private output(pipe: OutputPipe, end: End | undefined): OutputPipe {
    if (end === undefined) return pipe
    let ended = false
    return {
      poll: () => {
        const bytes = pipe.poll()
        // A copy: the reader may use its buffer again.
        if (bytes instanceof Uint8Array) {
          this.happened.push({ kind: "data", at: this.now(), ...end, bytes: bytes.slice() })
        } else if (bytes === null) {
          ended = true
        }
        return bytes
      },
      listen: (listener) => pipe.listen(listener),
      holdsData: () => pipe.holdsData(),
      cut: () => pipe.cut(),
      close: () => {
        if (!ended && this.exits === undefined) this.happened.push({ kind: "closed", at: this.now(), ...end })
        ended = true
        pipe.close()
      }
    }
  }

  private input(pipe: InputPipe, end: End | undefined): InputPipe {
    // What goes to another descriptor than stdin is most often a secret.
    if (end === undefined || end.fd !== 0) return pipe
    const { stage } = end
    let closed = false
    return {
      write: (bytes) =>
        Effect.suspend(() => {
          const input: Happening = { kind: "input", at: this.now(), stage, bytes: bytes.slice(), refused: false }
          this.happened.push(input)
          return Effect.tap(pipe.write(bytes), (isTaken) =>
            Effect.sync(() => {
              input.refused = !isTaken
            }))
        }),
      close: () => {
        if (!closed && this.exits === undefined) this.happened.push({ kind: "inputEnd", at: this.now(), stage })
        closed = true
        pipe.close()
      }
    }
  }

  private stageOf({ args, env, file, workingDirectory }: StageRequest): RecordedStage {
    const clean = (text: string) => substitute(text, this.table)
    const names = this.env.map((name) => [name, env[name] === undefined ? null : clean(env[name])] as const)
    return {
      file: clean(file),
      args: args.map(clean),
      ...(workingDirectory === undefined ? {} : { directory: clean(workingDirectory) }),
      ...(names.length === 0 ? {} : { env: Object.fromEntries(names) })
    }
  }

  /** Without secrets, also those that are split between two reads; characters made whole; close pieces joined. */
  private cleaned(): ReadonlyArray<Happening> {
    const streams = new Map<string, Array<Extract<Happening, { readonly bytes: Uint8Array }>>>()
    const all = this.happened.filter((one) => !(one.kind === "input" && one.refused))
    for (const one of all) {
      if (one.kind !== "data" && one.kind !== "input") continue
      const key = `${one.kind} ${one.stage} ${one.kind === "data" ? one.fd : 0}`
      const pieces = streams.get(key)
      if (pieces === undefined) streams.set(key, [one])
      else pieces.push(one)
    }
    const bytes = new Map<Happening, Uint8Array>()
    for (const pieces of streams.values()) {
      let carried: Uint8Array = new Uint8Array(0)
      for (const [i, cleaned] of substituteInChunks(pieces.map(({ bytes }) => bytes), this.table).entries()) {
        const piece = pieces[i]
        if (piece === undefined) continue
        const whole = concat([carried, cleaned])
        const open = i === pieces.length - 1 ? 0 : incomplete(whole)
        carried = whole.slice(whole.byteLength - open)
        bytes.set(piece, whole.slice(0, whole.byteLength - open))
      }
    }
    return all.map((one) =>
      one.kind === "data" || one.kind === "input" ? { ...one, bytes: bytes.get(one) ?? one.bytes } : one
    )
  }

  private joined(): ReadonlyArray<Happening> {
    const joined: Array<Joined> = []
    let burst: Array<Joined> = []
    const flush = () => {
      joined.push(...burst.sort((a, b) => fdOf(a.one) - fdOf(b.one)))
      burst = []
    }
    for (const one of this.cleaned()) {
      if ("bytes" in one && one.bytes.byteLength === 0) continue
      const parts = "bytes" in one ? [one.bytes] : []
      if (one.kind === "data") {
        const first = burst[0]?.one
        if (first !== undefined && (stageOf(first) !== one.stage || one.at - first.at >= grain)) flush()
        const same = burst.find((group) => fdOf(group.one) === one.fd)
        if (same === undefined) burst.push({ one, parts })
        else same.parts.push(one.bytes)
        continue
      }
      flush()
      const last = joined.at(-1)
      if (one.kind === "input" && last?.one.kind === "input" && last.one.stage === one.stage) last.parts.push(one.bytes)
      else joined.push({ one, parts })
    }
    flush()
    return joined.map(({ one, parts }) => "bytes" in one ? { ...one, bytes: concat(parts) } : one)
  }

  private events(exits: ReadonlyArray<StageExit>): ReadonlyArray<RecordedEvent> {
    const isPipeline = this.request.stages.length > 1
    const events: Array<RecordedEvent> = []
    let last = this.startedAt
    const add = (at: number, stage: number | undefined, event: RecordedEvent) => {
      const after = Math.round(Math.max(0, at - last) / grain) * grain
      if (after > 0) last = at
      events.push({
        ...(after > 0 ? { after } : {}),
        ...(isPipeline && stage !== undefined ? { stage } : {}),
        ...event
      })
    }
    // What was read after the exit was written before it.
    for (const one of this.joined()) {
      const at = Math.min(one.at, this.exitedAt)
      switch (one.kind) {
        case "data": {
          const data = contentOf(one.bytes)
          add(
            at,
            one.stage,
            one.fd === 1
              ? { stdout: data }
              : one.fd === 2
              ? { stderr: data }
              : { descriptor: one.fd, data }
          )
          break
        }
        case "input":
          add(at, one.stage, { stdin: contentOf(one.bytes) })
          break
        case "inputEnd":
          add(at, one.stage, { stdinEnd: true })
          break
        case "sent":
          add(at, undefined, { sent: one.signal })
          break
        case "closed":
          add(at, one.stage, { closed: one.fd })
      }
    }
    if (this.left.length > 0) {
      add(this.exitedAt, undefined, { left: this.left.map((line) => substitute(line, this.table)) })
    }
    const inOrder = exits.map((exit, stage) => ({ ...exit, stage }))
    // Of two that nobody could tell apart, the reader goes first: its writer may have died of that.
    inOrder.sort((a, b) => a.order - b.order || b.stage - a.stage)
    for (const { exit, stage } of inOrder) {
      add(
        this.exitedAt,
        stage,
        isKilled(exit)
          ? { killedBy: exit.signal, ...(exit.coreDumped ? { coreDumped: true } : {}) }
          : { exit: exit.code }
      )
    }
    return events
  }

  /** Nothing of a job that has not ended. */
  get interaction(): Interaction | undefined {
    const [first, ...rest] = this.request.stages
    const stages = [this.stageOf(first), ...rest.map((stage) => this.stageOf(stage))] as const
    if (this.failure !== undefined) {
      const { detail, errno, index, path, reason, stage } = this.failure
      const spawnError = {
        reason,
        stage,
        ...(errno === undefined ? {} : { errno }),
        ...(path === undefined ? {} : { path: substitute(path, this.table) }),
        detail: substitute(detail, this.table),
        ...(index === undefined ? {} : { index })
      }
      return { stages: [...stages], spawnError, events: [] }
    }
    return this.exits === undefined ? undefined : { stages: [...stages], events: this.events(this.exits) }
  }
}

/** @internal */
export interface Recorded {
  readonly engine: Engine
  /** What has ended so far, in the order of the spawns. */
  readonly interactions: () => ReadonlyArray<Interaction>
}

/** @internal */
export const make = (engine: Engine, options: RecordingOptions): Recorded => {
  const recordings: Array<Recording> = []
  return {
    engine: {
      guarantees: engine.guarantees,
      clock: engine.clock,
      environment: engine.environment,
      connect: (port, host) => engine.connect(port, host),
      spawn: (request) =>
        Effect.suspend(() => {
          const recording = new Recording(request, options, engine.clock)
          recordings.push(recording)
          return engine.spawn(request).pipe(
            Effect.tapError((failure) => Effect.sync(() => failure instanceof SpawnFailure && recording.fail(failure))),
            Effect.map((job) => recording.wrap(job))
          )
        })
    },
    interactions: () => recordings.map(({ interaction }) => interaction).filter((one) => one !== undefined)
  }
}
