/** The programs that run the peers: this Node.js, a newer one, or Bun. What is not there is fetched from npm, once, by npx. */
import { Effect } from "effect"
import { Command, type ProcessSpawner } from "effect-process"

/** `newer`: Node.js 24, unless this one is new enough for the peers that ask for 22.19. */
export type Runtime = "node" | "newer" | "bun"

export interface Located {
  readonly path: string
  /** As in "Node.js v20.20.2". */
  readonly name: string
}

const [newerNode, bun] = ["node@24", "bun@1.4.5"] as const

const thisNode: Located = { path: process.execPath, name: `Node.js ${process.version}` }

const isNewer = (): boolean => {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  return major > 22 || (major === 22 && minor >= 19)
}

// What npm sets for its children (which packages to run, for one) is not meant for the npx that follows.
const withoutNpm = Object.fromEntries(
  Object.keys(process.env).filter((name) => /^npm_/i.test(name)).map((name) => [name, undefined])
)

const fetch = (name: string, npmPackage: string, binary: string, print: string) =>
  Command.make("npx", "--yes", `--package=${npmPackage}`, "--", binary, print, "[process.execPath, process.version]+''")
    .pipe(
      Command.env(withoutNpm),
      Command.timeout("2 minutes"),
      Command.string,
      Effect.map((printed): Located => {
        const [path = "", version = ""] = printed.trim().split(",")
        return { path, name: `${name} ${version}` }
      }),
      Effect.mapError(() => `${npmPackage} could not be fetched from npm`)
    )

const located: { [runtime in Runtime]?: Located | string } = {}

/** Where it is, or why it is not. Asked once in a run. */
export const locate = (runtime: Runtime): Effect.Effect<Located, string, ProcessSpawner> =>
  Effect.gen(function*() {
    const known = located[runtime]
    if (known !== undefined) return yield* typeof known === "string" ? Effect.fail(known) : Effect.succeed(known)
    if (runtime === "node" || (runtime === "newer" && isNewer())) return thisNode
    const found = runtime === "bun"
      ? fetch("Bun", bun, "bun", "-p").pipe(
        // `process.version` of Bun is that of the Node.js that it imitates.
        Effect.map(({ path }) => ({ path, name: `Bun ${bun.split("@")[1]}` }))
      )
      : fetch("Node.js", newerNode, "node", "-p")
    return yield* found.pipe(
      Effect.tap((it) => Effect.sync(() => void (located[runtime] = it))),
      Effect.tapError((why) => Effect.sync(() => void (located[runtime] = why)))
    )
  })
