/** One job on `node:child_process`: the children of a pipeline, each in a session and process group of its own. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ProcessInfo, ResourceUsage } from "effect-process"
import { type EngineJob, type JobObserver, SignalFailure, type StageExit } from "effect-process/Engine"
import { exited, killed } from "effect-process/ExitStatus"
import { combineUsage, noUsage } from "effect-process/ProcessInfo"
import { isSignal, type Signal } from "effect-process/Signal"
import type { ChildProcess } from "node:child_process"
import { GroupWatch, sendTo } from "./groupWatch.ts"
import type { SocketInput, SocketOutput } from "./pipes.ts"
import * as processTable from "./processTable.ts"

/** Exits that are found in one turn of the event loop: which of them was first cannot be told. */
let turn = 0
let turning = false

const thisTurn = (): number => {
  if (!turning) {
    turning = true
    setImmediate(() => {
      turning = false
      turn++
    })
  }
  return turn
}

/** One child and its group. */
class Member {
  readonly pid: number
  readonly group: GroupWatch
  exit: StageExit | undefined
  /** It died of SIGPIPE after its reader, whose own end was found later. */
  isAfterReader = false
  private seen = noUsage

  constructor(
    child: ChildProcess,
    pid: number,
    reader: () => Member | undefined,
    onExit: () => void,
    onEmpty: () => void
  ) {
    this.pid = pid
    this.group = new GroupWatch(pid, onEmpty)
    // At the exit of a child Node closes its stdin. The group may still read there, and would take that for the end of the input.
    child.stdin = null
    child.once("exit", (code, signal) => {
      // A death by a real-time signal arrives as code 0 and no signal: Node has no name for it.
      const exit = isSignal(signal) ? killed(signal) : exited(code ?? 0)
      this.exit = { pid, exit, usage: this.seen, order: thisTurn() }
      this.isAfterReader = signal === "SIGPIPE" && reader()?.readsOn === false
      onExit()
      this.group.leaderHasExited()
    })
  }

  /** The kernel forgets it with the process, and Node does not ask: what is seen now is kept. */
  sample(): ResourceUsage {
    this.seen = (this.exit === undefined ? processTable.usageOf(this.pid) : undefined) ?? this.seen
    return this.seen
  }

  /** Its descriptors are closed, by the kernel or by itself, a while before it can be waited for. */
  get readsOn(): boolean {
    return this.exit === undefined && processTable.hasPipedStdin(this.pid)
  }

  signalLeader(signal: Signal): string | undefined {
    return this.exit === undefined ? sendTo(this.pid, signal) : "ESRCH"
  }
}

/** A child that runs, and how to tell the watchdog that its group is gone. */
export interface Running {
  readonly child: ChildProcess
  readonly pid: number
  readonly onEmpty: () => void
}

/** The owner's ends of the pipes, by their index in the request. */
export interface Ends {
  readonly inputs: ReadonlyMap<number, SocketInput>
  readonly outputs: ReadonlyMap<number, SocketOutput>
}

/** How all exited, once they have. One that died of its reader's end did so after it, whichever was found first. */
const exitsOf = (members: ReadonlyArray<Member>): ReadonlyArray<StageExit> => {
  let reader = 0
  const fromLast = members.toReversed().flatMap(({ exit, isAfterReader }) => {
    if (exit === undefined) return []
    reader = isAfterReader ? Math.max(exit.order, reader) : exit.order
    return { ...exit, order: reader }
  })
  return fromLast.toReversed()
}

const own = <A>(ends: ReadonlyMap<number, A>, pipe: number): A => {
  const end = ends.get(pipe)
  if (end === undefined) throw new Error(`pipe ${pipe} is not ours`)
  return end
}

export const make = (running: readonly [Running, ...ReadonlyArray<Running>], { inputs, outputs }: Ends): EngineJob => {
  let observer: JobObserver | undefined
  let exits: ReadonlyArray<StageExit> | undefined
  const { pid } = running[0]
  let leftToEmpty = running.length
  const members: ReadonlyArray<Member> = running.map(({ child, onEmpty, pid }, i) =>
    new Member(child, pid, () => members[i + 1], () => {
      const all = exitsOf(members)
      if (all.length < running.length) return
      exits = all
      observer?.exited(Exit.succeed(all))
    }, () => {
      onEmpty()
      if (--leftToEmpty === 0) observer?.emptied(Exit.void)
    })
  )
  const sample = () => members.map((member) => member.sample()).reduce(combineUsage, noUsage)
  return {
    pid,
    processGroupId: pid,
    input: (pipe) => own(inputs, pipe),
    output: (pipe) => own(outputs, pipe),
    observe: (its) => {
      observer = its
      if (exits !== undefined) its.exited(Exit.succeed(exits))
      if (leftToEmpty === 0) its.emptied(Exit.void)
    },
    signal: (signal, to) =>
      Effect.suspend(() => {
        const errnos = to === "group"
          ? members.map(({ group }) => group.send(signal))
          : members.slice(0, 1).map((member) => member.signalLeader(signal))
        if (errnos.includes(undefined)) return Effect.void
        return new SignalFailure({ reason: errnos.every((errno) => errno === "ESRCH") ? "Gone" : "PermissionDenied" })
      }),
    terminate: (signal) =>
      Effect.sync(() => {
        sample()
        for (const { group } of members) group.send(signal)
        for (const { group } of members) {
          // A stopped process gets the signal when it goes on.
          group.send("SIGCONT")
          group.terminate()
        }
      }),
    kill: Effect.sync(() => {
      for (const { group } of members) group.kill()
    }),
    descendants: Effect.sync(() =>
      members.filter(({ group }) => !group.isEmpty).flatMap((member) => processTable.descendantsOf(member.pid))
        .map(processTable.describe).filter((info): info is ProcessInfo => info !== undefined)
    ),
    survivors: Effect.sync(() =>
      members.flatMap((member) => processTable.membersOf(member.pid) ?? []).map(({ pid, state }) => ({ pid, state }))
    ),
    usage: Effect.sync(sample),
    extendDeadline: () => Effect.void
  }
}
