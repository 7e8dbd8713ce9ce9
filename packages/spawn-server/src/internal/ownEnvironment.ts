/** This process's environment, read at each spawn for half of what it costs. */

let names: ReadonlyArray<string> = []
let values: ReadonlyArray<string> = []
let snapshot: Readonly<Record<string, string>> = Object.freeze({})

const isUnchanged = (own: NodeJS.ProcessEnv, now: ReadonlyArray<string | symbol>): boolean => {
  if (now.length !== names.length) return false
  for (let i = 0; i < names.length; i++) {
    // By the known name, which is interned; the one just read is not, and each look-up would have to do that.
    if (now[i] !== names[i] || own[names[i]!] !== values[i]) return false
  }
  return true
}

/**
 * `process.env` as it is now: a frozen object, the same one for as long as nothing has changed. Every name and value is
 * compared, as nobody tells of changes, but by `Reflect.ownKeys`: `Object.keys` and its like ask for each property twice.
 *
 * @example
 * import { ownEnvironment } from "@effect-process/spawn-server"
 *
 * ownEnvironment() === ownEnvironment() // => true
 *
 * @since 0.1.0
 * @category environment
 */
export const ownEnvironment = (): Readonly<Record<string, string>> => {
  const own = process.env
  const now = Reflect.ownKeys(own)
  if (isUnchanged(own, now)) return snapshot
  const next: Record<string, string> = {}
  names = now.filter((name) => typeof name === "string")
  values = names.map((name) => (next[name] = own[name] ?? ""))
  snapshot = Object.freeze(next)
  return snapshot
}

/** @internal */
export const isOwnEnvironment = (env: object): boolean => env === snapshot
