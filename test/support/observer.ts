/** What /proc says of processes. Reads it by itself: a test must not judge the library by the library's own eyes. */
import * as fs from "node:fs"

export interface Seen {
  readonly pid: number
  readonly ppid: number
  readonly pgid: number
  readonly state: string
  readonly commandLine: string
}

const read = (path: string): string => {
  try {
    return fs.readFileSync(path, "latin1")
  } catch {
    return ""
  }
}

const stateOf = (stat: string): string => /\) (\S)/.exec(stat.slice(stat.lastIndexOf(")")))?.[1] ?? "X"

export const see = (pid: number): Seen | undefined => {
  const stat = read(`/proc/${pid}/stat`)
  if (stat === "") return undefined
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return {
    pid,
    state: fields[0] ?? "?",
    ppid: Number(fields[1]),
    pgid: Number(fields[2]),
    commandLine: read(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim()
  }
}

/** A process is dead when each of its threads is a zombie: the main thread alone says nothing. */
export const isAlive = (pid: number): boolean => {
  try {
    return fs.readdirSync(`/proc/${pid}/task`).some((tid) =>
      !["Z", "X"].includes(stateOf(read(`/proc/${pid}/task/${tid}/stat`)))
    )
  } catch {
    return false
  }
}

/** Not an error when it has just gone, nor ever the group of the tests themselves. */
export const kill = (pid: number, signal: NodeJS.Signals): void => {
  if (pid < 2) throw new Error(`there is no process ${pid} to send ${signal} to`)
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error
  }
}

const pids = (): ReadonlyArray<number> => fs.readdirSync("/proc").map(Number).filter((pid) => pid > 0)

/** The variable that whatever a test starts inherits. */
export const tokenName = "EP_TEST_TOKEN"

/** The living processes that bear a test's token in their environment or their arguments. */
export const alive = (token: string): ReadonlyArray<Seen> =>
  pids().flatMap((pid) => {
    const bears = read(`/proc/${pid}/cmdline`).includes(token) ||
      read(`/proc/${pid}/environ`).includes(`${tokenName}=${token}`)
    const seen = bears && isAlive(pid) ? see(pid) : undefined
    return seen === undefined ? [] : [seen]
  })

/** The children of this process that nobody waited for. */
export const zombies = (): ReadonlyArray<Seen> =>
  pids().flatMap((pid) => {
    const seen = see(pid)
    return seen !== undefined && seen.ppid === process.pid && seen.state === "Z" && !isAlive(pid) ? [seen] : []
  })

/** The foreground group of a process's terminal. */
export const foregroundOf = (pid: number): number => {
  const stat = read(`/proc/${pid}/stat`)
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[5])
}

export const isStopped = (pid: number): boolean => see(pid)?.state === "T"

/** The open descriptors of this process and what they are, the one that reads the directory not among them. */
export const descriptors = (): ReadonlyArray<string> =>
  fs.readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [`${fd} ${fs.readlinkSync(`/proc/self/fd/${fd}`)}`]
    } catch {
      return []
    }
  }).sort()
