// Cross-compiles for arm64 and runs `--version` under qemu-user. More does not go there: qemu-user 7.2 has no
// PR_SET_CHILD_SUBREAPER. Says what is missing and succeeds where the tools are not there.
import { spawnSync } from "node:child_process"
import { build } from "./build.mjs"

const qemu = ["qemu-aarch64-static", "qemu-aarch64"].find((name) =>
  spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0
)
const result = build("arm64")
if (result.failed === true) {
  process.exitCode = 1
} else if (result.skipped !== undefined || qemu === undefined) {
  console.log(result.skipped ?? "no qemu-user: not smoke-tested")
} else {
  const { status, stdout } = spawnSync(qemu, [result.output, "--version"], { encoding: "utf8" })
  console.log(stdout.trim())
  process.exitCode = status === 0 && stdout.includes("protocol") ? 0 : 1
}
