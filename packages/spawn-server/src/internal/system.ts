/** What the client asks of the system: names of errors, `/proc`. */
import { randomUUID } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import type { ProcessRow } from "../Job.ts"

const errnoNames = new Map<number, string>()
for (const [name, value] of Object.entries(os.constants.errno)) if (!errnoNames.has(value)) errnoNames.set(value, name)
const errnoAliases = new Map([[11, "EAGAIN"], [95, "EOPNOTSUPP"], [35, "EDEADLK"]])

/** @internal */
export const errnoName = (errno: number): string => errnoAliases.get(errno) ?? errnoNames.get(errno) ?? `E${errno}`

/** @internal */
export interface Stat {
  readonly state: string
  readonly ppid: number
  readonly start: string
  readonly name: string
}

/** @internal */
export const readStat = (pid: number | string): Stat | undefined => {
  try {
    const text = fs.readFileSync(`/proc/${pid}/stat`, "latin1")
    const end = text.lastIndexOf(")")
    const fields = text.slice(end + 2).split(" ")
    return {
      name: text.slice(text.indexOf("(") + 1, end),
      state: fields[0] ?? "?",
      ppid: Number(fields[1]),
      start: fields[19] ?? ""
    }
  } catch {
    return undefined
  }
}

/**
 * What a supervisor would say of a process: for when there is none any more.
 *
 * @internal
 */
export const readRow = (pid: number): ProcessRow | undefined => {
  try {
    const text = fs.readFileSync(`/proc/${pid}/stat`, "latin1")
    const end = text.lastIndexOf(")")
    const fields = text.slice(end + 2).split(" ")
    const number = (column: number): number => Number(fields[column - 3])
    const words = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim()
    return {
      pid,
      ppid: number(4),
      pgid: number(5),
      sid: number(6),
      state: fields[0] ?? "?",
      denied: isDenied(pid),
      start: number(22),
      // Linux tells user space of ticks of 10 ms everywhere, and of pages of 4 KiB nearly so; both are estimates here.
      rssBytes: number(24) * 4096,
      cpuMicros: (number(14) + number(15)) * 10_000,
      command: words === "" ? text.slice(text.indexOf("("), end + 1) : words.slice(0, 199)
    }
  } catch {
    return undefined
  }
}

const isDenied = (pid: number): boolean => {
  try {
    return !process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"
  }
}

/** The variable by which it is known whose a process is. */
export const markName = "EFFECT_PROCESS_OWNER"

let owner: string | undefined

/** This process as that variable names it: pid, start time in ticks, boot id. */
export const ownerParts = (): string => {
  let boot = ""
  try {
    boot = fs.readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim()
  } catch {
    // Not readable in some sandboxes: pid and start time remain.
  }
  return `${process.pid}:${readStat("self")?.start ?? ""}:${boot}`
}

/**
 * What every process of one server's jobs carries in its environment: our pid, start time and the boot's id, by which an
 * owner is known, and an id of the server's own, because another layer of this owner goes on when this one is lost.
 *
 * @internal
 */
export const makeMark = (): string => `${markName}=${(owner ??= ownerParts())}:${randomUUID()}`

/**
 * What a supervisor calls itself, see PR_SET_NAME.
 *
 * @internal
 */
export const supervisorName = "ep-supervisor"

const isOrphan = (pid: number): boolean => {
  for (let at = pid, hops = 0; hops < 4096; hops++) {
    const stat = readStat(at)
    if (stat === undefined || at === process.pid) return false
    if (at !== pid && stat.name === supervisorName) return false
    if (stat.ppid <= 0) return true
    at = stat.ppid
  }
  return false
}

/**
 * Processes that carry our mark and are neither below us nor below a supervisor: left by a server and a supervisor that
 * were both killed. Reads all of `/proc`.
 *
 * @internal
 */
export const findOrphans = (mark: string): Array<{ pid: number; start: string; state: string }> => {
  const found: Array<{ pid: number; start: string; state: string }> = []
  const wanted = Buffer.from(`${mark}\0`)
  for (const name of fs.readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue
    let environment: Buffer
    try {
      environment = fs.readFileSync(`/proc/${name}/environ`)
    } catch {
      continue
    }
    const at = environment.indexOf(wanted)
    if (at < 0 || (at > 0 && environment[at - 1] !== 0)) continue
    const stat = readStat(name)
    if (stat !== undefined && stat.state !== "Z" && stat.state !== "X" && isOrphan(Number(name))) {
      found.push({ pid: Number(name), start: stat.start, state: stat.state })
    }
  }
  return found
}
