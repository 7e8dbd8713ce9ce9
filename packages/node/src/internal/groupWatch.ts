/**
 * Tells when a process group is empty. Node waits for the leader; the other members are not its children, so they can only be
 * looked at again and again: closely while somebody waits for the end, now and then otherwise.
 */
import type { Signal } from "effect-process/Signal"
import { errnoOf } from "./errno.ts"
import * as processTable from "./processTable.ts"

/** Milliseconds between two looks: at the most while a termination runs, and without one. */
const closely = 10
const nowAndThen = 100

export class GroupWatch {
  private readonly pgid: number
  private readonly onEmpty: () => void
  private leaderExited = false
  private empty = false
  private terminating = false
  private killing = false
  /** Members that lived at the last look. Looking at one of these is cheaper than at the whole table. */
  private members: ReadonlyArray<number> = []
  private delay = 1
  private timer: NodeJS.Timeout | undefined

  constructor(pgid: number, onEmpty: () => void) {
    this.pgid = pgid
    this.onEmpty = onEmpty
  }

  get isEmpty(): boolean {
    return this.empty
  }

  /** From here on the group id is pinned by living members only. */
  leaderHasExited(): void {
    this.leaderExited = true
    this.look()
  }

  terminate(): void {
    this.terminating = true
    this.hurry()
  }

  /** SIGKILL at once, and to whatever is found alive later. */
  kill(): void {
    this.killing = true
    this.send("SIGKILL")
    this.terminate()
  }

  /** The errno when nobody got the signal. */
  send(signal: Signal): string | undefined {
    // Without the leader, a group that has just become empty could be another's by now: a living member proves it is ours.
    if (this.leaderExited && this.hasMembers() !== true) return "ESRCH"
    return sendTo(-this.pgid, signal)
  }

  /** Undefined when it cannot be told now: then it is not empty, and not provably ours. */
  private hasMembers(): boolean | undefined {
    if (this.empty || sendTo(-this.pgid, 0) === "ESRCH") return false
    if (this.members.some((pid) => processTable.isStillMember(pid, this.pgid))) return true
    // Zombies are members for kill(2). Those that are not ours to wait for count as gone.
    const members = processTable.membersOf(this.pgid)
    if (members === undefined) return undefined
    this.members = members.map(({ pid }) => pid)
    return this.members.length > 0
  }

  private hurry(): void {
    this.delay = 1
    if (this.leaderExited && !this.empty) this.schedule()
  }

  private schedule(): void {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.look(), this.delay)
    this.delay = Math.min(2 * this.delay, this.terminating ? closely : nowAndThen)
  }

  private look(): void {
    if (this.empty) return
    const has = this.hasMembers()
    if (has === false) {
      this.empty = true
      clearTimeout(this.timer)
      this.onEmpty()
      return
    }
    if (this.killing && has === true) sendTo(-this.pgid, "SIGKILL")
    this.schedule()
  }
}

/**
 * kill(2), with the errno as an answer. A pid of 0 or -1 would be the owner's own group, or everything: Node's own `kill` of a
 * child that was never spawned does that.
 */
export const sendTo = (pid: number, signal: Signal | 0): string | undefined => {
  if (!Number.isInteger(pid) || Math.abs(pid) < 2) return "ESRCH"
  try {
    // A signal that Node does not know it refuses, and that is answered.
    process.kill(pid, signal)
    return undefined
  } catch (error) {
    return errnoOf(error)
  }
}
