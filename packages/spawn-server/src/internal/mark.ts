/** The variable by which it is known whose a process is: what is in it, and whether the one that it names still lives. */
import { randomUUID } from "node:crypto"
import { isDeadState, livingThread, readProc, readStat } from "./procfs.ts"
import { presence } from "./presence.ts"

/**
 * The variable by which it is known whose a process is.
 *
 * @since 0.1.0
 * @category marks
 */
export const markName = "EFFECT_PROCESS_OWNER"

/** Not readable in some sandboxes: pid and start time remain. */
const bootId = (): string => readProc("/proc/sys/kernel/random/boot_id")?.trim() ?? ""

/**
 * This process as that variable names it: pid, start time in ticks, boot id, effective user.
 *
 * @example
 * import { ownerParts, parseMark } from "@effect-process/spawn-server"
 *
 * parseMark(ownerParts())?.pid === process.pid // => true
 *
 * @since 0.1.0
 * @category marks
 */
export const ownerParts = (): string =>
  `${process.pid}:${readStat("self")?.start ?? ""}:${bootId()}:${process.geteuid?.() ?? ""}`

let owner: string | undefined

/**
 * What every process of one server's jobs carries in its environment: our parts, by which an owner is known, and an id of
 * the server's own, because another layer of this owner goes on when this one is lost.
 *
 * @internal
 */
export const makeMark = (): string => `${markName}=${(owner ??= ownerParts())}:${randomUUID()}`

/**
 * An owner, as the mark names it. `name` is the mark without what tells its layers apart.
 *
 * @since 0.1.0
 * @category marks
 */
export interface Mark {
  readonly name: string
  readonly pid: number
  readonly start: string
  readonly boot: string
  readonly uid: number
}

/**
 * Undefined when it is not one of ours: then nothing is known of its process.
 *
 * @example
 * import { parseMark } from "@effect-process/spawn-server"
 *
 * parseMark("4711:123456:boot:1000:layer")?.pid // => 4711
 * parseMark("something else") // => undefined
 *
 * @since 0.1.0
 * @category marks
 */
export const parseMark = (value: string): Mark | undefined => {
  const match = /^((\d{1,10}):([^:]+):([^:]*):(\d{1,10}))(?::|$)/.exec(value)
  if (match === null) return undefined
  const [, name = "", pid, start = "", boot = "", uid] = match
  return Number(pid) > 0 ? { name, pid: Number(pid), start, boot, uid: Number(uid) } : undefined
}

/**
 * The mark in an environment as `environmentOf` gives it.
 *
 * @example
 * import { markIn } from "@effect-process/spawn-server"
 *
 * markIn("\0HOME=/root\0EFFECT_PROCESS_OWNER=4711:123456:boot:1000:layer\0")?.uid // => 1000
 *
 * @since 0.1.0
 * @category marks
 */
export const markIn = (environment: string): Mark | undefined => {
  const at = environment.indexOf(`\0${markName}=`)
  if (at < 0) return undefined
  const from = at + markName.length + 2
  return parseMark(environment.slice(from, environment.indexOf("\0", from)))
}

/**
 * Whether the owner lives. Its pid may be another's by now, and it may be a zombie. In doubt it lives.
 *
 * @example
 * import { isOwnerAlive, ownerParts, parseMark } from "@effect-process/spawn-server"
 *
 * const own = parseMark(ownerParts())
 * own !== undefined && isOwnerAlive(own) // => true
 *
 * @since 0.1.0
 * @category marks
 */
export const isOwnerAlive = ({ boot, pid, start }: Mark): boolean => {
  const now = bootId()
  if (boot !== "" && now !== "" && boot !== now) return false
  const stat = readStat(pid)
  // It may be hidden from us.
  if (stat === undefined) return presence(pid) !== "gone"
  return String(stat.start) === start && (!isDeadState(stat.state) || livingThread(pid) !== undefined)
}
