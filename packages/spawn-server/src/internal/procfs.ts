/** What `/proc` tells of processes: the one place that knows how its files are laid out. See proc(5). */
import * as fs from "node:fs"

/**
 * A line of `/proc/PID/stat`. Times are clock ticks, `start` counts them from the boot: with the pid it names one process
 * for good. The times of `children` are those of the children that it has waited for.
 *
 * @since 0.1.0
 * @category proc
 */
export interface ProcessStat {
  readonly pid: number
  /** At most 15 bytes, chosen by the process itself: not to be shown as it is. */
  readonly name: string
  readonly state: string
  readonly ppid: number
  readonly pgid: number
  readonly sid: number
  readonly minorFaults: number
  readonly majorFaults: number
  readonly userTicks: number
  readonly systemTicks: number
  readonly childrenUserTicks: number
  readonly childrenSystemTicks: number
  readonly threads: number
  readonly start: number
  readonly rssBytes: number
  /** It is a thread of the kernel, without arguments, environment and memory of its own. */
  readonly isKernel: boolean
  /** It is on its way out: its descriptors may be closed, and its children not yet another process's. */
  readonly isExiting: boolean
}

/** PF_KTHREAD and PF_EXITING of the kernel's sched.h, in the column `flags`. */
const kernelThread = 0x00200000
const exiting = 0x00000004

/** An entry of the vector that the kernel gives to each program. Source: getauxval(3). */
const auxiliary = (type: bigint): number | undefined => {
  try {
    const vector = fs.readFileSync("/proc/self/auxv")
    for (let at = 0; at + 16 <= vector.length; at += 16) {
      if (vector.readBigUInt64LE(at) === type) return Number(vector.readBigUInt64LE(at + 8))
    }
  } catch {
    // A sandbox may hide it.
  }
  return undefined
}

let page: number | undefined
let ticks: number | undefined

const pageSize = (): number => page ??= auxiliary(6n) ?? 4096

/**
 * How many ticks a second has (USER_HZ). Source: time(7).
 *
 * @example
 * import { procfs } from "@effect-process/spawn-server"
 *
 * procfs.ticksPerSecond() > 0 // => true
 *
 * @since 0.1.0
 * @category proc
 */
export const ticksPerSecond = (): number => ticks ??= auxiliary(17n) ?? 100

const buffer = Buffer.allocUnsafeSlow(64 * 1024)

/**
 * The bytes of a file of `/proc`, to be used before the next one is read; undefined when it cannot be read, which for a
 * process most often means that it is gone. Faster than `readFileSync`, which asks for sizes that these files do not have.
 * No more than about `most` bytes.
 */
const readBytes = (path: string, most = Infinity): Buffer | undefined => {
  let fd: number
  try {
    fd = fs.openSync(path, "r")
  } catch {
    return undefined
  }
  try {
    const size = fs.readSync(fd, buffer, 0, buffer.length, null)
    if (size < buffer.length) return buffer.subarray(0, size)
    // The files that are longer than the buffer are read to their end; the others say all at once.
    const pieces = [Buffer.from(buffer)]
    let total = size
    for (let more = size; more > 0 && total < most; total += more) {
      more = fs.readSync(fd, buffer, 0, buffer.length, null)
      pieces.push(Buffer.from(buffer.subarray(0, more)))
    }
    return Buffer.concat(pieces)
  } catch {
    return undefined
  } finally {
    fs.closeSync(fd)
  }
}

/**
 * A file of `/proc`, its bytes as characters; undefined when it cannot be read, which for a process most often means that
 * it is gone. Faster than `readFileSync`, which asks for sizes that these files do not have.
 *
 * @example
 * import { procfs } from "@effect-process/spawn-server"
 *
 * procfs.readProc("/proc/self/comm") !== undefined // => true
 * procfs.readProc("/proc/0/comm") // => undefined
 *
 * @since 0.1.0
 * @category proc
 */
export const readProc = (path: string, most?: number): string | undefined => readBytes(path, most)?.toString("latin1")

/** The columns of proc_pid_stat(5) that are numbers, up to the last one that anybody asks for. */
const columns = new Float64Array(25)

