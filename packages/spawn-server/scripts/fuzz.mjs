// fuzz.mjs [SECONDS] [SEED]: fuzzes the parsers of frames, the owner's and a supervisor's, for so long (default 60), under
// AddressSanitizer and UBSan: with libFuzzer where clang has it, else with a seeded generator.
import { spawnSync } from "node:child_process"
import { mkdirSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const seconds = process.argv[2] ?? "60"
const seed = process.argv[3] ?? String(Math.floor(Date.now() / 1000))
const output = join(root, "build", "fuzz")
const sources = ["test/fuzz.c", "src/plan.c", "src/said.c", "src/descriptors.c", "src/wire.c"].map((file) =>
  join(root, file)
)
const flags = [
  "-std=c11",
  "-Wall",
  "-Wextra",
  "-Werror",
  "-O1",
  "-g",
  "-fno-sanitize-recover=all",
  "-o",
  output,
  ...sources
]
const run = (file, args, stdio = "inherit") => spawnSync(file, args, { stdio, cwd: root }).status

mkdirSync(dirname(output), { recursive: true })
if (run("clang", ["-fsanitize=fuzzer,address,undefined", ...flags], "ignore") === 0) {
  process.exitCode = run(output, [`-max_total_time=${seconds}`, `-seed=${seed}`, "-max_len=8192"]) ?? 1
} else if (run("cc", ["-DSTANDALONE", "-fsanitize=address,undefined", ...flags]) === 0) {
  process.exitCode = run(output, [seconds, seed]) ?? 1
} else {
  console.log("no compiler with sanitizers: not fuzzed")
}
