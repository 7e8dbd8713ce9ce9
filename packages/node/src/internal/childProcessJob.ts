/** One job on `node:child_process`. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import type { ProcessInfo, ResourceUsage } from "effect-process"
import { type EngineJob, SignalFailure, type StageExit } from "effect-process/Engine"
import { exited, killed } from "effect-process/ExitStatus"
import { noUsage } from "effect-process/ProcessInfo"
import { isSignal, type Signal } from "effect-process/Signal"
import type { ChildProcess } from "node:child_process"
import { Socket } from "node:net"
import { GroupWatch, sendTo } from "./groupWatch.ts"
import { SocketInput, SocketOutput } from "./pipes.ts"
import * as processTable from "./processTable.ts"

/** Node's types leave out some signals that its tables have; what it does not know it refuses, and that is answered. */
const nodeSignal = (signal: Signal): NodeJS.Signals => signal as NodeJS.Signals

const isSocket = (stream: unknown): stream is Socket => stream instanceof Socket

/** The owner's ends of descriptors 0 to 2, where these are pipes. */
export type Stdio = readonly [stdin: unknown, stdout: unknown, stderr: unknown]

/** `onEmpty` is called once, when the last member of the group is gone. */
export const make = (
  child: ChildProcess,
  pid: number,
  [stdin, stdout, stderr]: Stdio,
  onEmpty: () => void
): EngineJob => {
  const exits = Deferred.unsafeMake<ReadonlyArray<StageExit>>(FiberId.none)
  const empty = Deferred.unsafeMake<void>(FiberId.none)
  let usage = noUsage
  let exit: StageExit | undefined
  const group = new GroupWatch(pid, () => {
    onEmpty()
    Deferred.unsafeDone(empty, Effect.void)
  })
  // At the exit of a child Node closes its stdin. The group may still read there, and would take that for the end of the input.
  child.stdin = null
  child.once("exit", (code, signal) => {
    // A death by a real-time signal arrives as code 0 and no signal: Node has no name for it.
    exit = { pid, exit: isSignal(signal) ? killed(signal) : exited(code ?? 0), usage }
    Deferred.unsafeDone(exits, Effect.succeed([exit]))
    group.leaderHasExited()
  })

  /** The kernel forgets it with the process, and Node does not ask: what is seen now is kept. */
  const sample = (): ResourceUsage => usage = (exit === undefined ? processTable.usageOf(pid) : undefined) ?? usage

  return {
    pid,
    processGroupId: pid,
    stdin: isSocket(stdin) ? Option.some(new SocketInput(stdin)) : Option.none(),
    stdout: isSocket(stdout) ? Option.some(new SocketOutput(stdout)) : Option.none(),
    stderr: isSocket(stderr) ? Option.some(new SocketOutput(stderr)) : Option.none(),
    exits: Deferred.await(exits),
    empty: Deferred.await(empty),
    signal: (signal, to) =>
      Effect.suspend(() => {
        const errno = to === "group"
          ? group.send(nodeSignal(signal))
          : exit === undefined
          ? sendTo(pid, nodeSignal(signal))
          : "ESRCH"
        if (errno === undefined) return Effect.void
        return new SignalFailure({ reason: errno === "ESRCH" ? "Gone" : "PermissionDenied" })
      }),
    terminate: (signal) =>
      Effect.sync(() => {
        sample()
        group.send(nodeSignal(signal))
        // A stopped process gets the signal when it goes on.
        group.send("SIGCONT")
        group.terminate()
      }),
    kill: Effect.sync(() => group.kill()),
    descendants: Effect.sync(() =>
      group.isEmpty
        ? []
        : processTable.descendantsOf(pid).map(processTable.describe).filter((info): info is ProcessInfo =>
          info !== undefined
        )
    ),
    survivors: Effect.sync(() => processTable.membersOf(pid).map(({ pid: member, state }) => ({ pid: member, state }))),
    usage: Effect.sync(sample),
    deadlineExpired: Effect.never,
    extendDeadline: () => Effect.void
  }
}