const [space, opening, closing, minus, zero, nine, unknown] = [0x20, 0x28, 0x29, 0x2d, 0x30, 0x39, 0x3f]

/** The digits at a place of the text as a number. */
const numberAt = (bytes: Uint8Array, from: number): number => {
  let value = 0
  for (let at = from, byte = bytes[at]; byte !== undefined && byte >= zero && byte <= nine; byte = bytes[++at]) {
    value = 10 * value + byte - zero
  }
  return value
}

const parseColumns = (bytes: Uint8Array, from: number, to: number): void => {
  columns.fill(0)
  for (let at = from, column = 4; column < columns.length && at < to; column++) {
    const isNegative = bytes[at] === minus
    const value = numberAt(bytes, isNegative ? at + 1 : at)
    columns[column] = isNegative ? -value : value
    while (at < to && bytes[at++] !== space);
  }
}

const column = (number: number): number => columns[number] ?? 0

/**
 * The name is in parentheses and may itself hold some, so the fields are counted from the last one.
 *
 * @example
 * import { procfs } from "@effect-process/spawn-server"
 *
 * procfs.parseStat(Buffer.from("4711 (a (b) c) S 1 4711 4711"))?.name // => "a (b) c"
 *
 * @since 0.1.0
 * @category proc
 */
export const parseStat = (bytes: Buffer, from = 0, to = bytes.length): ProcessStat | undefined => {
  let open = from
  while (open < to && bytes[open] !== opening) open++
  let close = to - 1
  while (close > open && bytes[close] !== closing) close--
  if (close <= open) return undefined
  // "PID (NAME) STATE PPID ..."
  parseColumns(bytes, close + 4, to)
  return {
    pid: numberAt(bytes, from),
    name: bytes.toString("utf8", open + 1, close),
    state: String.fromCharCode(bytes[close + 2] ?? unknown),
    ppid: column(4),
    pgid: column(5),
    sid: column(6),
    minorFaults: column(10),
    majorFaults: column(12),
    userTicks: column(14),
    systemTicks: column(15),
    childrenUserTicks: column(16),
    childrenSystemTicks: column(17),
    threads: column(20),
    start: column(22),
    rssBytes: column(24) * pageSize(),
    isKernel: (column(9) & kernelThread) !== 0,
    isExiting: (column(9) & exiting) !== 0
  }
}

const readStatFile = (path: string): ProcessStat | undefined => {
  const bytes = readBytes(path)
  return bytes === undefined ? undefined : parseStat(bytes)
}

/**
 * Undefined when the process is gone.
 *
 * @example
 * import { procfs } from "@effect-process/spawn-server"
 *
 * procfs.readStat("self")?.pid === process.pid // => true
 *
 * @since 0.1.0
 * @category proc
 */
export const readStat = (pid: number | "self"): ProcessStat | undefined => readStatFile(`/proc/${pid}/stat`)

/**
 * Every pid that `/proc` lists now.
 *
 * @example
 * import { procfs } from "@effect-process/spawn-server"
 *
 * procfs.listPids().includes(process.pid) // => true
 *
 * @since 0.1.0
 * @category proc
 */
export const listPids = (): Array<number> => {
  const pids: Array<number> = []
  for (const name of fs.readdirSync("/proc")) {
    const first = name.charCodeAt(0)
    if (first >= zero && first <= nine) pids.push(Number(name))
  }
  return pids
}

/**
 * Whether a letter of `state` is that of a process, or thread, that has ended.
 *
 * @example
 * import { procfs } from "@effect-process/spawn-server"
 *
 * procfs.isDeadState("Z") // => true
 * procfs.isDeadState("S") // => false
 *
 * @since 0.1.0
 * @category proc
 */
export const isDeadState = (state: string): boolean => {
  const letter = state.charAt(0)
  return letter === "Z" || letter === "X" || letter === "x"
}

/**
 * A thread of the process that lives, when its main thread has exited: such a process shows `Z`, and goes on. Undefined
 * when there is none.
 *
 * @example
 * import { procfs } from "@effect-process/spawn-server"
 *
 * procfs.livingThread(process.pid) !== undefined // => true
 *
 * @since 0.1.0
 * @category proc
 */
