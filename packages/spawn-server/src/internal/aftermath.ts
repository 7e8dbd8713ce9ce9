/** What is done about the jobs of a server that is gone. */
import * as fs from "node:fs"
import type { Job, ProcessRow } from "../Job.ts"
import { closeQuietly } from "./ends.ts"
import { isDeadState, readStat } from "./procfs.ts"
import { findOrphans, readRow, supervisorName } from "./system.ts"

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
  /** A job is over; what is left of those that were lost with it cannot be told apart by job. */
  readonly onOver: (job: Job, left: ReadonlyArray<ProcessRow>) => void
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Undefined where /proc cannot be listed just now, as by a program that has no descriptors left: that is not empty. */
const orphansOf = (mark: string): ReturnType<typeof findOrphans> | undefined => {
  try {
    return findOrphans(mark)
  } catch {
    return undefined
  }
}

/** What is left. */
const endOrphans = async (mark: string | undefined, withinMs: number): Promise<ReadonlyArray<ProcessRow>> => {
  if (mark === undefined) return []
  const until = performance.now() + withinMs
  for (;;) {
    const found = orphansOf(mark)
    if (found?.length === 0 || performance.now() > until) {
      return (found ?? []).map(({ pid }) => readRow(pid)).filter((row) => row !== undefined)
    }
    // Stopped first, so that none forks while the others are ended.
    for (const signal of ["SIGSTOP", "SIGKILL"] as const) {
      for (const { pid, start } of found ?? []) {
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

/** Ends what is in it, whatever that is and whosever: `false` while somebody is. */
const endCgroup = async (path: string): Promise<boolean> => {
  for (let i = 0; i < 100; i++) {
    try {
      fs.rmdirSync(path)
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EBUSY") return true
    }
    try {
      fs.writeFileSync(`${path}/cgroup.kill`, "1")
    } catch {
      return false
    }
    await pause(10)
  }
  return false
}

const isAlive = (job: Job): boolean => {
  const stat = readStat(job.supervisorPid)
  return stat !== undefined && !isDeadState(stat.state) && stat.name === supervisorName &&
    stat.start <= job.supervisorStart
}

/**
 * The supervisors see the end of their server and end their jobs by themselves; a job is over when its supervisor is. One
 * that is late was stopped or hangs and is killed. What is left after that, because both were killed, is ended here.
 *
 * @internal
 */
export const aftermath = async (remains: Remains): Promise<void> => {
  const { cgroupPath, done, jobs, killBoundMs, mark, onOver, slackMs } = remains
  const began = performance.now()
  const left = new Set(jobs)
  const byte = Buffer.alloc(1)
  let allDone = done < 0
  while (left.size > 0) {
    try {
      allDone ||= fs.readSync(done, byte) === 0
    } catch {
      // EAGAIN: some supervisor is still there.
    }
    const gone: Array<Job> = []
    for (const job of left) {
      if (allDone || !isAlive(job)) gone.push(job)
      else if (performance.now() - began > job.graceMs + killBoundMs + 2 * slackMs) {
        try {
          process.kill(job.supervisorPid, "SIGKILL")
        } catch {
          // It has ended since, or is another user's by now, and then nothing helps.
        }
        if (performance.now() - began > job.graceMs + 2 * killBoundMs + 2 * slackMs) gone.push(job)
      }
    }
    if (gone.length > 0) {
      // Nobody is to go on any more: then all can be ended in one step.
      if (gone.length === left.size && cgroupPath !== "") await endCgroup(cgroupPath)
      // One look through all of /proc for as many as there are.
      const rows = await endOrphans(mark, killBoundMs)
      for (const job of gone) {
        left.delete(job)
        onOver(job, rows)
      }
    }
    if (left.size > 0) await pause(10)
  }
  if (done >= 0) closeQuietly(done)
  if (cgroupPath !== "") await endCgroup(cgroupPath)
}
