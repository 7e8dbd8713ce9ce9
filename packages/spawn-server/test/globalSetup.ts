import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))

const run = (file: string, args: ReadonlyArray<string>): void => {
  const result = spawnSync(file, args, { cwd: root, stdio: "inherit" })
  if (result.status !== 0) throw new Error(`${file} ${args.join(" ")}: ${String(result.status ?? result.error)}`)
}

export default function setup(): void {
  run(process.execPath, ["scripts/build.mjs"])
  // The owners that tests kill run the built client.
  run(path.join(root, "../../node_modules/.bin/tsc"), ["-b", root])
  const out = path.join(root, "build", "fixtures")
  fs.mkdirSync(out, { recursive: true })
  const shared = ["daemon", "bomb", "hostile"].map((name) => path.join("../../test/fixtures", name))
  const own = ["threads", "hunter", "inject", "stall"].map((name) => path.join("test/fixtures", name))
  for (const source of [...shared, ...own]) {
    run("cc", [
      "-std=gnu11",
      "-Wall",
      "-Wextra",
      "-O1",
      "-pthread",
      "-o",
      path.join(out, path.basename(source)),
      `${source}.c`
    ])
  }
}
