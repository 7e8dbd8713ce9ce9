// Other releases of Node.js, and Bun, from the npm packages `node` and `bun`, kept where npx keeps what it has installed.
import { execFileSync } from "node:child_process"
import { plainEnvironment } from "./tarballs.mjs"

const npx = (spec, ...command) =>
  execFileSync("npx", ["--yes", `--package=${spec}`, "--", ...command], {
    encoding: "utf8",
    env: plainEnvironment,
    stdio: ["ignore", "pipe", "inherit"]
  }).trim()

/** The path of the program. */
export const nodeOf = (release) => npx(`node@${release}`, "node", "-p", "process.execPath")

/** The path of the program. */
export const bunOf = (release) => npx(`bun@${release}`, "bun", "-e", "console.log(process.execPath)")
