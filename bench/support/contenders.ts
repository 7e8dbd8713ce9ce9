/** Who is measured, in the order of the tables. */
import { Data, Effect, type Scope } from "effect"
import { Command, type ProcessSpawner } from "effect-process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import { locate, type Runtime } from "./runtimes.ts"
import * as Worker from "./Worker.ts"

export interface Contender {
  /** Its module in `peers/`. */
  readonly peer: string
  readonly label: string
  /** The npm package whose version is told. */
  readonly npm?: string
  readonly runtime: Runtime
  /** In words, the options that its row "best" means; none where it has no such row. */
  readonly best?: string
}

export const ours: Contender = {
  peer: "spawnServer",
  label: "effect-process",
  runtime: "node",
  best: "`gracePeriod` 500 ms"
}

export const fallback: Contender = {
  peer: "childProcess",
  label: "effect-process, fallback",
  runtime: "node",
  best: "`gracePeriod` 500 ms"
}

export const dropIn: Contender = {
  peer: "dropIn",
  label: "effect-process as the executor of @effect/platform",
  runtime: "node"
}

export const raw: Contender = {
  peer: "raw",
  label: "node:child_process",
  runtime: "node",
  best: "by hand: `detached`, and `process.kill(-pid, \"SIGKILL\")` at the time limit and after the end"
}

/** What the peers that need a newer Node.js are to be held against. */
export const rawNewer: Contender = { peer: "raw", label: "node:child_process", runtime: "newer" }

export const execa: Contender = {
  peer: "execa",
  label: "execa",
  npm: "execa",
  runtime: "newer",
  best: "`killDescendants`, `forceKillAfterDelay` 500 ms, `cleanup`"
}

export const nanoSpawn: Contender = {
  peer: "nanoSpawn",
  label: "nano-spawn",
  npm: "nano-spawn",
  runtime: "node",
  best: "`killSignal: \"SIGKILL\"`; it has no more"
}

export const tinyexec: Contender = {
  peer: "tinyexec",
  label: "tinyexec",
  npm: "tinyexec",
  runtime: "node",
  best: "`killSignal: \"SIGKILL\"` in `nodeOptions`; it has no more"
}

export const zx: Contender = {
  peer: "zx",
  label: "zx",
  npm: "zx",
  runtime: "node",
  best: "`detached`, `timeoutSignal: \"SIGKILL\"`"
}

export const platform: Contender = {
  peer: "platform",
  label: "@effect/platform Command",
  npm: "@effect/platform-node",
  runtime: "node",
  best: "`Effect.disconnect`, so that nobody waits for the end; it has no option"
}

export const effect4: Contender = {
  peer: "effect4",
  label: "Effect 4 ChildProcess",
  npm: "effect",
  runtime: "newer",
  best: "`forceKillAfter` 500 ms"
}

export const bun: Contender = {
  peer: "bun",
  label: "Bun.spawn",
  runtime: "bun",
  best: "`killSignal: \"SIGKILL\"`"
}

export const go: Contender = {
  peer: "go",
  label: "Go os/exec",
  runtime: "node",
  best: "`Setpgid`, `Pdeathsig`, `Cancel` with `kill(-pid, SIGKILL)`, `WaitDelay` 500 ms (the last two since Go 1.20)"
}

/** Also in C, for what it can do. */
export const posixSpawn: Contender = { peer: "posixSpawn", label: "posix_spawn in C", runtime: "node" }

/** The plain client, for the same. */
export const client: Contender = { peer: "client", label: "the plain client, without Effect", runtime: "node" }

export class Absent extends Data.TaggedError("Absent")<{ readonly why: string }> {
  override get message(): string {
    return this.why
  }
}

const goVersion = Command.string(Command.make("go", "version")).pipe(
  Effect.map((printed) => /go([\d.]+)/.exec(printed)?.[1] ?? "?"),
  Effect.mapError(() => new Absent({ why: "Go is not installed" }))
)

const versionIn = (npm: string, from: string): string => {
  const require = createRequire(from)
  for (const directory of require.resolve.paths(npm) ?? []) {
    const file = `${directory}/${npm}/package.json`
    if (fs.existsSync(file)) return (JSON.parse(fs.readFileSync(file, "utf8")) as { version: string }).version
  }
  return "?"
}

export interface Present {
  /** With its version, as the tables name it. */
  readonly name: string
  readonly program: string
}

/** Its full name and what runs it, or why it cannot be run here. */
export const find = (contender: Contender): Effect.Effect<Present, Absent, ProcessSpawner> =>
  Effect.gen(function*() {
    const { label, npm, peer, runtime } = contender
    const { name, path } = yield* Effect.mapError(locate(runtime), (why) => new Absent({ why }))
    if (peer === "go") return { name: `${label} ${yield* goVersion}`, program: path }
    if (runtime === "bun") return { name: `${label} ${name.split(" ")[1]}`, program: path }
    const from = peer === "effect4"
      ? createRequire(import.meta.url).resolve("@effect-process/bench-effect4")
      : import.meta.url
    const version = npm === undefined ? "" : ` ${versionIn(npm, from)}`
    const where = runtime === "newer" ? `, ${name}` : ""
    return { name: `${label}${version}${where}`, program: path }
  })

export const start = (
  contender: Contender,
  options: Worker.WorkerOptions = {}
): Effect.Effect<Worker.Worker, Worker.Failure | Absent, ProcessSpawner | Scope.Scope> =>
  Effect.flatMap(find(contender), ({ program }) => Worker.start(contender.peer, { ...options, program }))
