/** Answers checked and played. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { ExitStatus, Signal } from "effect-process"
import { SpawnFailure, type SpawnReason, type SpawnStage } from "effect-process/Engine"
import {
  type Answer,
  type CatchableSignal,
  type Chunk,
  InvalidAnswer,
  type Invocation,
  type Printed,
  type Reaction,
  type Refused,
  type Runs
} from "../ScriptedAnswer.ts"
import type { VirtualJob } from "./virtualJob.ts"
import type { VirtualStage } from "./virtualStage.ts"

const usual: { readonly [reason in SpawnReason]: readonly [SpawnStage, string | undefined, string] } = {
  NotFound: ["exec", "ENOENT", "no such program; install it, or check its name and PATH"],
  PermissionDenied: ["exec", "EACCES", "the program may not be executed; check its permissions"],
  NotExecutable: ["exec", "ENOEXEC", "the file is no program; give it a first line such as #!/bin/sh"],
  BadWorkingDirectory: ["chdir", "ENOENT", "the working directory does not exist or is no directory"],
  InvalidArgument: ["validate", undefined, "the command is invalid"],
  ArgumentListTooLong: ["exec", "E2BIG", "arguments and environment are too long together"],
  ResourceExhausted: ["fork", "EAGAIN", "the system has no room for another process"],
  Unsupported: ["validate", undefined, "the engine does not support this"],
  Unknown: ["exec", "EIO", "the system gave an error that has no name here"]
}

const printedOf = (printed: Printed | undefined): ReadonlyArray<Chunk> => {
  if (printed === undefined) return []
  const pieces = typeof printed === "string" || printed instanceof Uint8Array ? [printed] : printed
  return pieces.map((piece) => typeof piece === "string" || piece instanceof Uint8Array ? { data: piece } : piece)
}

const isData = (value: unknown): boolean => typeof value === "string" || value instanceof Uint8Array

const show = (value: unknown): string => typeof value === "string" ? JSON.stringify(value) : String(value)

const codeProblem = (name: string, code: unknown): string | undefined =>
  code === undefined || (typeof code === "number" && Number.isInteger(code) && code >= 0 && code <= 255)
    ? undefined
    : `${name}: ${show(code)} is no exit code; they are whole numbers from 0 to 255`

const durationProblem = (name: string, duration: unknown): string | undefined =>
  duration === undefined || (Option.isSome(Duration.decodeUnknown(duration)) && !(Number(duration) < 0))
    ? undefined
    : `${name}: ${show(duration)} is no duration; write "2 seconds" or a number of milliseconds`

const printedProblem = (name: string, printed: unknown): string | undefined => {
  if (printed === undefined || isData(printed)) return undefined
  if (!Array.isArray(printed)) return `${name}: ${show(printed)}; write a string, bytes, or an array of pieces`
  for (const piece of printed) {
    if (isData(piece)) continue
    if (typeof piece !== "object" || piece === null || !isData(piece.data)) {
      return `${name}: a piece is a string, bytes, or { after, data }`
    }
    const problem = durationProblem(`${name}: after`, piece.after)
    if (problem !== undefined) return problem
  }
  return undefined
}

const signalsProblem = (signals: Readonly<Record<string, Reaction | undefined>> | undefined): string | undefined => {
  for (const [signal, reaction] of Object.entries(signals ?? {})) {
    if (!Signal.isSignal(signal)) return `signals: ${show(signal)} is no signal; write a name such as "SIGTERM"`
    if (signal === "SIGKILL" || signal === "SIGSTOP") return `signals: no program can catch ${signal}`
    if (reaction === undefined || reaction === "ignore") continue
    const problem = codeProblem(`signals: ${signal}: exit`, reaction.exit) ??
      durationProblem(`signals: ${signal}: takes`, reaction.takes)
    if (problem !== undefined) return problem
  }
  return undefined
}

const ends = ["exit", "signal", "hangs", "spawnError"] as const

const refusalProblem = (answer: object): string | undefined => {
  const { spawnError } = answer as Refused
  const reason: string = typeof spawnError === "string" ? spawnError : spawnError.reason
  if (!Object.hasOwn(usual, reason)) {
    return `spawnError: ${show(reason)} is no reason; they are ${Object.keys(usual).join(", ")}`
  }
  const more = Object.keys(answer).find((key) => key !== "spawnError")
  return more === undefined ? undefined : `${more} beside spawnError; a program that does not start does nothing else`
}

/** What is wrong with an answer: those who write no types, or compute it, are told as well. */
const problemOf = (answer: unknown): string | undefined => {
  if (typeof answer !== "object" || answer === null || Array.isArray(answer)) {
    return `${show(answer)}; write an object such as { stdout: "done\\n" }`
  }
  const given = ends.filter((key) => (answer as Record<string, unknown>)[key] !== undefined)
  if (given.length > 1) return `${given.join(" and ")} at once; a program ends in one way`
  if (given[0] === "spawnError") return refusalProblem(answer)
  const known = [
    ...ends,
    "coreDumped",
    "stdout",
    "stderr",
    "descriptors",
    "takes",
    "stdin",
    "signals",
    "leaves"
  ]
  const unknown = Object.keys(answer).find((key) => !known.includes(key))
  if (unknown !== undefined) return `${show(unknown)} is nothing that an answer has; it has ${known.join(", ")}`
  const { coreDumped, descriptors, exit, hangs, signal, signals, stderr, stdin, stdout, takes } = answer as
    & Runs
    & Readonly<Record<"coreDumped" | "exit" | "hangs" | "signal", unknown>>
  if (signal !== undefined && !Signal.isSignal(signal)) {
    return `signal: ${show(signal)} is no signal; write a name such as "SIGTERM"`
  }
  if (coreDumped !== undefined && signal === undefined) return "coreDumped without signal; only a signal dumps core"
  if (hangs !== undefined && hangs !== true) return `hangs: ${show(hangs)}; write true, or leave it out`
  if (stdin !== undefined && stdin !== "read" && stdin !== "leave") {
    return `stdin: ${show(stdin)}; write "read" or "leave"`
  }
  return codeProblem("exit", exit) ??
    durationProblem("takes", takes) ??
    printedProblem("stdout", stdout) ??
    printedProblem("stderr", stderr) ??
    Object.entries(descriptors ?? {}).map(([fd, printed]) => printedProblem(`descriptor ${fd}`, printed)).find((
      problem
    ) => problem !== undefined) ??
    signalsProblem(signals)
}