export const livingThread = (pid: number): ProcessStat | undefined => {
  let threads: ReadonlyArray<string>
  try {
    threads = fs.readdirSync(`/proc/${pid}/task`)
  } catch {
    return undefined
  }
  for (const thread of threads) {
    const stat = readStatFile(`/proc/${pid}/task/${thread}/stat`)
    if (stat !== undefined && !isDeadState(stat.state)) return stat
  }
  return undefined
}

/**
 * A process may move its arguments and its environment to wherever in its memory it likes (PR_SET_MM_MAP of prctl(2), without
 * any privilege), where they are as long as it likes. Of arguments so much is for people to read, table.c says the same;
 * execve(2) takes environments of less than 6 MiB.
 */
const mostArguments = 128 * 1024

/**
 * How many bytes of an environment are worth reading.
 *
 * @since 0.1.0
 * @category proc
 */
export const mostEnvironment = 8 * 1024 * 1024

/**
 * What `/proc/PID/cmdline` holds, a part of `bytes`, as the arguments joined by spaces, at most 128 KiB of them.
 *
 * @example
 * import { procfs } from "@effect-process/spawn-server"
 *
 * procfs.parseCommandLine(Buffer.from("sleep\0" + "60\0")) // => "sleep 60"
 *
 * @since 0.1.0
 * @category proc
 */
export const parseCommandLine = (bytes: Buffer, from = 0, to = bytes.length): string => {
  let end = Math.min(to, from + mostArguments)
  while (end > from && bytes[end - 1] === 0) end--
  return end === from ? "" : bytes.toString("utf8", from, end).replaceAll("\0", " ")
}

/**
 * The arguments joined by spaces; empty for kernel threads, zombies and those that have overwritten it with nothing.
 *
 * @example
 * import { procfs } from "@effect-process/spawn-server"
 *
 * procfs.readCommandLine(process.pid).includes("node") // => true
 *
 * @since 0.1.0
 * @category proc
 */
export const readCommandLine = (pid: number, thread = pid): string => {
  const path = thread === pid ? `/proc/${pid}/cmdline` : `/proc/${pid}/task/${thread}/cmdline`
  const bytes = readBytes(path, mostArguments)
  return bytes === undefined ? "" : parseCommandLine(bytes)
}

/** Milliseconds that an exec(2) may take to put the new arguments and environment in place; it is some tenths of one. */
const execTakes = 5

/**
 * The environment that a process was started with, each variable between two NULs; empty where it may not be read, which is
 * the case with other users' processes. In the middle of an exec(2) there is none, which must not be taken for an
 * environment without a variable that is looked for: that is waited for, as it is short.
 *
 * @example
 * import { procfs } from "@effect-process/spawn-server"
 *
 * procfs.environmentOf(process.pid).includes("\0PATH=") // => true
 *
 * @since 0.1.0
 * @category proc
 */
export const environmentOf = (pid: number, thread = pid): string => {
  const path = thread === pid ? `/proc/${pid}/environ` : `/proc/${pid}/task/${thread}/environ`
  let bytes = readProc(path, mostEnvironment)
  if (bytes === "" && isInExec(pid)) {
    const until = performance.now() + execTakes
    do {
      bytes = readProc(path, mostEnvironment)
    } while (bytes === "" && isInExec(pid) && performance.now() < until)
  }
  return bytes === undefined || bytes === "" ? "" : `\0${bytes}\0`
}

/** It has no arguments either, and is neither dead nor the kernel's. */
const isInExec = (pid: number): boolean => {
  if (readProc(`/proc/${pid}/cmdline`, 1) !== "") return false
  const stat = readStat(pid)
  return stat !== undefined && !stat.isKernel && !isDeadState(stat.state)
}

/**
 * Which pid namespace its pid is counted in; undefined where that may not be read. See pid_namespaces(7).
 *
 * @example
 * import { procfs } from "@effect-process/spawn-server"
 *
 * procfs.pidNamespace("self") === procfs.pidNamespace(process.pid) // => true
 *
 * @since 0.1.0
 * @category proc
 */
export const pidNamespace = (pid: number | "self"): string | undefined => {
  try {
    return fs.readlinkSync(`/proc/${pid}/ns/pid`)
  } catch {
    return undefined
  }
}
