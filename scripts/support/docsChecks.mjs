// What the documentation's code calls once `docsBlocks.mjs` has made it check itself.
import { createRequire } from "node:module"
import { pathToFileURL } from "node:url"
import { inspect, isDeepStrictEqual } from "node:util"

/** Makes the functions global, with the libraries that the project sees; returns what stops what they started. */
export const install = async (project) => {
  const load = (name) => import(pathToFileURL(createRequire(`${project}/`).resolve(name)))
  const { Chunk, Effect, ManagedRuntime } = await load("effect")
  const { NodeProcess } = await load("@effect-process/node")
  const runtime = ManagedRuntime.make(NodeProcess.layer)

  const plain = (value) => {
    if (Chunk.isChunk(value)) return [...value]
    return value instanceof Uint8Array || value === undefined ? value : JSON.parse(JSON.stringify(value))
  }
  const equal = (actual, expected) => {
    const wanted = expected()
    if (!isDeepStrictEqual(actual, wanted) && !isDeepStrictEqual(plain(actual), plain(wanted))) {
      throw new Error(`it says ${inspect(wanted)}, and gives ${inspect(plain(actual))}`)
    }
    return actual
  }
  const run = (value) => Effect.isEffect(value) ? runtime.runPromise(Effect.scoped(value)) : value
  globalThis.__documented = { run, equal, check: async (value, expected) => equal(await run(value), expected) }
  return () => runtime.dispose()
}
