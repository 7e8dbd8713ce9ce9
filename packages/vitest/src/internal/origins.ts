/** Who started what: where `node:child_process` was called, and which commands went through a ProcessSpawner of ours. */
import type { ChildProcess } from "node:child_process"
import { subscribe } from "node:diagnostics_channel"
import * as fs from "node:fs"
import * as clock from "./clock.ts"

/** @internal */
export interface Origin {
  readonly pid: number
  /** Milliseconds since 1970. */
  readonly at: number
  /** Of a call of `node:child_process`: its stack is that of the call. */
  readonly call?: Error
  /** Of a command: what it is, and the command lines below it by pid, with nothing secret in them; and who ran it. */
  readonly command?: {
    readonly text: string
    readonly test: string
    readonly below: () => Promise<ReadonlyMap<number, string>>
  }
}

/** The oldest are forgotten: what a suite of thousands of spawns needs is the last of them. */
const most = 2_000

let origins: Array<Origin> = []

/** @internal */
export const remember = (origin: Origin): void => {
  origins.push(origin)
  if (origins.length < 2 * most) return
  // Those that still live are what a check of the whole file may ask for.
  origins = [...origins.slice(0, most).filter(({ pid }) => fs.existsSync(`/proc/${pid}`)), ...origins.slice(most)]
}

/**
 * What was started since a time, in order.
 *
 * @internal
 */
export const since = (at: number): ReadonlyArray<Origin> => origins.filter((origin) => origin.at >= at)

const onChild = (message: unknown): void => {
  const { process: child } = message as { readonly process: ChildProcess }
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 30
  // Its text is made only when somebody asks for it.
  const call = new Error("started here")
  Error.stackTraceLimit = limit
  const at = clock.now()
  // The channel tells of the object, which is spawned after that, in the same turn.
  queueMicrotask(() => {
    if (child.pid !== undefined) remember({ pid: child.pid, at, call })
  })
}

let listens = false

/**
 * From now on calls of `node:child_process` are remembered.
 *
 * @internal
 */
export const listen = (): void => {
  if (listens) return
  listens = true
  subscribe("child_process", onChild)
}

/** The frames of a call that are neither Node's nor ours; of those of libraries only when there are no others. */
const framesOf = (call: Error): ReadonlyArray<string> => {
  const all = (call.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line)).slice(1)
    .filter((line) => !/\(node:|at node:/.test(line))
  const own = all.filter((line) => !line.includes("/node_modules/"))
  return own.length === 0 ? all : own
}

/**
 * The stack of a call, without its first line.
 *
 * @internal
 */
export const stackOf = (call: Error): string => framesOf(call).join("\n")

/**
 * The place of a call: file, line and column.
 *
 * @internal
 */
export const siteOf = (call: Error): string | undefined =>
  framesOf(call)[0]?.replace(/^\s+at (async )?/, "").replace(/^.*\((.*)\)$/, "$1").replace(/^file:\/\//, "")
