// Cross-compiles for arm64 and runs under qemu-user what goes there: `--version`, the raw system calls, the parsers of frames
// against changed frames for two seconds. The server itself does not: qemu-user 7.2 has no PR_SET_CHILD_SUBREAPER. Says what is
// missing and succeeds where the tools are not there.
import { spawnSync } from "node:child_process"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { build, parsers, warnings } from "./build.mjs"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const cc = "aarch64-linux-gnu-gcc"
const qemu = ["qemu-aarch64-static", "qemu-aarch64"].find((name) =>
  spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0
)

const runs = (program, args, expected) => {
  const { status, stdout } = spawnSync(qemu, [program, ...args], { encoding: "utf8" })
  console.log(stdout.trim())
  return status === 0 && stdout.includes(expected)
}

/** Compiles sources of ours beside the program, and runs them. */
const passes = (name, sources, args, expected) => {
  const output = join(root, "build", `${name}-arm64`)
  const flags = [...warnings, "-O2", "-static", "-DSTANDALONE", "-o", output]
  const compiled = spawnSync(cc, [...flags, ...sources], { stdio: "inherit" })
  return compiled.status === 0 && runs(output, args, expected)
}

const result = build("arm64")
if (result.failed === true) {
  process.exitCode = 1
} else if (result.skipped !== undefined || qemu === undefined) {
  console.log(result.skipped ?? "no qemu-user: not smoke-tested")
} else {
  const good = runs(result.output, ["--version"], "protocol") &&
    passes("raw", [join(root, "test/fixtures/raw.c")], [], "good") &&
    passes("fuzz", parsers, ["2"], "no finding")
  process.exitCode = good ? 0 : 1
}
