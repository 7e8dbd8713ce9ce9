// Builds the C program into build/, when a source changed. Without a compiler it says so in one line and succeeds.
// --sanitize: AddressSanitizer and UBSan. --arm64: with Debian's cross compiler. What is published is made by prebuild.mjs.
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const source = join(root, "src")

export const warnings = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]
export const hardening = [
  "-O2",
  "-D_FORTIFY_SOURCE=2",
  "-fstack-protector-strong",
  "-fstack-clash-protection",
  "-Wl,-z,relro,-z,now",
  "-Wl,-z,noexecstack"
]

/** The program's sources and headers, by name. */
export const sources = () => readdirSync(source).filter((file) => /\.[ch]$/.test(file)).sort()

/** What parses the frames of owners and supervisors, with the test that changes them. */
export const parsers = ["test/fuzz.c", "src/plan.c", "src/said.c", "src/clock.c", "src/wire.c"].map((file) =>
  join(root, file)
)

/** Whether a program is there that is newer than all sources, and than the scripts that it was built by. */
export const isUpToDate = (program, scripts) => {
  if (!existsSync(program)) return false
  const files = [...sources().map((file) => join(source, file)), fileURLToPath(import.meta.url), ...scripts]
  return statSync(program).mtimeMs >= Math.max(...files.map((file) => statSync(file).mtimeMs))
}

const has = (compiler) => spawnSync(compiler, ["--version"], { stdio: "ignore" }).status === 0
const firstOf = (compilers) => compilers.find(has)

/** What to build, with what: `undefined` where there is no compiler for it. */
export const variants = {
  release: () => {
    const cc = firstOf(["musl-gcc", ...(process.env.CC === undefined ? [] : [process.env.CC]), "cc", "gcc", "clang"])
    return cc && { output: "effect-process-spawn-server", cc, flags: [...warnings, ...hardening, "-static"] }
  },
  sanitize: () => {
    const cc = firstOf(["gcc", "clang", "cc"])
    return cc && {
      output: "effect-process-spawn-server-sanitize",
      cc,
      flags: [
        ...warnings,
        "-O1",
        "-g",
        "-fno-omit-frame-pointer",
        "-fsanitize=address,undefined",
        "-DSANITIZED",
        // As clang does: with gcc's shared libraries UBSan would not write where AddressSanitizer does.
        ...(cc === "gcc" ? ["-static-libasan", "-static-libubsan"] : []),
        "-fno-sanitize-recover=all"
      ]
    }
  },
  arm64: () => {
    const cc = firstOf(["aarch64-linux-gnu-gcc"])
    return cc && { output: "effect-process-spawn-server-arm64", cc, flags: [...warnings, ...hardening, "-static"] }
  }
}

export const build = (name) => {
  const variant = variants[name]()
  if (process.platform !== "linux") return { skipped: "the spawn server runs on Linux only" }
  if (variant === undefined) {
    return { skipped: `no C compiler for the spawn server (${name}): the fallback engine serves` }
  }
  const output = join(root, "build", variant.output)
  if (isUpToDate(output, [])) return { output, built: false }
  mkdirSync(dirname(output), { recursive: true })
  // Put in place in one step: another build or a running server may be using it.
  const temporary = `${output}.${process.pid}`
  const result = spawnSync(variant.cc, [
    ...variant.flags,
    "-o",
    temporary,
    ...sources().filter((file) => file.endsWith(".c")).map((file) => join(source, file))
  ], { stdio: "inherit" })
  if (result.status !== 0) return { failed: true }
  renameSync(temporary, output)
  return { output, built: true }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const name = process.argv.includes("--sanitize") ? "sanitize" : process.argv.includes("--arm64") ? "arm64" : "release"
  const result = build(name)
  if (result.skipped !== undefined) console.log(result.skipped)
  process.exitCode = result.failed === true ? 1 : 0
}
