/** What is done about the jobs of a server that is gone. */
import * as fs from "node:fs"
import type { Job } from "../Job.ts"
import { closeQuietly } from "./ends.ts"
import { findOrphans, readStat } from "./system.ts"

/** @internal */
export interface Remains {
  readonly jobs: ReadonlyArray<Job>
  /** See `Connection.done`; closed in the end. */
  readonly done: number
  /** "": there is none. */
  readonly cgroupPath: string
  readonly mark: string | undefined
  readonly killBoundMs: number
  readonly slackMs: number
  /** A job is over, and whether it is known that nothing of it is left. */
  readonly onOver: (job: Job, isClear: boolean) => void
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** How many are left. */
const endOrphans = async (mark: string | undefined, withinMs: number): Promise<number> => {
  if (mark === undefined) return 0
  const until = performance.now() + withinMs
  for (;;) {
    const found = findOrphans(mark)
    if (found.length === 0 || performance.now() > until) return found.length
    // Stopped first, so that none forks while the others are ended.
    for (const signal of ["SIGSTOP", "SIGKILL"] as const) {
      for (const { pid, start } of found) {
        try {
          if (readStat(pid)?.start === start) process.kill(pid, signal)
        } catch {
          // Gone, or another user's, and then it is counted in the next round.
        }
      }
    }
    await pause(5)
  }
}

const removeCgroup = async (path: string): Promise<void> => {
  for (let i = 0; i < 100; i++) {
    try {
      fs.rmdirSync(path)
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EBUSY") return
    }
    // Every supervisor is gone or given up: what is left in it is nobody's.
    try {
      fs.writeFileSync(`${path}/cgroup.kill`, "1")
    } catch {
      return
    }
    await pause(10)
  }
}

/**
 * The supervisors see the end of their server and end their jobs by themselves; a job is over when its supervisor is.
 * What is left after that, because both were killed, is ended here.
 *
 * @internal
 */
export const aftermath = async (remains: Remains): Promise<void> => {
  const { cgroupPath, done, jobs, killBoundMs, mark, onOver, slackMs } = remains
  const began = performance.now()
  const left = new Set(jobs)
  const byte = Buffer.alloc(1)
  let allDone = done < 0
  while (left.size > 0 && !allDone) {
    try {
      allDone = fs.readSync(done, byte) === 0
    } catch {
      // EAGAIN: some supervisor is still there.
    }
    const isGone = (job: Job): boolean => {
      const stat = readStat(job.supervisorPid)
      return allDone || stat === undefined || stat.state === "Z" || stat.state === "X" ||
        performance.now() - began > job.graceMs + killBoundMs + 2 * slackMs
    }
    const gone = [...left].filter(isGone)
    // One look through all of /proc for as many as there are.
    const isClear = gone.length === 0 || (await endOrphans(mark, killBoundMs)) === 0
    for (const job of gone) {
      left.delete(job)
      onOver(job, isClear)
    }
    if (left.size > 0 && !allDone) await pause(10)
  }
  for (const job of left) onOver(job, true)
  if (done >= 0) closeQuietly(done)
  if (cgroupPath !== "") await removeCgroup(cgroupPath)
}