/** @internal */
export const checked = (answer: Answer): Answer => {
  const detail = problemOf(answer)
  if (detail !== undefined) throw new InvalidAnswer({ detail })
  return answer
}

/** @internal */
export const isRefused = (answer: Answer): answer is Refused => answer.spawnError !== undefined

/** @internal */
export const refusal = ({ spawnError }: Refused, { file, stage, workingDirectory }: Invocation): SpawnFailure => {
  const given = typeof spawnError === "string" ? { reason: spawnError } : spawnError
  const [usualStage, errno, detail] = usual[given.reason]
  return new SpawnFailure({
    reason: given.reason,
    stage: given.stage ?? usualStage,
    errno: given.errno ?? errno,
    path: given.path ?? (given.reason === "BadWorkingDirectory" ? workingDirectory : file),
    detail: given.detail ?? detail,
    index: stage
  })
}

const print = (stage: VirtualStage, fd: number, printed: Printed | undefined): Effect.Effect<void> =>
  Effect.forEach(
    printedOf(printed),
    ({ after, data }) =>
      after === undefined ? stage.print(fd, data) : Effect.zipRight(Effect.sleep(after), stage.print(fd, data)),
    {
      discard: true
    }
  )

const reactTo = (stage: VirtualStage, reaction: Reaction): Effect.Effect<void> => {
  if (reaction === "ignore") return Effect.void
  const { exit, stderr, stdout, takes } = reaction
  return Effect.gen(function*() {
    if (takes !== undefined) yield* Effect.sleep(takes)
    yield* print(stage, 1, stdout)
    yield* print(stage, 2, stderr)
    if (exit !== undefined) stage.end(ExitStatus.exited(exit))
  })
}

/**
 * Catches what an answer catches, from the spawn on: a signal may come before the program has got anywhere.
 *
 * @internal
 */
export const trapAll = (stage: VirtualStage, { signals }: Answer): void => {
  for (const [signal, reaction] of Object.entries(signals ?? {})) {
    if (reaction !== undefined) stage.trap(signal as CatchableSignal, reactTo(stage, reaction))
  }
}

/**
 * Plays an answer of a program that has started.
 *
 * @internal
 */
export const play = (
  job: VirtualJob,
  stage: VirtualStage,
  answer: Exclude<Answer, Refused>
): Effect.Effect<ExitStatus.ExitStatus> =>
  Effect.gen(function*() {
    const { descriptors, leaves, stderr, stdin, stdout, takes } = answer
    const inputs = stdin === "leave" ? [] : stage.inputs
    // Beside it and not waited for: the user of a handle may hold it open for ever.
    for (const input of inputs) if (!input.endsByItself) yield* stage.fork(Stream.runDrain(input.stream))
    if (leaves !== undefined) job.leave(stage, leaves)
    yield* Effect.all([
      print(stage, 1, stdout),
      print(stage, 2, stderr),
      ...Object.entries(descriptors ?? {}).map(([fd, printed]) => print(stage, Number(fd), printed)),
      ...(takes === undefined ? [] : [Effect.sleep(takes)]),
      ...inputs.filter(({ endsByItself }) => endsByItself).map(({ stream }) => Stream.runDrain(stream))
    ], { concurrency: "unbounded", discard: true })
    if (answer.hangs === true) return yield* Effect.never
    if (answer.signal === undefined) return ExitStatus.exited(answer.exit ?? 0)
    return ExitStatus.killed(answer.signal, { coreDumped: answer.coreDumped ?? false })
  })
