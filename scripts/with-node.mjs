// Runs one of the workspace's scripts under another release of Node.js, which the npm package `node` brings:
//
//     node scripts/with-node.mjs 24 test
import { execFileSync, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { nodeOf } from "./support/runtimes.mjs"
import { plainEnvironment } from "./support/tarballs.mjs"

const [release, ...script] = process.argv.slice(2)
if (release === undefined || script.length === 0) {
  console.error("usage: node scripts/with-node.mjs RELEASE SCRIPT [ARGUMENT...]")
  process.exit(2)
}

const installed = nodeOf(release)

// A scenario runs it as another user, who may not look into the home directory where npx keeps it.
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "effect-process-node-"))
try {
  fs.chmodSync(folder, 0o755)
  const node = path.join(folder, "node")
  fs.copyFileSync(installed, node)
  fs.chmodSync(node, 0o755)
  console.log(`Node.js ${execFileSync(node, ["--version"], { encoding: "utf8" }).trim()}`)
  const { signal, status } = spawnSync("npx", ["--yes", "pnpm@10", ...script], {
    env: { ...plainEnvironment, PATH: `${folder}${path.delimiter}${process.env.PATH}` },
    stdio: "inherit"
  })
  process.exitCode = signal === null ? status : 1
} finally {
  fs.rmSync(folder, { recursive: true, force: true })
}
