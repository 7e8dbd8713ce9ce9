// Runs the package's tests and the conformance suite on the program built with AddressSanitizer and UBSan, both at once: most of
// their time is waiting. Any report of theirs fails the run, wherever the process that made it was in the tree. Arguments go to
// vitest.
import { spawn } from "node:child_process"
import { once } from "node:events"
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "./build.mjs"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const workspace = join(root, "../..")
const reports = join(root, "build", "sanitizer")
const options = `exitcode=99:log_path=${join(reports, "report")}:print_stacktrace=1`
const env = {
  // What ends by _exit(2) is not looked through for leaks, and nothing here ends otherwise.
  ASAN_OPTIONS: `${options}:detect_leaks=0:detect_stack_use_after_return=1:check_initialization_order=1`,
  UBSAN_OPTIONS: options,
  // An instrumented fork takes milliseconds, so bounds are those of a loaded machine.
  EFFECT_PROCESS_LOADED: "1"
}

const without = ["40: ", "bytes of pipelines ", "readiness ", "Sinks ", "through and sink ", "streams ", "42: "]

/** Runs vitest and prints what it said when it is done; says whether all passed. */
const passes = async (filters, binary) => {
  const child = spawn(join(workspace, "node_modules/.bin/vitest"), ["run", ...filters], {
    cwd: workspace,
    stdio: ["inherit", "pipe", "pipe"],
    env: { ...process.env, ...env, SPAWN_SERVER_BINARY: binary }
  })
  const said = []
  child.stdout.on("data", (piece) => said.push(piece))
  child.stderr.on("data", (piece) => said.push(piece))
  const [status] = await once(child, "close")
  process.stdout.write(Buffer.concat(said))
  return status === 0
}

const result = build("sanitize")
if (result.skipped !== undefined) console.log(result.skipped)
else if (result.failed === true) process.exitCode = 1
else {
  rmSync(reports, { recursive: true, force: true })
  mkdirSync(reports, { recursive: true })
  // Stages that have become another user report as well.
  chmodSync(reports, 0o1777)
  const runs = process.argv.length > 2
    ? [process.argv.slice(2)]
    // The same once more beside two busy loops would show nothing of memory, nor would what is decided above the engine.
    : [["packages/spawn-server/test"], ["test/conformance/spawnServer", "-t", `^(?!${without.join("|")})`]]
  const passed = await Promise.all(runs.map((filters) => passes(filters, result.output)))
  const found = readdirSync(reports)
  for (const name of found) console.log(`${name}\n${readFileSync(join(reports, name), "utf8")}`)
  console.log(`${found.length} reports of the sanitizers`)
  process.exitCode = !passed.includes(false) && found.length === 0 ? 0 : 1
}
