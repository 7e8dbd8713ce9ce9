/** Between commands of ours and those of `@effect/platform`. */
import * as Platform from "@effect/platform/Command"
import type { PlatformError } from "@effect/platform/Error"
import * as Either from "effect/Either"
import { pipe } from "effect/Function"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import type { Setting } from "../Command.ts"
import * as spec from "./spec.ts"
import { encode } from "./text.ts"
import { reveal, word } from "./words.ts"

/** @internal */
export const from = (command: Platform.Command): spec.Spec => {
  if (command._tag === "PipedCommand") {
    return spec.pipe(from(command.left), from(command.right), "stdout")
  }
  const words = command.shell === false || command.shell === ""
    ? [command.command, ...command.args]
    // As node:child_process does it: the shell reads the words joined by spaces.
    : [
      command.shell === true ? "/bin/sh" : command.shell,
      "-c",
      [command.command, ...command.args].join(" ")
    ]
  const { extendEnv, gid, stderr, stdin, stdout, uid } = command
  let self = spec.setEnv(spec.single(words.map(word)), Object.fromEntries(HashMap.toEntries(command.env)), {
    extendEnv
  })
  const directory = Option.getOrUndefined(command.cwd)
  self = spec.each(self, (stage) => ({ ...stage, workingDirectory: directory, stdin, stdout, stderr }))
  if (Option.isSome(uid) !== Option.isSome(gid)) {
    self = spec.withProblem(self, "fromPlatform: uid without gid, or gid without uid; give both")
  }
  return Option.isSome(uid) && Option.isSome(gid) ? spec.setUser(self, { uid: uid.value, gid: gid.value }) : self
}

type Input = Stream.Stream<Uint8Array | string, PlatformError>

const isStream = (input: spec.Input): input is Input => typeof input === "object" && Stream.StreamTypeId in input

/** What `@effect/platform` makes of a stdin; undefined where it has none of the kind. */
const inputOf = (input: spec.Input | undefined): Platform.Command.Input | undefined => {
  if (input === undefined || input === "pipe" || input === "inherit") return input ?? "pipe"
  if (!isStream(input)) return undefined
  return Stream.map(input, (part) => typeof part === "string" ? encode(part) : part)
}

/** A Sink of ours takes an output, one of `@effect/platform` transforms it. */
const outputOf = (output: spec.ErrorOutput): Platform.Command.Output | undefined =>
  output === "pipe" || output === "inherit" ? output : undefined

const lostOfStage = (stage: spec.Stage, index: number, last: number): ReadonlyArray<Setting> => {
  const variables = Object.values(stage.env)
  const said: ReadonlyArray<readonly [Setting, boolean]> = [
    ["arguments", stage.problem !== undefined || stage.words.flat().some((piece) => Redacted.isRedacted(piece))],
    // A variable can be removed only from an environment that is the owner's.
    ["env", variables.some((value) => Redacted.isRedacted(value) || (value === undefined && stage.extendEnv))],
    ["stdin", inputOf(stage.stdin) === undefined || (index > 0 && stage.stdin !== undefined && stage.stdin !== "pipe")],
    ["stdout", outputOf(stage.stdout) === undefined || (index < last && stage.stdout !== "pipe")],
    ["stderr", outputOf(stage.stderr) === undefined],
    ["fd", stage.descriptors.size > 0],
    ["pipeTo", stage.feeds !== undefined && stage.feeds !== "stdout"],
    // Its runners judge no status, so "any" is what it does; and 0 is what nobody has to say.
    ["acceptExitCodes", stage.accepted !== "any" && !(stage.accepted.length === 1 && stage.accepted[0] === 0)],
    ["limits", Object.values(stage.limits ?? {}).some((value) => value !== undefined)],
    ["nice", stage.nice !== undefined],
    ["umask", stage.umask !== undefined],
    ["user", (stage.user?.groups?.length ?? 0) > 0],
    ["argv0", stage.argv0 !== undefined],
    ["propagateTrace", stage.traced]
  ]
  return said.flatMap(([setting, isLost]) => isLost ? [setting] : [])
}

const lostOfJob = ({ settings }: spec.Spec): ReadonlyArray<Setting> => {
  const { gracePeriod, killSignal, label, maxOutput, terminal, verbose } = settings
  const said: ReadonlyArray<readonly [Setting, boolean]> = [
    ["killSignal", killSignal !== undefined],
    ["gracePeriod", gracePeriod !== undefined],
    ["timeout", spec.settingsOf({ settings } as spec.Spec).timeout !== undefined],
    ["maxOutput", maxOutput !== undefined && maxOutput !== Infinity],
    ["label", label !== undefined],
    ["verbose", verbose === true],
    ["terminal", terminal !== undefined]
  ]
  return said.flatMap(([setting, isLost]) => isLost ? [setting] : [])
}

const toStage = (stage: spec.Stage): Platform.Command => {
  const [file = "", ...args] = stage.words.map(reveal)
  const env = Object.entries(stage.env).flatMap(([name, value]) =>
    typeof value === "string" ? [[name, value] as const] : []
  )
  const { user, workingDirectory } = stage
  const self = pipe(
    Platform.make(file, ...args),
    Platform.env(Object.fromEntries(env), { extendEnv: stage.extendEnv }),
    Platform.stdin(inputOf(stage.stdin) ?? "pipe"),
    Platform.stdout(outputOf(stage.stdout) ?? "pipe"),
    Platform.stderr(outputOf(stage.stderr) ?? "pipe"),
    workingDirectory === undefined ? (self) => self : Platform.workingDirectory(workingDirectory)
  )
  if (user === undefined) return self
  // It has fields for them, and no combinators.
  const ids = { uid: Option.some(user.uid), gid: Option.some(user.gid) }
  return Object.assign(Object.create(Object.getPrototypeOf(self)), self, ids)
}

/** @internal */
export const to = (self: spec.Spec): Either.Either<Platform.Command, ReadonlyArray<Setting>> => {
  const { stages } = self
  const ofStages = stages.flatMap((stage, i) => lostOfStage(stage, i, stages.length - 1))
  const lost = [...new Set([...ofStages, ...lostOfJob(self)])]
  if (lost.length > 0) return Either.left(lost)
  const [first, ...rest] = stages
  return Either.right(rest.reduce((left, right) => Platform.pipeTo(left, toStage(right)), toStage(first)))
}
