// Checks the packages as they would be published: the tarballs themselves, then a program that installs them with npm in
// an empty folder, is type-checked with both module resolutions and runs.
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const bin = (name) => path.join(root, "node_modules/.bin", name)

// The settings that pnpm hands down are not the consumer's.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)))

const run = (file, args, cwd) => {
  console.log(`$ ${path.basename(file)} ${args.join(" ")}`)
  execFileSync(file, args, { cwd, env, stdio: ["ignore", "inherit", "inherit"] })
}

const readJson = (file) => JSON.parse(fs.readFileSync(file, "utf8"))

const packages = fs.readdirSync(path.join(root, "packages"))
  .map((name) => path.join(root, "packages", name))
  .filter((directory) => !readJson(path.join(directory, "package.json")).private)

/** The version that the workspace is built and tested with. */
const installed = (name) =>
  createRequire(path.join(root, "packages/vitest/package.json")).resolve(`${name}/package.json`)

const program = `import * as Platform from "@effect/platform/Command"
import { NodeProcess } from "@effect-process/node"
import * as NodeCommandExecutor from "@effect-process/node/NodeCommandExecutor"
import { Effect } from "effect"
import { Command } from "effect-process"
import * as Subpath from "effect-process/Command"

const program = Command.make("sh", "-c", "echo consumer: $0", Command.isCommand === Subpath.isCommand ? "one" : "two").pipe(
  Command.timeout("10 seconds"),
  Command.string
)
const output: string = await Effect.runPromise(program.pipe(Effect.provide(NodeProcess.layer)))
if (output !== "consumer: one\\n") throw new Error(output)

const theirs = Platform.lines(Platform.make("echo", "drop-in")).pipe(Effect.provide(NodeCommandExecutor.layer))
const lines: Array<string> = await Effect.runPromise(theirs)
if (lines.join() !== "drop-in") throw new Error(lines.join())
`

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

export default defineConfig({ test: { include: ["suite.js"], setupFiles: ["@effect-process/vitest/leak-check"] } })
`

const tsconfig = (module, moduleResolution, file, options) => ({
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
  files: [file]
})

/** What vitest declares needs the types of Node, and is not ours to check. */
const ofSuite = { types: ["node"], skipLibCheck: true }

const projects = {
  "nodenext.json": tsconfig("NodeNext", "NodeNext", "consumer.ts"),
  "bundler.json": tsconfig("ESNext", "bundler", "consumer.ts"),
  "suite.nodenext.json": tsconfig("NodeNext", "NodeNext", "suite.ts", ofSuite),
  "suite.bundler.json": tsconfig("ESNext", "bundler", "suite.ts", ofSuite)
}

const work = fs.mkdtempSync(path.join(os.tmpdir(), "effect-process-packages-"))
try {
  const pnpm = process.env.npm_execpath
  const tarballs = packages.map((directory) => {
    const { name, version } = readJson(path.join(directory, "package.json"))
    const args = ["pack", "--pack-destination", work]
    if (pnpm?.includes("pnpm")) execFileSync(process.execPath, [pnpm, ...args], { cwd: directory, stdio: "ignore" })
    else execFileSync("npx", ["--yes", "pnpm@10", ...args], { cwd: directory, stdio: "ignore" })
    return path.join(work, `${name.replace("@", "").replace("/", "-")}-${version}.tgz`)
  })
  for (const tarball of tarballs) {
    run(bin("publint"), [tarball, "--strict"], root)
    // ESM only: what CommonJS and the resolution of Node 10 would find is not looked at.
    run(bin("attw"), ["--profile", "esm-only", "--format", "ascii", "--quiet", tarball], root)
  }

  const consumer = path.join(work, "consumer")
  fs.mkdirSync(consumer)
  fs.writeFileSync(path.join(consumer, "package.json"), JSON.stringify({ private: true, type: "module" }))
  fs.writeFileSync(path.join(consumer, "consumer.ts"), program)
  fs.writeFileSync(path.join(consumer, "suite.ts"), suite)
  fs.writeFileSync(path.join(consumer, "vitest.config.js"), vitestConfig)
  for (const [name, project] of Object.entries(projects)) {
    fs.writeFileSync(path.join(consumer, name), JSON.stringify(project))
  }
  const peers = ["effect", "@effect/platform", "@effect/vitest", "vitest", "@types/node"].map((name) =>
    `${name}@${readJson(installed(name)).version}`
  )
  run("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", ...tarballs, ...peers], consumer)
  for (const name of Object.keys(projects)) run(bin("tsc"), ["-p", name], consumer)
  run(process.execPath, ["consumer.js"], consumer)
  run(process.execPath, ["node_modules/vitest/vitest.mjs", "run"], consumer)
  console.log(`the packages work for a consumer on Node ${process.version}`)
} finally {
  fs.rmSync(work, { recursive: true, force: true })
}
