/** The engine that follows a script, and what it remembers. */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ExitStatus, ProcessSpawner } from "effect-process"
import type { Engine, EngineJob, SpawnFailure, SpawnRequest } from "effect-process/Engine"
import { fromEngine } from "effect-process/ProcessSpawner"
import {
  type Answer,
  type Child,
  InvalidAnswer,
  type Invocation,
  type Program,
  type Refused
} from "../ScriptedAnswer.ts"
import { type Call, ScriptedSpawner, ScriptNotFollowed, UnmatchedCommand } from "../ScriptedCall.ts"
import type { Reader, Rule } from "../ScriptedRule.ts"
import type { Options } from "../ScriptedSpawner.ts"
import { checked, isRefused, play, refusal, trapAll } from "./answer.ts"
import { concat, hide, textOf } from "./bytes.ts"
import { matches, showCommand, showRule } from "./rule.ts"
import { Unmatched } from "./unmatched.ts"
import * as virtualEngine from "./virtualEngine.ts"
import { VirtualFiles } from "./virtualFiles.ts"
import { VirtualJob } from "./virtualJob.ts"
import type { VirtualStage } from "./virtualStage.ts"

/** What the commands of a rule do. @internal */
export type Behaviour =
  | { readonly _tag: "Fixed"; readonly answer: Answer }
  | { readonly _tag: "Computed"; readonly reader: Reader }
  | { readonly _tag: "Played"; readonly program: Program }

interface Made {
  readonly invocation: Invocation
  readonly secrets: ReadonlyArray<string>
  /** The owner's environment at the spawn. */
  readonly owner: Readonly<Record<string, string>>
  readonly job: number
  readonly rule: number
  readonly at: number
  stage: VirtualStage | undefined
}

/** A rule with what has become of it. */
interface Entry {
  readonly rule: Rule
  readonly number: number
  used: number
}

const computed = (
  reader: Reader,
  stage: VirtualStage,
  invocation: Invocation
): Effect.Effect<Exclude<Answer, Refused>> => {
  const { stream } = stage.source(0)
  if (typeof reader !== "function") {
    return Effect.tap(Stream.run(stream, reader), () => Effect.sync(() => stage.source(0).abandon()))
  }
  return Effect.flatMap(Stream.runCollect(stream), (chunks) => {
    const stdin = concat([...chunks])
    const answer = reader({ ...invocation, stdin, stdinText: textOf(stdin) })
    return Effect.isEffect(answer) ? answer : Effect.succeed(answer)
  })
}

const childOf = (job: VirtualJob, stage: VirtualStage, invocation: Invocation): Child => ({
  ...invocation,
  pid: stage.pid,
  input: stage.source(0).stream,
  stdout: (data) => stage.print(1, data),
  stderr: (data) => stage.print(2, data),
  write: (descriptor, data) => stage.print(descriptor, data),
  trap: (signal, handler) => Effect.sync(() => stage.trap(signal, handler)),
  leave: (...commandLines) => Effect.sync(() => job.leave(stage, commandLines))
})

const programOf = (
  job: VirtualJob,
  stage: VirtualStage,
  invocation: Invocation,
  behaviour: Behaviour
): Effect.Effect<ExitStatus.ExitStatus> => {
  switch (behaviour._tag) {
    case "Fixed": {
      const { answer } = behaviour
      // One that refuses has failed the spawn.
      if (isRefused(answer)) return Effect.never
      trapAll(stage, answer)
      return play(job, stage, answer)
    }
    case "Computed":
      return Effect.flatMap(Effect.suspend(() => computed(behaviour.reader, stage, invocation)), (answer) => {
        checked(answer)
        if (isRefused(answer)) {
          throw new InvalidAnswer({
            detail: "spawnError, of a program that has read its stdin; use ScriptedSpawner.answers"
          })
        }
        trapAll(stage, answer)
        return play(job, stage, answer)
      })
    case "Played":
      return Effect.map(
        Effect.suspend(() => behaviour.program(childOf(job, stage, invocation))),
        (status) => {
          if (typeof status !== "number") return status
          checked({ exit: status })
          return ExitStatus.exited(status)
        }
      )
  }
}

const remedy =
  "Add a rule with ScriptedSpawner.on, or mend the command. ScriptedSpawner.rest takes any further arguments."

/** Follows the script of one layer. */
class Script {
  readonly made: Array<Made> = []
  readonly unmatched = new Unmatched("no rule matches the command", "rule", remedy)
  readonly files: VirtualFiles
  readonly engine: Engine
  private readonly entries: ReadonlyArray<Entry>
  private readonly clock: Clock.Clock
  private pid = 1000
  private job = 0

  constructor(script: ReadonlyArray<Rule>, options: Options, clock: Clock.Clock) {
    this.entries = script.map((rule, i) => ({ rule, number: i + 1, used: 0 }))
    this.files = new VirtualFiles(options.files ?? {})
    this.clock = clock
    this.engine = virtualEngine.make({
      name: "scripted",
      clock,
      environment: options.environment,
      connect: options.connect,
      spawn: (request) => Effect.flatMap(this.engine.environment, (owner) => this.spawn(request, owner))
    })
  }

