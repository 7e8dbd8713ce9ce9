/** The files that scripted commands read and write: a map, so that a unit test touches no disk. */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import type { Redirect } from "effect-process/Engine"
import { SpawnFailure } from "effect-process/Engine"
import { bytesOf, concat } from "./bytes.ts"
import { VirtualPipe } from "./virtualPipe.ts"

/** Where a program writes. @internal */
export interface Target {
  /** False when nobody reads any more. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<boolean>
}

type FileRedirect = Extract<Redirect, { readonly to: "file" }>

/** @internal */
export class VirtualFiles {
  private readonly contents = new Map<string, Array<Uint8Array>>()

  constructor(files: Readonly<Record<string, string | Uint8Array>>) {
    for (const [name, content] of Object.entries(files)) this.contents.set(path.resolve(name), [bytesOf(content)])
  }

  /** Why a spawn that opens this file fails, as open(2) would say it. */
  refusal({ mode, path: name }: FileRedirect, index: number): SpawnFailure | undefined {
    return mode !== "read" || this.contents.has(path.resolve(name)) ? undefined : new SpawnFailure({
      reason: "NotFound",
      stage: "open",
      errno: "ENOENT",
      path: name,
      detail: "the script has no such file; give it to ScriptedSpawner.layer in its option `files`",
      index
    })
  }

  reader({ path: name }: FileRedirect): VirtualPipe {
    const pipe = new VirtualPipe({ room: Infinity })
    // A pipe with room for everything takes it at once.
    Effect.runSync(Effect.forEach(this.contents.get(path.resolve(name)) ?? [], (bytes) => pipe.write(bytes)))
    pipe.end()
    return pipe
  }

  writer({ mode, path: name }: FileRedirect): Target {
    const file = path.resolve(name)
    const kept = this.contents.get(file)
    const content = mode === "append" && kept !== undefined ? kept : []
    this.contents.set(file, content)
    return { write: (bytes) => Effect.sync(() => content.push(bytes) > 0) }
  }

  /** What is in them now, by their full names. */
  get snapshot(): ReadonlyMap<string, Uint8Array> {
    return new Map([...this.contents].map(([name, chunks]) => [name, concat(chunks)]))
  }
}
