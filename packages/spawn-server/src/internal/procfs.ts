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
}

/** PF_KTHREAD of the kernel's sched.h, in the column `flags`. */
const kernelThread = 0x00200000

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
export const readProc = (path: string): string | undefined => {
  let fd: number
  try {
    fd = fs.openSync(path, "r")
  } catch {
    return undefined
  }
  try {
    let text = ""
    for (;;) {
      const size = fs.readSync(fd, buffer, 0, buffer.length, null)
      text += buffer.toString("latin1", 0, size)
      // The files that are longer than the buffer are read to their end; the others say all at once.
      if (size < buffer.length) return text
    }
  } catch {
    return undefined
  } finally {
    fs.closeSync(fd)
  }
}

/**
 * The bytes that `readProc` gives as characters, as the text that they mean.
 *
 * @example
 * import { procfs } from "@effect-process/spawn-server"
 *
 * procfs.decodeBytes("caf\u00c3\u00a9") // => "café"
 *
 * @since 0.1.0
 * @category proc
 */
export const decodeBytes = (bytes: string): string =>
  // oxlint-disable-next-line no-control-regex
  /^[\0-\x7f]*$/.test(bytes) ? bytes : Buffer.from(bytes, "latin1").toString("utf8")

/**
 * The name is in parentheses and may itself hold some, so the fields are counted from the last one.
 *
 * @example
 * import { procfs } from "@effect-process/spawn-server"
 *
 * procfs.parseStat("4711 (a (b) c) S 1 4711 4711")?.name // => "a (b) c"
 *
 * @since 0.1.0
 * @category proc
 */
export const parseStat = (text: string): ProcessStat | undefined => {
  const open = text.indexOf("(")
  const close = text.lastIndexOf(")")
  if (open < 0 || close < open) return undefined
  const fields = text.slice(close + 2).split(" ", 22)
  const number = (column: number): number => Number(fields[column - 3] ?? 0)
  return {
    pid: Number.parseInt(text, 10),
    name: decodeBytes(text.slice(open + 1, close)),
    state: fields[0] ?? "?",
    ppid: number(4),
    pgid: number(5),
    sid: number(6),
    minorFaults: number(10),
    majorFaults: number(12),
    userTicks: number(14),
    systemTicks: number(15),
    childrenUserTicks: number(16),
    childrenSystemTicks: number(17),
    threads: number(20),
    start: number(22),
    rssBytes: number(24) * pageSize(),
    isKernel: (number(9) & kernelThread) !== 0
  }
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
export const readStat = (pid: number | "self"): ProcessStat | undefined => {
  const text = readProc(`/proc/${pid}/stat`)
  return text === undefined ? undefined : parseStat(text)
}

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
    if (first >= 48 && first <= 57) pids.push(Number(name))
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
    const text = readProc(`/proc/${pid}/task/${thread}/stat`)
    const stat = text === undefined ? undefined : parseStat(text)
    if (stat !== undefined && !isDeadState(stat.state)) return stat
  }
  return undefined
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
  const bytes = readProc(path) ?? ""
  let end = bytes.length
  while (end > 0 && bytes.charCodeAt(end - 1) === 0) end--
  return decodeBytes(bytes.slice(0, end)).replaceAll("\0", " ")
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
  let bytes = readProc(path)
  if (bytes === "" && isInExec(pid)) {
    const until = performance.now() + execTakes
    do {
      bytes = readProc(path)
    } while (bytes === "" && isInExec(pid) && performance.now() < until)
  }
  return bytes === undefined || bytes === "" ? "" : `\0${bytes}\0`
}

/** It has no arguments either, and is neither dead nor the kernel's. */
const isInExec = (pid: number): boolean => {
  if (readProc(`/proc/${pid}/cmdline`) !== "") return false
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
