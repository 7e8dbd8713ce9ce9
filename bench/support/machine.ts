/** On what, with what and under which load something was measured. */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as os from "node:os"

const load = (): string => os.loadavg().map((value) => value.toFixed(2)).join(", ")

/** Before the first measurement: a later one would count the benchmark itself. */
const loadAtStart = load()
const before = os.loadavg()[0] ?? 0

const effectVersion = (): string => {
  const require = createRequire(import.meta.url)
  return (JSON.parse(fs.readFileSync(require.resolve("effect/package.json"), "utf8")) as { version: string }).version
}

const commit = (): string => {
  try {
    const git = (...args: ReadonlyArray<string>) => execFileSync("git", args, { encoding: "utf8" }).trim()
    return `${git("rev-parse", "--short", "HEAD")}${git("status", "--porcelain", "-uno") === "" ? "" : ", changed"}`
  } catch {
    return "unknown"
  }
}

export const describe = (): string => {
  const gibibytes = (os.totalmem() / 2 ** 30).toFixed(0)
  const busy = Math.max(before, os.loadavg()[0] ?? 0) > 4 * os.cpus().length
  return [
    `- ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC, commit ${commit()}`,
    `- ${os.cpus().length} × ${os.cpus()[0]?.model ?? "?"}, ${gibibytes} GiB, ${os.type()} ${os.release()}`,
    `- Node.js ${process.version}, effect ${effectVersion()}`,
    `- load average ${loadAtStart} before, ${load()} after${
      busy ? "; **others were at work on this machine, so the figures are no verdict**" : ""
    }`
  ].join("\n")
}
