// fuzz.mjs [SECONDS] [SEED]: fuzzes the parsers of frames, the owner's and a supervisor's, for so long (default 60), under
// AddressSanitizer and UBSan: with libFuzzer where clang has it, else with a seeded generator.
import { spawnSync } from "node:child_process"
import { mkdirSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parsers, warnings } from "./build.mjs"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const seconds = process.argv[2] ?? "60"
const seed = process.argv[3] ?? String(Math.floor(Date.now() / 1000))
const output = join(root, "build", "fuzz")
const flags = [...warnings, "-O1", "-g", "-fno-sanitize-recover=all"]
const run = (file, args, options = {}) => spawnSync(file, args, { stdio: "inherit", cwd: root, ...options }).status

/** Whether a compiler can build a program with these flags: told by an empty one, so that a fault in ours is none of the compiler's. */
const can = (compiler, own, program) =>
  run(compiler, [...own, "-x", "c", "-", "-o", output], { input: program, stdio: ["pipe", "ignore", "ignore"] }) === 0

const fuzz = (compiler, own, args) =>
  run(compiler, [...own, ...flags, "-o", output, ...parsers]) === 0 ? run(output, args) ?? 1 : 1

mkdirSync(dirname(output), { recursive: true })
const libFuzzer = ["-fsanitize=fuzzer,address,undefined"]
const standalone = ["-DSTANDALONE", "-fsanitize=address,undefined"]
if (
  can("clang", libFuzzer, "int LLVMFuzzerTestOneInput(const void *data, unsigned long size) { return data && !size; }")
) {
  process.exitCode = fuzz("clang", libFuzzer, [`-max_total_time=${seconds}`, `-seed=${seed}`, "-max_len=8192"])
} else if (can("cc", standalone, "int main(void) { return 0; }")) {
  process.exitCode = fuzz("cc", standalone, [seconds, seed])
} else {
  console.log("no compiler with sanitizers: not fuzzed")
}
