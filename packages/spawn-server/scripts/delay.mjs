// Runs the conformance suite on a spawn server whose system calls are delayed at random, to find what goes wrong when a process is
// kept from going on at the wrong moment. Arguments go to vitest. Not part of CI: it looks for what no test holds yet.
//
//     DELAY_ONE_IN=4 DELAY_MICROS=12000 pnpm test:delayed -t pipelines
import { spawnSync } from "node:child_process"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "./build.mjs"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const workspace = join(root, "../..")

// One tracer for all of it is no match for a bomb; and who is traced is not stopped in the way that some look for, nor is the
// program's own name the one that others look for.
const without = ["40: ", "tree 9: ", "descendants 9: ", "orphans ", "a hostile child that calls", "42: "]

const result = build("release")
if (result.output === undefined) throw new Error(result.skipped ?? "the spawn server was not built")
const delay = join(root, "build/fixtures/delay")
const compiled = spawnSync("cc", ["-std=gnu11", "-Wall", "-Wextra", "-O1", "-o", delay, join(root, "test/delay.c")], {
  stdio: "inherit"
})
if (compiled.status !== 0) process.exit(1)

const seed = process.env.DELAY_SEED ?? String(Math.floor(Math.random() * 1e6))
console.log(`DELAY_SEED=${seed}`)
const given = process.argv.slice(2)
const { status } = spawnSync(
  join(workspace, "node_modules/.bin/vitest"),
  ["run", "test/conformance/spawnServer", ...(given.length > 0 ? given : ["-t", `^(?!${without.join("|")})`])],
  {
    cwd: workspace,
    stdio: "inherit",
    env: {
      ...process.env,
      DELAY_SEED: seed,
      DELAY_PROGRAM: result.output,
      SPAWN_SERVER_BINARY: delay,
      EFFECT_PROCESS_LOADED: "1"
    }
  }
)
process.exitCode = status ?? 1
