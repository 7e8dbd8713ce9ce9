/**
 * What Node does not tell about a spawn that fails, found out before it is tried. Node reports a missing directory as a missing
 * command, and the `execvp` below it hands a file that the kernel cannot run to `sh`.
 */
import { SpawnFailure, type SpawnReason, type SpawnStage, type StageRequest } from "effect-process/Engine"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

/** The search path when the environment has none. Source: confstr(3), `_CS_PATH`. */
const defaultPath = "/bin:/usr/bin"

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

/** The failure of a system call as a typed one. `path` is what the call was about. */
export const failure = (errno: string, stage: SpawnStage, file: string | undefined): SpawnFailure =>
  new SpawnFailure({
    reason: stage === "chdir" ? "BadWorkingDirectory" : reasons[errno] ?? "Unknown",
    stage,
    errno,
    path: file,
    detail: `${file === undefined ? "" : `${JSON.stringify(file)}: `}${
      stage === "chdir" && errno === "EACCES"
        ? "permission denied; the directory needs to be searchable"
        : details[errno] ?? "the system refused"
    }`
  })

export const errnoOf = (error: unknown): string => {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined
  return typeof code === "string" ? code : "EUNKNOWN"
}

/** The errno of a call, or undefined when it succeeds. */
const errnoFrom = (call: () => void): string | undefined => {
  try {
    call()
    return undefined
  } catch (error) {
    return errnoOf(error)
  }
}

const checkDirectory = (directory: string): void => {
  const errno = errnoFrom(() => {
    if (!fs.statSync(directory).isDirectory()) throw Object.assign(new Error("no directory"), { code: "ENOTDIR" })
    fs.accessSync(directory, fs.constants.X_OK)
  })
  if (errno !== undefined) throw failure(errno, "chdir", directory)
}

/** A permission alone does not make a directory runnable. */
const checkFile = (file: string): string | undefined =>
  errnoFrom(() => {
    fs.accessSync(file, fs.constants.X_OK)
    if (!fs.statSync(file).isFile()) throw Object.assign(new Error("no file"), { code: "EACCES" })
  })

/**
 * The file that exec would run. As in execvp(3): a name with a slash is a path, an empty entry of PATH is the current directory,
 * an entry that cannot be run is passed over, and remembered in case nothing better comes.
 */
const findFile = (request: StageRequest, directory: string): string => {
  const { file } = request
  if (file.includes("/")) return path.resolve(directory, file)
  let passedOver: string | undefined
  for (const entry of (request.env["PATH"] ?? defaultPath).split(":")) {
    const candidate = path.resolve(directory, entry, file)
    const errno = checkFile(candidate)
    if (errno === undefined) return candidate
    if (errno === "EACCES") passedOver ??= candidate
    else if (errno === "ENAMETOOLONG" && file.length > 255) throw failure(errno, "exec", file)
  }
  if (passedOver !== undefined) throw failure("EACCES", "exec", passedOver)
  throw failure("ENOENT", "exec", file)
}

const readStart = (file: string): Buffer | undefined => {
  let descriptor: number
  try {
    descriptor = fs.openSync(file, fs.constants.O_RDONLY)
  } catch {
    // Executable and not readable is no fault.
    return undefined
  }
  try {
    const start = Buffer.alloc(256)
    return start.subarray(0, fs.readSync(descriptor, start, 0, start.length, 0))
  } catch {
    return undefined
  } finally {
    fs.closeSync(descriptor)
  }
}

const machines: Readonly<Record<string, ReadonlyArray<number>>> = {
  x64: [62, 3],
  arm64: [183, 40],
  arm: [40],
  ia32: [3],
  ppc64: [21],
  riscv64: [243],
  s390x: [22],
  loong64: [258]
}

/** What the kernel asks of an ELF header before it commits itself. Source: elf(5), fs/binfmt_elf.c. */
const isLoadableElf = (start: Buffer): boolean => {
  if (start.length < 52) return false
  const is64 = start[4] === 2
  if ((!is64 && start[4] !== 1) || (start[5] !== 1 && start[5] !== 2)) return false
  const u16 = (at: number) => start[5] === 1 ? start.readUInt16LE(at) : start.readUInt16BE(at)
  const kind = u16(16)
  if ((kind !== 2 && kind !== 3) || (is64 && start.length < 64)) return false
  if (machines[process.arch]?.includes(u16(18)) === false) return false
  return is64 ? u16(54) === 56 && u16(56) > 0 : u16(42) === 32 && u16(44) > 0
}

/** Mach-O and its universal files. Source: mach-o/loader.h, mach-o/fat.h. */
const machMagic: ReadonlySet<number> = new Set([0xfeedface, 0xfeedfacf, 0xcefaedfe, 0xcffaedfe, 0xcafebabe, 0xcafebabf])

const hasForeignFormats = (): boolean => {
  try {
    return fs.readdirSync("/proc/sys/fs/binfmt_misc").some((name) => name !== "register" && name !== "status")
  } catch {
    return false
  }
}

/** Throws what exec would fail with, where it can be seen in the file. */
const checkFormat = (file: string): void => {
  const start = readStart(file)
  if (start === undefined) return
  if (start.length >= 2 && start[0] === 0x23 && start[1] === 0x21) return checkInterpreter(file, start)
  const isElf = start.length >= 4 && start.readUInt32BE(0) === 0x7f454c46
  const runs = os.platform() === "darwin"
    ? start.length >= 4 && machMagic.has(start.readUInt32BE(0))
    : isElf && isLoadableElf(start)
  // Formats that an administrator registered (binfmt_misc) are theirs to judge.
  if (!runs && !hasForeignFormats()) throw failure("ENOEXEC", "exec", file)
}

/** Source: execve(2), "Interpreter scripts". */
const checkInterpreter = (file: string, start: Buffer): void => {
  const line = start.toString("latin1").slice(2).split("\n")[0] ?? ""
  const interpreter = /^[ \t]*([^ \t\0]+)/.exec(line)?.[1]
  if (interpreter === undefined) throw failure("ENOEXEC", "exec", file)
  const errno = errnoFrom(() => fs.accessSync(interpreter, fs.constants.X_OK))
  if (errno === undefined) return
  const { detail, ...rest } = failure(errno, "exec", file)
  throw new SpawnFailure({ ...rest, detail: `${detail} (its interpreter ${JSON.stringify(interpreter)})` })
}

/** The absolute path of the program, or a thrown `SpawnFailure`. */
export const preflight = (request: StageRequest): string => {
  const directory = path.resolve(request.workingDirectory ?? ".")
  if (request.workingDirectory !== undefined) checkDirectory(directory)
  const file = findFile(request, directory)
  const errno = checkFile(file)
  if (errno !== undefined) throw failure(errno, "exec", file)
  checkFormat(file)
  return file
}
