/** Failures of this library as those that the executor of `@effect/platform-node` gives, which programs match on. */
import { BadArgument, type PlatformError, SystemError, type SystemErrorReason } from "@effect/platform/Error"
import type { StandardCommand } from "@effect/platform/Command"
import * as Option from "effect/Option"
import type { OutputError, SpawnError, SpawnServerLost, StdinError } from "effect-process"
import * as fs from "node:fs"
import * as os from "node:os"

/** What the original makes of them, and of two that it cannot meet: another user's rights and a program that is written. */
const reasons: Readonly<Record<string, SystemErrorReason>> = {
  ENOENT: "NotFound",
  EACCES: "PermissionDenied",
  EPERM: "PermissionDenied",
  EEXIST: "AlreadyExists",
  EISDIR: "BadResource",
  ENOTDIR: "BadResource",
  ELOOP: "BadResource",
  EBUSY: "Busy",
  ETXTBSY: "Busy"
}

const reasonOf = (code: string | undefined): SystemErrorReason => reasons[code ?? ""] ?? "Unknown"

/** The program that is run: a shell reads the words joined by spaces. */
export const programOf = ({ args, command, shell }: StandardCommand): readonly [string, ReadonlyArray<string>] =>
  shell === false || shell === ""
    ? [command, args]
    : [shell === true ? "/bin/sh" : shell, ["-c", [command, ...args].join(" ")]]

const nameOf = ({ args, command }: StandardCommand): string => `${command} ${args.join(" ")}`

/** What `@effect/platform`'s FileSystem says of a directory that is not there; nothing when it is. */
const missingDirectory = (stage: StandardCommand): PlatformError | undefined => {
  const directory = Option.getOrUndefined(stage.cwd)
  if (directory === undefined) return undefined
  try {
    fs.accessSync(directory)
    return undefined
  } catch (cause) {
    const error = cause as NodeJS.ErrnoException
    if (error.syscall === undefined) return new BadArgument({ module: "FileSystem", method: "access", cause })
    return new SystemError({
      reason: reasonOf(error.code),
      module: "FileSystem",
      method: "access",
      pathOrDescriptor: directory,
      syscall: error.syscall,
      description: error.message,
      cause
    })
  }
}

/** As node:child_process would have reported it, ours behind it. */
const nodeError = (stage: StandardCommand, errno: string, cause: SpawnError): NodeJS.ErrnoException => {
  const [path, spawnargs] = programOf(stage)
  const known: Readonly<Record<string, number>> = os.constants.errno
  return Object.assign(new Error(`spawn ${path} ${errno}`, { cause }), {
    errno: -(known[errno] ?? 0),
    code: errno,
    syscall: `spawn ${path}`,
    path,
    spawnargs
  })
}

export const spawnFailed = (stage: StandardCommand, error: SpawnError): PlatformError => {
  if (error.stage === "chdir" || error.stage === "validate") {
    const missing = missingDirectory(stage)
    if (missing !== undefined) return missing
  }
  if (error.errno === undefined) {
    return new BadArgument({ module: "Command", method: "spawn", description: error.detail, cause: error })
  }
  const cause = nodeError(stage, error.errno, error)
  return new SystemError({
    reason: reasonOf(error.errno),
    module: "Command",
    method: "spawn",
    pathOrDescriptor: nameOf(stage),
    syscall: cause.syscall,
    description: cause.message,
    cause
  })
}

/** A failure of a command that runs. */
export const failed = (stage: StandardCommand, method: string, description: string, cause?: unknown): SystemError =>
  new SystemError({
    reason: "Unknown",
    module: "Command",
    method,
    pathOrDescriptor: nameOf(stage),
    syscall: undefined,
    description,
    cause: cause ?? new Error(description)
  })

export const signaled = (stage: StandardCommand, signal: string): SystemError =>
  failed(stage, "exitCode", `Process interrupted due to receipt of signal: ${signal}`)

export const broken = (stage: StandardCommand, error: OutputError | StdinError | SpawnServerLost): SystemError => {
  switch (error._tag) {
    case "OutputError":
      return failed(stage, `fromReadable(${error.stream})`, error.message, error)
    case "StdinError":
      return failed(stage, "toWritable", error.message, error)
    case "SpawnServerLost":
      return failed(stage, "exitCode", error.message, error)
  }
}

export const unknownEncoding = (method: string, encoding: string): BadArgument =>
  new BadArgument({ module: "Command", method, description: `${JSON.stringify(encoding)} names no encoding` })
