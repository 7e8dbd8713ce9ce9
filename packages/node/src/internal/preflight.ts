/**
 * What Node does not tell about a spawn that fails, found out before it is tried. Node reports a missing directory as a missing
 * command, and the `execvp` below it hands a file that the kernel cannot run to `sh`.
 */
import type { StageRequest } from "effect-process/Engine"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { errnoOf, failure, missingInterpreter } from "./errno.ts"

/** The search path when the environment has none. Source: confstr(3), `_CS_PATH`. */
const defaultPath = "/bin:/usr/bin"

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
const interpreterIn = (start: Buffer): string | undefined =>
  /^[ \t]*([^ \t\0]+)/.exec(start.toString("latin1").slice(2).split("\n")[0] ?? "")?.[1]

/** The interpreter that the first line of a script names. */
export const interpreterOf = (file: string): string | undefined => {
  const start = readStart(file)
  return start?.[0] === 0x23 && start[1] === 0x21 ? interpreterIn(start) : undefined
}

const checkInterpreter = (file: string, start: Buffer): void => {
  const interpreter = interpreterIn(start)
  if (interpreter === undefined) throw failure("ENOEXEC", "exec", file)
  const errno = errnoFrom(() => fs.accessSync(interpreter, fs.constants.X_OK))
  if (errno !== undefined) throw missingInterpreter(errno, file, interpreter)
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