  private find(invocation: Invocation, secrets: ReadonlyArray<string>): Entry | UnmatchedCommand {
    const entry = this.entries.find(({ rule, used }) => used < rule.times && matches(rule, invocation))
    if (entry !== undefined) {
      entry.used++
      return entry
    }
    const candidates = this.entries.map(({ number, rule, used }) => ({
      pattern: rule,
      name: `rule ${number} of ${this.entries.length}`,
      used,
      times: rule.times
    }))
    return this.unmatched.add(invocation, candidates, secrets)
  }

  private spawn(
    request: SpawnRequest,
    owner: Readonly<Record<string, string>>
  ): Effect.Effect<EngineJob, SpawnFailure> {
    const { secrets } = request
    const made: Array<Made> = []
    const behaviours: Array<Behaviour> = []
    let failure: SpawnFailure | undefined
    const job = this.job++
    for (const invocation of virtualEngine.invocationsOf(request)) {
      const entry = this.find(invocation, secrets)
      if (entry instanceof UnmatchedCommand) return Effect.die(entry)
      const { behaviour } = entry.rule
      const at = this.clock.unsafeCurrentTimeMillis()
      made.push({ invocation, secrets, owner, job, rule: entry.number, at, stage: undefined })
      behaviours.push(behaviour)
      failure ??= this.missingFile(request, invocation.stage)
      if (behaviour._tag === "Fixed" && isRefused(behaviour.answer)) failure ??= refusal(behaviour.answer, invocation)
    }
    this.made.push(...made)
    return failure === undefined ? this.start(request, made, behaviours) : failure
  }

  private missingFile({ stages }: SpawnRequest, stage: number): SpawnFailure | undefined {
    for (const redirect of stages[stage]?.redirects ?? []) {
      const missing = redirect.to === "file" ? this.files.refusal(redirect, stage) : undefined
      if (missing !== undefined) return missing
    }
    return undefined
  }

  private start(
    request: SpawnRequest,
    made: ReadonlyArray<Made>,
    behaviours: ReadonlyArray<Behaviour>
  ): Effect.Effect<EngineJob> {
    const job = new VirtualJob(this.pid, request, this.clock, this.files)
    // Room for what a program leaves behind.
    this.pid += 100
    const programs = job.stages.flatMap((stage, i) => {
      const [call, behaviour] = [made[i], behaviours[i]]
      if (call === undefined || behaviour === undefined) return []
      call.stage = stage
      return [programOf(job, stage, call.invocation, behaviour)]
    })
    return Effect.as(job.run(programs), job)
  }

  get unused(): ReadonlyArray<string> {
    return this.entries
      .filter(({ rule, used }) => used < (rule.times === Infinity ? 1 : rule.times))
      .map(({ number, rule, used }) => {
        const often = rule.times === Infinity ? "" : ` (${used} of ${rule.times} times)`
        return `rule ${number}: ${showRule(rule)}${often}`
      })
  }

  get calls(): ReadonlyArray<Call> {
    return this.made.map(callOf)
  }
}

const changes = (
  env: Readonly<Record<string, string>>,
  owner: Readonly<Record<string, string>>,
  show: (value: string) => string
): Readonly<Record<string, string | undefined>> => {
  const changed: Record<string, string | undefined> = {}
  for (const [name, value] of Object.entries(env)) if (owner[name] !== value) changed[name] = show(value)
  for (const name of Object.keys(owner)) if (env[name] === undefined) changed[name] = undefined
  return changed
}

const callOf = ({ at, invocation, job, owner, rule, secrets, stage }: Made): Call => {
  const { args, env, file, workingDirectory } = invocation
  const show = (text: string) => hide(text, secrets)
  const printed = (fd: number) => show(textOf(concat(stage?.written.get(fd) ?? [])))
  const received = stage?.received ?? new Map<number, Uint8Array>()
  const stdin = textOf(received.get(0) ?? new Uint8Array(0))
  return {
    command: showCommand(invocation, secrets),
    file: show(file),
    args: args.map(show),
    env: changes(env, owner, show),
    workingDirectory: workingDirectory === undefined ? undefined : show(workingDirectory),
    job,
    stage: invocation.stage,
    rule,
    pid: stage?.pid,
    startedAt: at,
    endedAt: stage?.endedAt,
    stdin: show(stdin),
    stdout: printed(1),
    stderr: printed(2),
    signals: [...(stage?.signals ?? [])],
    exit: stage?.status,
    reveal: () => ({ file, args, env, stdin, inputs: received })
  }
}

/** @internal */
export const make = (
  rules: ReadonlyArray<Rule>,
  options: Options
): Effect.Effect<Context.Context<ProcessSpawner | ScriptedSpawner>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const script = new Script(rules, options, yield* Effect.clock)
    yield* script.unmatched.tell
    return Context.make(ProcessSpawner, fromEngine(script.engine)).pipe(
      Context.add(ScriptedSpawner, {
        calls: Effect.sync(() => script.calls),
        unused: Effect.sync(() => script.unused),
        verify: Effect.suspend(() => {
          const unmatched = script.unmatched.errors.map(({ command }) => command)
          const { unused } = script
          return unmatched.length + unused.length === 0
            ? Effect.void
            : new ScriptNotFollowed({ unmatched, unused })
        }),
        files: Effect.sync(() => script.files.snapshot)
      })
    )
  })
