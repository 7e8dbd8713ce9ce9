/** Errors of system calls as typed failures, the same whichever engine met them. */
import { SpawnFailure, type SpawnReason, type SpawnStage } from "effect-process/Engine"

const reasons: Readonly<Record<string, SpawnReason>> = {
  ENOENT: "NotFound",
  ENOTDIR: "NotFound",
  ELOOP: "NotFound",
  ENAMETOOLONG: "NotFound",
  EACCES: "PermissionDenied",
  EPERM: "PermissionDenied",
  ENOEXEC: "NotExecutable",
  EISDIR: "NotExecutable",
  ELIBBAD: "NotExecutable",
  E2BIG: "ArgumentListTooLong",
  EAGAIN: "ResourceExhausted",
  EMFILE: "ResourceExhausted",
  ENFILE: "ResourceExhausted",
  ENOMEM: "ResourceExhausted",
  ENOSPC: "ResourceExhausted",
  EINVAL: "InvalidArgument"
}

const details: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  ENOTDIR: "a part of the path is no directory",
  ELOOP: "too many symbolic links on the way to it",
  ENAMETOOLONG: "the name is too long",
  EACCES: "permission denied; it needs to be a file with the execute permission",
  EPERM: "operation not permitted",
  ENOEXEC: "the kernel cannot run it; a script needs a first line such as #!/bin/sh",
  E2BIG: "the arguments and the environment are too long; hand data over by stdin or a file",
  EAGAIN: "the limit of processes is reached (ulimit -u)",
  EMFILE: "the limit of open files of this process is reached (ulimit -n)",
  ENFILE: "the limit of open files of the system is reached",
  ENOMEM: "not enough memory"
}

/** What opening a file means by them, where it is not what running one does. */
const ofFiles: Readonly<Record<string, { readonly reason: SpawnReason; readonly detail: string }>> = {
  EACCES: { reason: "PermissionDenied", detail: "permission denied" },
  EISDIR: { reason: "InvalidArgument", detail: "it is a directory; name a file" },
  EROFS: { reason: "PermissionDenied", detail: "the file system is read-only" },
  ENOSPC: { reason: "ResourceExhausted", detail: "no space is left on the device" },
  ETXTBSY: { reason: "PermissionDenied", detail: "it is a program that runs" }
}

const fileProblem = (errno: string, stage: SpawnStage) => stage === "open" ? ofFiles[errno] : undefined

/** The failure of a system call as a typed one. `path` is what the call was about. */
export const failure = (errno: string, stage: SpawnStage, file: string | undefined): SpawnFailure =>
  new SpawnFailure({
    reason: stage === "chdir"
      ? "BadWorkingDirectory"
      : fileProblem(errno, stage)?.reason ?? reasons[errno] ?? "Unknown",
    stage,
    errno,
    path: file,
    detail: `${file === undefined ? "" : `${JSON.stringify(file)}: `}${
      stage === "chdir" && errno === "EACCES"
        ? "permission denied; the directory needs to be searchable"
        : fileProblem(errno, stage)?.detail ?? details[errno] ?? "the system refused"
    }`
  })

/** The failure of one command of a pipeline. */
export const atStage = ({ detail, errno, path, reason, stage }: SpawnFailure, index: number): SpawnFailure =>
  new SpawnFailure({ detail, errno, path, reason, stage, index })

export const errnoOf = (error: unknown): string => {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined
  return typeof code === "string" ? code : "EUNKNOWN"
}

/** The program is there, what its first line (or its ELF header, which is then not named) asks for is not. */
export const missingInterpreter = (errno: string, file: string, interpreter: string | undefined): SpawnFailure => {
  const { detail, ...rest } = failure(errno, "exec", file)
  const which = interpreter === undefined ? "" : ` ${JSON.stringify(interpreter)}`
  return new SpawnFailure({ ...rest, detail: `${detail} (its interpreter${which})` })
}

/** Running out of something is said of the spawn as a whole, whichever step met it. */
export const isExhaustion = (errno: string): boolean =>
  errno === "EMFILE" || errno === "ENFILE" || errno === "EAGAIN" || errno === "ENOMEM"
