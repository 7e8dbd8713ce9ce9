/** A command of `@effect/platform` as one of ours that does what the original executor does with it. */
import * as Platform from "@effect/platform/Command"
import type { PlatformError } from "@effect/platform/Error"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import { Command, type SpawnError } from "effect-process"
import * as os from "node:os"
import { programOf } from "./platformError.ts"

/** `@effect/platform` runs these again and again, and what they return is the output. */
export type Transducer = Sink.Sink<Uint8Array, Uint8Array>

export interface Prepared {
  readonly stages: readonly [Platform.StandardCommand, ...ReadonlyArray<Platform.StandardCommand>]
  /** Its status is never a failure, and its outputs are not bounded: what `@effect/platform` promises. */
  readonly command: Command.Command<PlatformError>
  /** What the last stage's outputs go through. */
  readonly stdout: Transducer | undefined
  readonly stderr: Transducer | undefined
  /** What stands before the program of a stage, by its index. */
  readonly interpreters: Interpreters
}

type Interpreters = ReadonlyMap<number, ReadonlyArray<string>>

const transducer = (output: Platform.Command.Output): Transducer | undefined =>
  typeof output === "string" ? undefined : output

/** The owner's, where only one of them is given. */
const userOf = ({ gid, uid }: Platform.StandardCommand) => {
  if (Option.isNone(uid) && Option.isNone(gid)) return undefined
  const own = os.userInfo()
  return { uid: Option.getOrElse(uid, () => own.uid), gid: Option.getOrElse(gid, () => own.gid) }
}

/** Node makes strings of what is given untyped. */
const text = (value: unknown): string => String(value)

const stageOf = (
  stage: Platform.StandardCommand,
  at: { readonly first: boolean; readonly last: boolean },
  interpreter: ReadonlyArray<string>
): Command.Command<PlatformError> => {
  const [file, args] = programOf(stage)
  const words = interpreter.length === 0 ? [file, ...args] : [...interpreter, ...args]
  const env = Object.fromEntries(HashMap.toEntries(stage.env).map(([name, value]) => [name, text(value)]))
  let self: Command.Command<PlatformError> = Command.make(text(words[0]), ...words.slice(1).map(text)).pipe(
    Command.env(env, { extendEnv: stage.extendEnv })
  )
  const user = userOf(stage)
  if (user !== undefined) self = Command.user(self, user)
  if (Option.isSome(stage.cwd)) self = Command.workingDirectory(self, stage.cwd.value)
  // In a pipeline, what comes before and after it is the pipe, whatever it says.
  if (at.first) self = Command.stdin(self, stage.stdin)
  if (stage.stdout === "inherit") self = Command.stdout(self, "inherit")
  if (stage.stderr === "inherit") self = Command.stderr(self, "inherit")
  const sink = at.last ? undefined : transducer(stage.stderr)
  return sink === undefined ? self : Command.stderr(self, Sink.zipRight(sink, Sink.drain))
}

const build = (
  stages: Prepared["stages"],
  interpreters: Interpreters
): Command.Command<PlatformError> => {
  const [first, ...rest] = stages.map((stage, i) =>
    stageOf(stage, { first: i === 0, last: i === stages.length - 1 }, interpreters.get(i) ?? [])
  )
  if (first === undefined) throw new Error("a command of @effect/platform has a stage")
  return rest.reduce((left, right) => Command.pipeTo(left, right), first).pipe(
    Command.acceptExitCodes("any"),
    Command.maxOutput(Infinity)
  )
}

type StreamOf = (command: Platform.Command) => Stream.Stream<Uint8Array, PlatformError>

/** A Sink in the middle of a pipeline is no pipe of the kernel: what stands before it is run by itself, and fed to the rest. */
const withoutSinks = (stages: Prepared["stages"], streamOf: StreamOf): Prepared["stages"] => {
  const middle = stages.slice(0, -1).findLastIndex(({ stdout }) => typeof stdout !== "string")
  const [next, ...rest] = stages.slice(middle + 1)
  if (middle < 0 || next === undefined) return stages
  const [first, ...more] = stages
  const before = more.slice(0, middle).reduce<Platform.Command>((left, right) => Platform.pipeTo(left, right), first)
  return [Platform.stdin(next, streamOf(before)) as Platform.StandardCommand, ...rest]
}

const none: Interpreters = new Map()

/** Most commands that are run are run again. `streamOf` is that of the executor. */
export const preparer = (streamOf: StreamOf): (command: Platform.Command) => Prepared => {
  const made = new WeakMap<Platform.Command, Prepared>()
  return (command) => {
    const known = made.get(command)
    if (known !== undefined) return known
    const [head, ...tail] = Platform.flatten(command)
    const stages = withoutSinks([head, ...tail], streamOf)
    const last = stages[stages.length - 1] ?? stages[0]
    const prepared: Prepared = {
      stages,
      command: build(stages, none),
      stdout: transducer(last.stdout),
      stderr: transducer(last.stderr),
      interpreters: none
    }
    made.set(command, prepared)
    return prepared
  }
}

/** The stages that a failed spawn may be about: it tells the command of one. */
const candidates = ({ stages }: Prepared, { command }: SpawnError): ReadonlyArray<number> =>
  stages.flatMap((stage, i) => {
    const [file, args] = programOf(stage)
    return String(Command.make(text(file), ...args.map(text))) === command ? [i] : []
  })

/** The stage that a failed spawn is about. */
export const failedStage = (prepared: Prepared, error: SpawnError): Platform.StandardCommand =>
  prepared.stages[candidates(prepared, error)[0] ?? 0] ?? prepared.stages[0]

/**
 * What execvp(3), and with it the original, does with a file that has no format the kernel knows: it is a script for `sh`.
 * Nothing when that was not the problem.
 */
export const asScript = (prepared: Prepared, error: SpawnError): Prepared | undefined => {
  if (error.errno !== "ENOEXEC" || error.path === undefined) return undefined
  const { interpreters, stages } = prepared
  const index = candidates(prepared, error).find((stage) => !interpreters.has(stage))
  if (index === undefined) return undefined
  const more = new Map(interpreters).set(index, ["/bin/sh", error.path])
  return { ...prepared, command: build(stages, more), interpreters: more }
}
