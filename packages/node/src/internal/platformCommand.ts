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
}

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

/** `interpreters` stands before the program of a stage, by its index. */
const build = (
  stages: Prepared["stages"],
  interpreters: ReadonlyMap<number, ReadonlyArray<string>>
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

const made = new WeakMap<Platform.Command, Prepared>()

/** `streamOf` runs what stands before a Sink in the middle of a pipeline, which no pipe of the kernel can run. */
export const prepare = (
  command: Platform.Command,
  streamOf: (command: Platform.Command) => Stream.Stream<Uint8Array, PlatformError>
): Prepared => {
  const known = made.get(command)
  if (known !== undefined) return known
  let stages: Prepared["stages"] = Platform.flatten(command) as unknown as Prepared["stages"]
  const middle = stages.slice(0, -1).findLastIndex(({ stdout }) => typeof stdout !== "string")
  if (middle >= 0) {
    const before = stages.slice(0, middle + 1).reduce<Platform.Command | undefined>(
      (left, right) => left === undefined ? right : Platform.pipeTo(left, right),
      undefined
    )
    const [next, ...rest] = stages.slice(middle + 1)
    if (before !== undefined && next !== undefined) {
      stages = [Platform.stdin(next, streamOf(before)) as Platform.StandardCommand, ...rest]
    }
  }
  const last = stages[stages.length - 1] ?? stages[0]
  const prepared: Prepared = {
    stages,
    command: build(stages, new Map()),
    stdout: transducer(last.stdout),
    stderr: transducer(last.stderr)
  }
  made.set(command, prepared)
  return prepared
}

/** The stage that a failed spawn is about. */
export const failedStage = ({ stages }: Prepared, { command }: SpawnError): number => {
  const names = stages.map((stage) => {
    const [file, args] = programOf(stage)
    return String(Command.make(text(file), ...args.map(text)))
  })
  return Math.max(0, names.indexOf(command))
}

/**
 * What execvp(3), and with it the original, does with a file that has no format the kernel knows: it is a script for `sh`.
 * Nothing when that was not the problem.
 */
export const asScript = (prepared: Prepared, error: SpawnError): Prepared | undefined => {
  if (error.errno !== "ENOEXEC" || error.path === undefined) return undefined
  const index = failedStage(prepared, error)
  return { ...prepared, command: build(prepared.stages, new Map([[index, ["/bin/sh", error.path]]])) }
}
