/** What a matcher was given: whatever tells how a command ended and what it printed. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { hasProperty } from "effect/Predicate"
import * as Stream from "effect/Stream"
import { type CommandResult, ExitStatus, type Process, type ProcessInfo } from "effect-process"
import { visibleLines } from "./visible.ts"

/** What is known; what is not is undefined. @internal */
export interface Subject {
  readonly command: string | undefined
  readonly exit: ExitStatus.ExitStatus | undefined
  readonly stdout: string | undefined
  readonly stderr: string | undefined
  /** The descendants that were left, or are there. */
  readonly left: ReadonlyArray<ProcessInfo> | undefined
  /** With what it failed, when it has. */
  readonly error: unknown
  readonly outcome: "succeeded" | "failed" | "died" | "runs"
  /** Said in place of a status, where there is none. */
  readonly instead: string | undefined
}

const nothing: Subject = {
  command: undefined,
  exit: undefined,
  stdout: undefined,
  stderr: undefined,
  left: undefined,
  error: undefined,
  outcome: "succeeded",
  instead: undefined
}

const isStatus = (value: unknown): value is ExitStatus.ExitStatus =>
  value instanceof ExitStatus.Exited || value instanceof ExitStatus.Killed

/** @internal */
export const isProcess = (value: unknown): value is Process.Process<unknown> =>
  hasProperty(value, "terminate") && hasProperty(value, "descendants") && hasProperty(value, "exit") &&
  Effect.isEffect(value.exit)

const isResult = (value: unknown): value is CommandResult =>
  hasProperty(value, "leaked") && hasProperty(value, "stdoutText") && hasProperty(value, "exit")

const textOf = (value: unknown): string | undefined => {
  if (typeof value === "string") return value
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : undefined
}

/** Of an error, a call, or the result of a stage: the fields that they have in common. */
const ofFields = (value: object): Subject => {
  const fields: Readonly<Record<string, unknown>> = value as never
  const stdout = textOf(fields["stdout"])
  const tail = textOf(fields["stdoutTail"])
  return {
    ...nothing,
    command: textOf(fields["command"]),
    exit: isStatus(fields["exit"]) ? fields["exit"] : undefined,
    // A runner that keeps nothing has at least the end.
    stdout: stdout === undefined || stdout === "" ? tail ?? stdout : stdout,
    stderr: textOf(fields["stderr"]) ?? textOf(fields["stderrTail"])
  }
}

const ofError = (error: unknown): Subject => {
  const fields = typeof error === "object" && error !== null ? ofFields(error) : nothing
  const message = error instanceof Error ? error.message : String(error)
  const after = hasProperty(error, "after") && Duration.isDuration(error.after) ? error.after : undefined
  return {
    ...fields,
    error,
    outcome: "failed",
    instead: after === undefined ? `failed: ${visibleLines(message)}` : `timed out after ${Duration.format(after)}`
  }
}

const ofCause = (cause: Cause.Cause<unknown>): Subject =>
  Option.match(Cause.failureOption(cause), {
    onSome: ofError,
    onNone: () => ({
      ...nothing,
      error: Option.getOrUndefined(Cause.dieOption(cause)),
      outcome: "died" as const,
      instead: Cause.isInterruptedOnly(cause) ? "was interrupted" : `died: ${visibleLines(Cause.pretty(cause))}`
    })
  })

/**
 * What a value tells, or nothing where it is none of those.
 *
 * @internal
 */
export const of = (value: unknown): Subject | undefined => {
  if (Exit.isExit(value)) {
    return Exit.isFailure(value) ? ofCause(value.cause) : of(value.value) ?? { ...nothing, instead: "succeeded" }
  }
  if (Cause.isCause(value)) return ofCause(value)
  if (Either.isEither(value)) return Either.isLeft(value) ? ofError(value.left) : of(value.right) ?? nothing
  if (isStatus(value)) return { ...nothing, exit: value }
  if (typeof value === "number") return { ...nothing, exit: ExitStatus.exited(value) }
  if (Array.isArray(value) && value.every((line) => typeof line === "string")) {
    return { ...nothing, stdout: value.map((line) => `${line}\n`).join("") }
  }
  const text = textOf(value)
  if (text !== undefined) return { ...nothing, stdout: text }
  if (isResult(value)) {
    const { exit, leaked, stages, stderrText, stdoutText } = value
    const command = stages.map(({ command }) => command).join(" | ")
    return { ...nothing, command, exit, left: leaked, stdout: stdoutText, stderr: stderrText }
  }
  if (value instanceof Error) return ofError(value)
  if (typeof value !== "object" || value === null || !("command" in value) || !("exit" in value)) return undefined
  const fields = ofFields(value)
  return fields.exit === undefined ? { ...fields, outcome: "runs", instead: "is still running" } : fields
}

const settled = (process: Process.Process<unknown>, exit: Exit.Exit<ExitStatus.ExitStatus, unknown>): Subject => ({
  ...of(exit) ?? nothing,
  command: nameOf(process)
})

const nameOf = (process: Process.Process<unknown>): string | undefined => {
  const json = process.toJSON()
  return hasProperty(json, "command") ? textOf(json.command) : undefined
}

/** Waits for the exit. @internal */
export const exitOf = (process: Process.Process<unknown>): Promise<Subject> =>
  Effect.runPromise(Effect.map(Effect.exit(process.exit), (exit) => settled(process, exit)))

const readAll = (output: Process.Process["stdout"]): Effect.Effect<string | undefined> =>
  output.pipe(
    Stream.decodeText(),
    Stream.mkString,
    // One that leads elsewhere, or was read already, has nothing for us.
    Effect.orElseSucceed(() => undefined)
  )

/** Reads what is left of the outputs to their end. @internal */
export const outputOf = (process: Process.Process<unknown>): Promise<Subject> =>
  Effect.runPromise(
    Effect.map(
      Effect.all([readAll(process.stdout), readAll(process.stderr)], { concurrency: 2 }),
      ([stdout, stderr]) => ({ ...nothing, command: nameOf(process), stdout, stderr })
    )
  )

/** What is alive below it now. @internal */
export const descendantsOf = (process: Process.Process<unknown>): Promise<Subject> =>
  Effect.runPromise(Effect.map(process.descendants, (left) => ({ ...nothing, command: nameOf(process), left })))
