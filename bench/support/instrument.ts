/**
 * Measures from outside how long the calls take that a spawn makes on the owner's thread: the request to the spawn server,
 * the opening of pipes, the making of sockets; for `node:child_process`, its `spawn`. To be imported before a peer is.
 */
import { SpawnServer } from "@effect-process/spawn-server"
import childProcess from "node:child_process"
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import net from "node:net"

let total = 0
let depth = 0

/** Of nested calls the outermost counts. */
const timed = <A>(call: () => A): A => {
  if (depth > 0) return call()
  depth++
  const began = performance.now()
  try {
    return call()
  } finally {
    total += performance.now() - began
    depth--
  }
}

const wrap = <A extends object>(owner: A, name: keyof A): void => {
  const original = owner[name] as new(...args: Array<unknown>) => object
  const wrapped: object = new Proxy(original, {
    apply: (target, self, args) => timed((): unknown => Reflect.apply(target, self, args)),
    construct: (target, args: Array<unknown>, made) =>
      // Given another `new.target`, even if it is only a proxy, the engine makes a socket in three times the time.
      timed(() => made === wrapped ? new target(...args) : Reflect.construct(target, args, made) as object)
  })
  owner[name] = wrapped as A[keyof A]
}

wrap(SpawnServer.prototype, "spawn")
wrap(fs, "openSync")
wrap(net, "Socket")
wrap(childProcess, "spawn")
syncBuiltinESMExports()

const { Bun } = globalThis as unknown as { readonly Bun?: { spawn: unknown } }
if (Bun !== undefined) wrap(Bun, "spawn")

/** Milliseconds since it was last asked. */
export const taken = (): number => {
  const result = total
  total = 0
  return result
}
