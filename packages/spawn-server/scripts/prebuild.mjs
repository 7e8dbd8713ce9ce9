// Builds the programs that the packages for each platform bring, static and with musl, twice, in folders of different names:
// the bytes must be the same. Puts them, with what they were built with, into packages/spawn-server-linux-*/bin.
//
// Fails when one of them cannot be built. --available: builds what can be built here, and says what is missing; where there is
// no musl for this machine's processor, with the C library that is there.
// --stale: only those that are older than the sources.
// --check: changes nothing, and fails unless the programs that are there are those that are built now.
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { hardening, isUpToDate, sources, warnings } from "./build.mjs"
import { findMusl } from "./musl.mjs"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const name = "effect-process-spawn-server"

const targets = {
  x64: { compilers: ["x86_64-linux-gnu-gcc"], machine: 62, qemu: ["qemu-x86_64-static", "qemu-x86_64"] },
  arm64: {
    compilers: ["aarch64-linux-gnu-gcc"],
    machine: 183,
    qemu: ["qemu-aarch64-static", "qemu-aarch64"],
    // Else libgcc asks glibc's way which instructions there are.
    flags: ["-mno-outline-atomics"]
  }
}

/** Nothing of the folder, of the day or of the run is in the file. */
const reproducible = (folder) => [
  `-ffile-prefix-map=${folder}=.`,
  "-fno-ident",
  "-frandom-seed=effect-process",
  "-Wl,--build-id=none",
  "-s"
]

const versionOf = (program) => {
  const { status, stdout } = spawnSync(program, ["--version"], { encoding: "utf8" })
  return status === 0 ? stdout.split("\n")[0].trim() : undefined
}

const toolchain = (arch, available) => {
  const target = targets[arch]
  const native = arch === process.arch
  const compilers = [...target.compilers, ...(native && available ? ["cc", "gcc", "clang"] : [])]
  const cc = compilers.find((compiler) => versionOf(compiler) !== undefined)
  if (cc === undefined) return { missing: `no ${target.compilers[0]}` }
  const musl = findMusl(arch)
  if (musl === undefined && !(native && available)) return { missing: `no musl for ${arch}, and none to be fetched` }
  return {
    cc,
    musl,
    built: { compiler: versionOf(cc), libc: musl === undefined ? "that of the system" : `musl ${musl.version}` }
  }
}

