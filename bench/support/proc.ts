/** What `/proc` says. Read here, not asked of the library: a benchmark must not judge it by its own words. */
import * as fs from "node:fs"

const read = (path: string): string => {
  try {
    return fs.readFileSync(path, "latin1")
  } catch {
    // It ended meanwhile.
    return ""
  }
}

const kilobytes = (text: string, field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0) * 1024

/** The name that the process has, at most 15 bytes of it. */
export const nameOf = (pid: number): string => read(`/proc/${pid}/comm`).trimEnd()

export const childrenOf = (pid: number): ReadonlyArray<number> => {
  try {
    return fs.readdirSync(`/proc/${pid}/task`).flatMap((tid) =>
      read(`/proc/${pid}/task/${tid}/children`).split(" ").filter((child) => child !== "").map(Number)
    )
  } catch {
    return []
  }
}

export const descendantsOf = (pid: number): ReadonlyArray<number> =>
  childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)])

/** Whether anything of it is left, a zombie too. */
export const exists = (pid: number): boolean => fs.existsSync(`/proc/${pid}`)

/** Processes that have this entry, `NAME=VALUE`, in their environment. A zombie has no environment any more. */
export const marked = (entry: string): ReadonlyArray<number> =>
  fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) =>
    read(`/proc/${pid}/environ`).split("\0").includes(entry)
  )

/** Bytes that nobody else has: Private_Clean and Private_Dirty of smaps_rollup. */
export const privateMemory = (pid: number): number => {
  const text = read(`/proc/${pid}/smaps_rollup`)
  return kilobytes(text, "Private_Clean") + kilobytes(text, "Private_Dirty")
}

/** MiB that a worker can keep: a quarter of what can be had without swapping is left to others. */
export const roomForBallast = (): number => kilobytes(read("/proc/meminfo"), "MemAvailable") / 2 ** 20 * 0.75
