/** What the bodies of the server's frames say. */
import { ServerLost, SpawnFailure } from "../Failure.ts"
import type { Step } from "../Failure.ts"
import type { ProcessRow, StageExit } from "../Job.ts"
import { errnoName } from "./system.ts"
import type { Reader } from "./wire.ts"

const steps: ReadonlyArray<Step> = ["fork", "fork", "open", "limits", "user", "chdir", "exec"]

/** @internal */
export const readRows = (body: Reader): { last: boolean; rows: Array<ProcessRow> } => {
  const last = body.u8() === 1
  const rows: Array<ProcessRow> = []
  for (let n = body.u16(); n > 0; n--) {
    rows.push({
      pid: body.u32(),
      ppid: body.u32(),
      pgid: body.u32(),
      sid: body.u32(),
      state: String.fromCharCode(body.u8()),
      denied: (body.u8() & 1) !== 0,
      start: body.u64(),
      rssBytes: body.u64(),
      cpuMicros: body.u64(),
      command: body.string()
    })
  }
  return { last, rows }
}

/** @internal */
export const readExit = (body: Reader): StageExit => {
  const stage = body.u8()
  const killed = body.u8() === 1
  const coreDumped = body.u8() === 1
  const status = body.u32()
  return {
    stage,
    exit: killed ? { kind: "killed", signal: status, coreDumped } : { kind: "exited", code: status },
    usage: {
      userMicros: body.u64(),
      systemMicros: body.u64(),
      maximumRssBytes: body.u64(),
      minorFaults: body.u64(),
      majorFaults: body.u64(),
      voluntarySwitches: body.u64(),
      involuntarySwitches: body.u64()
    }
  }
}

/** @internal */
export const readFailure = (body: Reader): SpawnFailure => {
  const stage = body.u8()
  const step = steps[body.u8()] ?? "fork"
  const errno = body.u32()
  const exists = body.u8() === 1
  const path = body.string()
  return new SpawnFailure({ stage, step, errno, code: errnoName(errno), exists, path: path === "" ? undefined : path })
}

/** @internal */
export const readLost = (body: Reader): ServerLost =>
  new ServerLost("supervisor", body.u8() === 2 ? "it hung" : "it died")

/** @internal */
export const readStarted = (
  body: Reader
): { supervisor: number; supervisorStart: number; pending: boolean; pids: Array<number> } => {
  const supervisor = body.u32()
  const supervisorStart = body.u64()
  const pending = body.u8() === 1
  const pids: Array<number> = []
  for (let n = body.u8(); n > 0; n--) pids.push(body.u32())
  return { supervisor, supervisorStart, pending, pids }
}
