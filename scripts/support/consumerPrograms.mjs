// What a stranger might write, in files: programs that use every package, and how they are compiled.
import * as fs from "node:fs"

/** The first program of the README, word for word. */
const readme = /```ts\n([^]*?)```/.exec(fs.readFileSync(new URL("../../README.md", import.meta.url), "utf8"))[1]

/** Every package but the harness. The first argument is the engine that it must run on. */
const consumer = `import * as Platform from "@effect/platform/Command"
import { NodeProcess } from "@effect-process/node"
import * as NodeCommandExecutor from "@effect-process/node/NodeCommandExecutor"
import { Effect, Option, Stream } from "effect"
import { Command, ProcessSpawner, ProcessTable } from "effect-process"
import * as Subpath from "effect-process/Command"

declare const process: { readonly argv: ReadonlyArray<string> }
const [, , expected, token] = process.argv

const check = (what: string, found: unknown, wanted: unknown): void => {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) throw new Error(\`\${what}: \${JSON.stringify(found)}\`)
}

const program = Effect.gen(function*() {
  check("engine", (yield* ProcessSpawner).guarantees.engine, expected)
  check("subpath", Command.isCommand, Subpath.isCommand)
  check("string", yield* Command.string(Command.make("sh", "-c", "echo consumer: $0", "it works")), "consumer: it works\\n")
  check("pipeline", yield* Command.make("echo", "a b").pipe(Command.pipeTo(Command.make("wc", "-w")), Command.lines), ["2"])
  const fed = Command.make("cat").pipe(Command.stdin(Stream.make("fed")), Command.string)
  check("stdin", yield* fed, "fed")
  const failed = yield* Effect.flip(Command.string(Command.make("sh", "-c", "echo why >&2; exit 3")))
  check("failure", failed._tag, "NonZeroExit")
  const late = Command.make("sleep", "60").pipe(Command.timeout("50 millis"), Command.run, Effect.flip)
  check("time-out", (yield* late)._tag, "TimedOut")
  // Two that are ended with the scope, one of them in a session of its own where the engine reaches it.
  const script = expected === "spawn-server" ? "setsid sleep $0 & sleep $0 & echo up; wait" : "sleep $0 & echo up; wait"
  const job = yield* Command.start(Command.make("sh", "-c", script, token!))
  const first = job.stdout.pipe(Stream.decodeText(), Stream.splitLines, Stream.runHead, Effect.map(Option.getOrNull))
  check("first line", yield* first, "up")
  const table = yield* ProcessTable
  const rows = yield* table.descendantsOf(job.pid)
  check("descendants", rows.length >= 1, true)
})
await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(NodeProcess.layer)))

const theirs = Platform.lines(Platform.make("echo", "drop-in")).pipe(Effect.provide(NodeCommandExecutor.layer))
check("drop-in", await Effect.runPromise(theirs), ["drop-in"])
`

/** The plain client, as the README of its package shows it. */
const client = `import { command, defaultBinary, SpawnServer } from "@effect-process/spawn-server"

if (!defaultBinary().includes("node_modules/@effect-process/spawn-server-linux-")) throw new Error(defaultBinary())
const server = await SpawnServer.start()
const job = await server.spawn(
  command("sh", ["-c", "echo hi; setsid sleep $0 &", process.argv[2]!], { graceMs: 300 })
)
let text = ""
job.readable(0).on("data", (chunk) => text += String(chunk))
const [stage] = await job.exited()
if (stage?.exit.kind !== "exited" || stage.exit.code !== 0) throw new Error(JSON.stringify(stage))
job.terminate()
if (!(await job.empty())) throw new Error("something is left")
job.close()
await server.close()
if (text !== "hi\\n") throw new Error(text)
`

/** What goes on Bun: what needs no process. An engine must refuse, instead of losing what commands print. */
const onBun = `import { NodeProcess } from "@effect-process/node"
import { SpawnServer } from "@effect-process/spawn-server"
import { Effect } from "effect"
import { Command, ProcessSpawner } from "effect-process"

if (process.versions["bun"] === undefined) throw new Error("not on Bun")

const greet = Command.shell\`echo \${"it's"} | wc -c\`
const dry = await Effect.runPromise(Command.exitCode(greet).pipe(Effect.provide(ProcessSpawner.dryRun)))
if (dry !== 0) throw new Error(String(dry))

for (const layer of [NodeProcess.layer, NodeProcess.layerSpawnServer, NodeProcess.layerChildProcess]) {
  const refused = await Effect.runPromise(Effect.flip(Command.string(greet).pipe(Effect.provide(layer))))
  if (refused._tag !== "EngineUnavailable" || !refused.message.includes("Bun")) throw new Error(refused.message)
}
const reason = await SpawnServer.start().then(() => "it started", (error: unknown) => String(error))
if (!reason.includes("Bun")) throw new Error(reason)
`

/** The harness, on vitest. */
const suite = `import { expect, it, layer } from "@effect-process/vitest"
import { Context, Effect, Layer } from "effect"
import { Command, Process } from "effect-process"
import { spawn } from "node:child_process"

class Sleeper extends Context.Tag("Sleeper")<Sleeper, Process.Process>() {
  static readonly layer = Layer.scoped(Sleeper, Command.start(Command.make("sleep", "60")))
}

it.process("runs a command", () =>
  Effect.gen(function*() {
    const text: string = yield* Command.string(Command.make("echo", "hi"))
    expect(text).toBe("hi\\n")
  }))

it.process.fails("finds a leak", () => Effect.sync(() => spawn("sleep", ["60"])))

layer(Sleeper.layer)("with a layer", (it) => {
  it.process("shares a process", () =>
    Effect.gen(function*() {
      expect(yield* (yield* Sleeper).isRunning).toBe(true)
    }))
})
`

const vitestConfig = `import { defineConfig } from "vitest/config"

export default defineConfig({ test: { include: ["suite.js"], setupFiles: ["@effect-process/vitest/leak-check"], testTimeout: 60_000 } })
`

const tsconfig = (module, moduleResolution, files, options) =>
  JSON.stringify({
    compilerOptions: {
      target: "ES2022",
      lib: ["ES2023", "DOM"],
      types: [],
      module,
      moduleResolution,
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: moduleResolution === "bundler",
      ...options
    },
    files
  })

/** What vitest declares needs the types of Node, and is not ours to check. */
const ofSuite = { types: ["node"], skipLibCheck: true }
const ofNode = { types: ["node"] }
const others = ["readme.ts", "client.ts", "bun.ts"]

/** The projects that are compiled, by the names of their files. */
export const projects = {
  "nodenext.json": tsconfig("NodeNext", "NodeNext", ["consumer.ts"]),
  "bundler.json": tsconfig("ESNext", "bundler", ["consumer.ts"]),
  "node.nodenext.json": tsconfig("NodeNext", "NodeNext", others, ofNode),
  "node.bundler.json": tsconfig("ESNext", "bundler", others, ofNode),
  "suite.nodenext.json": tsconfig("NodeNext", "NodeNext", ["suite.ts"], ofSuite),
  "suite.bundler.json": tsconfig("ESNext", "bundler", ["suite.ts"], ofSuite)
}

export const files = {
  "consumer.ts": consumer,
  "readme.ts": readme,
  "client.ts": client,
  "bun.ts": onBun,
  "suite.ts": suite,
  "vitest.config.js": vitestConfig,
  ...projects
}