/** Compiles copies of the sources in a new folder; gives the program. */
const compile = ({ cc, flags = [], musl }, suffix) => {
  const folder = fs.realpathSync(fs.mkdtempSync(join(os.tmpdir(), `effect-process-prebuild${suffix}-`)))
  try {
    for (const file of sources()) fs.copyFileSync(join(root, "src", file), join(folder, file))
    if (musl !== undefined) fs.writeFileSync(join(folder, "musl.specs"), musl.specs)
    const args = [
      ...warnings,
      ...hardening,
      ...flags,
      ...reproducible(folder),
      "-static",
      ...(musl === undefined ? [] : ["-specs", join(folder, "musl.specs")]),
      "-o",
      join(folder, name),
      ...sources().filter((file) => file.endsWith(".c")).map((file) => join(folder, file))
    ]
    const { status } = spawnSync(cc, args, { cwd: folder, stdio: "inherit", env: { ...process.env, TMPDIR: folder } })
    if (status !== 0) throw new Error(`${cc} failed`)
    const program = fs.readFileSync(join(folder, name))
    if (program.includes(folder)) throw new Error("the program has the name of the folder in it")
    return program
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
}

/** What is wrong with the ELF file; see elf(5). */
const faults = (program, machine) => {
  const faults = []
  if (program.readUInt32BE(0) !== 0x7f454c46 || program[4] !== 2 || program.readUInt16LE(18) !== machine) {
    return [`it is no 64-bit ELF file for machine ${machine}`]
  }
  const [at, size, count] = [Number(program.readBigUInt64LE(32)), program.readUInt16LE(54), program.readUInt16LE(56)]
  const headers = Array.from({ length: count }, (_, i) => program.subarray(at + i * size, at + (i + 1) * size))
  const [interpreter, stack] = [3, 0x6474e551].map((type) => headers.find((header) => header.readUInt32LE(0) === type))
  if (interpreter !== undefined) faults.push("it is not static")
  if (stack === undefined || (stack.readUInt32LE(4) & 1) !== 0) faults.push("its stack may be executed")
  return faults
}

/** What the program says of itself, on this processor or under qemu-user; undefined where it cannot be run. */
const says = (file, arch) => {
  const runner = arch === process.arch
    ? []
    : targets[arch].qemu.filter((qemu) => versionOf(qemu) !== undefined).slice(0, 1)
  if (arch !== process.arch && runner.length === 0) return undefined
  const [command, ...args] = [...runner, file, "--version"]
  const { error, status, stdout } = spawnSync(command, args, { encoding: "utf8" })
  if (status !== 0) throw new Error(`${file} --version: ${error?.message ?? `status ${status}`}`)
  return stdout.trim()
}

/** The READMEs state the size of the program in KiB, which must be true within 10 %. */
const checkSize = (arch, bytes) => {
  const statements = [
    [join(root, `../spawn-server-linux-${arch}/README.md`), /program has (\d+) KiB/],
    [join(root, "README.md"), new RegExp(`linux-${arch}\` \\| (\\d+) KiB`)]
  ]
  for (const [file, statement] of statements) {
    const stated = Number(statement.exec(fs.readFileSync(file, "utf8"))?.[1])
    if (!(Math.abs(stated * 1024 / bytes - 1) <= 0.1)) {
      throw new Error(`${file} says that the program has ${stated} KiB; it has ${Math.round(bytes / 1024)}`)
    }
  }
}

const prebuild = (arch, { available, check, stale }) => {
  const folder = join(root, `../spawn-server-linux-${arch}`)
  const file = join(folder, "bin", name)
  if (stale && isUpToDate(file, ["prebuild.mjs", "musl.mjs"].map((script) => join(root, "scripts", script)))) return
  const tools = toolchain(arch, available)
  if (tools.missing !== undefined) {
    if (!available) {
      throw new Error(`linux-${arch}: ${tools.missing}; install musl-dev and ${targets[arch].compilers[0]}`)
    }
    console.log(`linux-${arch}: not built: ${tools.missing}`)
    return
  }
  const what = { ...tools, flags: targets[arch].flags }
  const program = compile(what, "")
  if (!program.equals(compile(what, "-in-another-place"))) throw new Error(`linux-${arch}: two builds differ`)
  const wrong = faults(program, targets[arch].machine)
  if (wrong.length > 0) throw new Error(`linux-${arch}: ${wrong.join(", ")}`)

  const sha256 = createHash("sha256").update(program).digest("hex")
  if (check) {
    const there = fs.existsSync(file) ? createHash("sha256").update(fs.readFileSync(file)).digest("hex") : "nothing"
    if (there !== sha256) throw new Error(`${file} has ${there}, and is built as ${sha256}`)
  } else {
    fs.mkdirSync(dirname(file), { recursive: true })
    // Put in place in one step: a running server may be using it.
    fs.writeFileSync(`${file}.${process.pid}`, program, { mode: 0o755 })
    fs.renameSync(`${file}.${process.pid}`, file)
    const built = { bytes: program.length, sha256, ...tools.built }
    fs.writeFileSync(join(folder, "bin/build.json"), `${JSON.stringify(built, undefined, 2)}\n`)
  }
  if (tools.musl !== undefined) checkSize(arch, program.length)
  const said = says(file, arch) ?? "not run: no qemu-user"
  console.log(`linux-${arch}: ${program.length} bytes, twice the same, sha256 ${sha256}`)
  console.log(`  ${tools.built.compiler}, ${tools.built.libc}; ${said}`)
}

const { values: options } = parseArgs({
  options: Object.fromEntries(
    ["available", "check", "stale"].map((name) => [name, { type: "boolean", default: false }])
  )
})
for (const arch of Object.keys(targets)) prebuild(arch, options)
