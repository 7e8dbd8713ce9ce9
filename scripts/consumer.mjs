// The packages in the hands of a stranger: npm installs the tarballs in an empty folder, by name where they are scoped, and
// TypeScript compiles programs that use every package, with both module resolutions. Those run with a PATH on which there is no
// compiler, on every release of Node.js that is promised, must run on the prebuilt spawn server and leave no process. On Bun
// goes what needs no process.
//
//     node scripts/consumer.mjs
//     node scripts/consumer.mjs --node 20,24   on these releases only, and not on Bun
//     node scripts/consumer.mjs --keep         leaves the folder, and says where it is
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { parseArgs, promisify } from "node:util"
import { files, projects } from "./support/consumerPrograms.mjs"
import { serve } from "./support/registry.mjs"
import { bunOf, nodeOf } from "./support/runtimes.mjs"
import { packAll, plainEnvironment, readJson, root } from "./support/tarballs.mjs"

const { values: options } = parseArgs({
  options: { node: { type: "string" }, keep: { type: "boolean", default: false } }
})
const releases = (options.node ?? "20,22,24,26").split(",")
const bunRelease = "1"
const platform = `${process.platform}-${process.arch}`
const hasPrebuilt = fs.existsSync(path.join(root, `packages/spawn-server-${platform}/bin/effect-process-spawn-server`))
if (!hasPrebuilt) {
  throw new Error(`run packages/spawn-server/scripts/prebuild.mjs first: nothing is built for ${platform}`)
}

/** The version that the workspace is built and tested with. */
const peers = ["effect", "@effect/platform", "@effect/vitest", "vitest", "@types/node"].map((name) => {
  const { resolve } = createRequire(path.join(root, "packages/vitest/package.json"))
  return `${name}@${readJson(resolve(`${name}/package.json`)).version}`
})

const began = performance.now()
const log = (text) => console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(5)} s  ${text}`)

/** In a process that ends; what it printed is told when it fails. */
const run = async (file, args, options) => {
  try {
    return (await promisify(execFile)(file, args, { timeout: 120_000, killSignal: "SIGKILL", ...options })).stdout
  } catch (error) {
    throw new Error(`${file} ${args.join(" ")}: ${error.message}\n${error.stdout ?? ""}${error.stderr ?? ""}`, {
      cause: error
    })
  }
}

/** A folder with the programs that ours start, for a PATH on which there is nothing else. */
const barePath = (folder) => {
  fs.mkdirSync(folder)
  const places = (plainEnvironment.PATH ?? "").split(path.delimiter)
  for (
    const name of [
      "bash",
      "cat",
      "echo",
      "head",
      "kill",
      "ls",
      "mkfifo",
      "ps",
      "rm",
      "sed",
      "setsid",
      "sh",
      "sleep",
      "wc"
    ]
  ) {
    const file = places.map((place) => path.join(place, name)).find((file) => fs.existsSync(file))
    if (file === undefined) throw new Error(`${name} is not on this machine`)
    fs.symlinkSync(file, path.join(folder, name))
  }
  return folder
}

/** A word for `sleep` by which its processes are found, and nobody else's. */
let tokens = 0
const newToken = () => `${6000 + tokens++}.${process.pid}`

const withToken = (token) =>
  fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).filter((pid) => {
    try {
      return fs.readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0").slice(1).some((word) => word === token) &&
        fs.readFileSync(`/proc/${pid}/comm`, "latin1").trim() === "sleep"
    } catch {
      return false
    }
  })

/** Runs a program that gets a token as its last argument; nothing that bears it may be left. */
const leavesNothing = async (file, args, options) => {
  const token = newToken()
  await run(file, [...args, token], options)
  const left = withToken(token)
  if (left.length > 0) throw new Error(`${args.join(" ")} left processes: ${left.join(", ")}`)
}

const work = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "effect-process-consumer-")))
const consumer = path.join(work, "consumer")
const bare = { ...plainEnvironment, PATH: barePath(path.join(work, "bin")), NO_COLOR: "1" }
const inConsumer = { cwd: consumer, env: bare }

const install = async () => {
  const packed = packAll(work)
  const registry = await serve(packed)
  try {
    fs.mkdirSync(consumer)
    fs.writeFileSync(path.join(consumer, "package.json"), JSON.stringify({ private: true, type: "module" }))
    fs.writeFileSync(path.join(consumer, ".npmrc"), `@effect-process:registry=${registry.address}\n`)
    for (const [name, content] of Object.entries(files)) fs.writeFileSync(path.join(consumer, name), content)
    const own = packed.map(({ name, tarball }) => name.startsWith("@") ? name : tarball)
      .filter((name) => !name.includes("spawn-server-"))
    const args = ["install", "--no-audit", "--no-fund", "--ignore-scripts", ...own, ...peers]
    await run("npm", args, { cwd: consumer, env: plainEnvironment, timeout: 180_000 })
  } finally {
    registry.close()
  }
  const scope = path.join(consumer, "node_modules/@effect-process")
  const prebuilt = fs.readdirSync(scope).filter((name) => name.startsWith("spawn-server-"))
  if (prebuilt.join() !== `spawn-server-${platform}`) {
    throw new Error(`npm installed ${prebuilt.join() || "no program"}`)
  }
  log(`npm installed ${packed.length - 1} of ${packed.length} packages, the program for ${platform} with them`)
}

const onNode = async (release) => {
  const node = nodeOf(release)
  const version = (await run(node, ["--version"], inConsumer)).trim()
  await leavesNothing(node, ["consumer.js", "spawn-server"], inConsumer)
  await leavesNothing(node, ["client.js"], inConsumer)
  // Its time is a second, in which a step that CI runs below all others may not get the processor at all.
  let quickStart = ""
  for (let tries = 0; tries < 5 && !quickStart.includes("working"); tries++) {
    quickStart = await run(node, ["readme.js"], inConsumer)
  }
  if (!quickStart.includes("working")) throw new Error(quickStart)
  await run(node, ["node_modules/vitest/vitest.mjs", "run"], inConsumer)
  log(`Node ${version}: programs on the prebuilt spawn server, and a suite of tests`)
}

const onBun = async () => {
  const bun = bunOf(bunRelease)
  const version = (await run(bun, ["--version"], inConsumer)).trim()
  await run(bun, ["bun.js"], inConsumer)
  log(`Bun ${version}: descriptions and dry runs work, every engine refuses`)
}

/** As with `--omit=optional`, or on a system for which nothing is built. */
const withoutProgram = async (node) => {
  fs.rmSync(path.join(consumer, `node_modules/@effect-process/spawn-server-${platform}`), { recursive: true })
  await leavesNothing(node, ["consumer.js", "child-process"], inConsumer)
  log("without the program: the engine on node:child_process")
}

try {
  await install()
  await Promise.all(
    Object.keys(projects).map((name) => run(path.join(root, "node_modules/.bin/tsc"), ["-p", name], { cwd: consumer }))
  )
  log("TypeScript compiled the programs, with nodenext and bundler")
  for (const release of releases) await onNode(release)
  if (options.node === undefined) await onBun()
  await withoutProgram(nodeOf(releases[0]))
} finally {
  if (options.keep) console.log(work)
  else fs.rmSync(work, { recursive: true, force: true })
}
