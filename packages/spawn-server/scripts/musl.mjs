// Where musl is, for the processor that a program is built for: installed, as by Debian's musl-dev, or, where this system is
// for another processor, that package unpacked below build/, which takes apt-get and no privileges.
import { execFileSync, spawnSync } from "node:child_process"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const build = join(dirname(dirname(fileURLToPath(import.meta.url))), "build")

/** Debian's names: of its packages, and of a machine. */
const architectures = { x64: ["amd64", "x86_64"], arm64: ["arm64", "aarch64"] }

/** apt-get with lists of its own, so that neither root nor the architectures of this system matter. */
const fetch = (arch, into) => {
  const state = mkdtempSync(join(tmpdir(), "effect-process-apt-"))
  try {
    mkdirSync(join(state, "lists/partial"), { recursive: true })
    mkdirSync(join(state, "cache/archives/partial"), { recursive: true })
    const options = [
      `APT::Architecture=${arch}`,
      `APT::Architectures=${arch}`,
      `Dir::State::lists=${state}/lists`,
      `Dir::Cache=${state}/cache`,
      "APT::Sandbox::User="
    ].flatMap((option) => ["-o", option])
    const apt = (...args) => execFileSync("apt-get", [...options, "-q", ...args], { cwd: state, stdio: "ignore" })
    apt("update")
    apt("download", `musl-dev:${arch}`)
    const [archive] = readdirSync(state).filter((name) => name.endsWith(".deb"))
    const unpacked = join(state, "musl")
    execFileSync("dpkg", ["-x", archive, unpacked], { cwd: state })
    writeFileSync(join(unpacked, "version"), archive.split("_")[1])
    mkdirSync(build, { recursive: true })
    execFileSync("cp", ["-r", unpacked, `${into}.${process.pid}`])
    rmSync(into, { recursive: true, force: true })
    renameSync(`${into}.${process.pid}`, into)
  } finally {
    rmSync(state, { recursive: true, force: true })
  }
}

const installedVersion = (arch) => {
  const { status, stdout } = spawnSync("dpkg-query", ["-W", "-f", "${Version}", `musl-dev:${arch}`], {
    encoding: "utf8"
  })
  return status === 0 ? stdout.trim() : "of unknown version"
}

/** Its gcc specs as text and its version; undefined where it is neither here nor to be fetched. */
export const findMusl = (arch) => {
  const [debian, machine] = architectures[arch]
  const library = `usr/lib/${machine}-linux-musl`
  if (existsSync(`/${library}/musl-gcc.specs`)) {
    return { specs: readFileSync(`/${library}/musl-gcc.specs`, "utf8"), version: installedVersion(debian) }
  }
  const unpacked = join(build, `musl-${arch}`)
  try {
    if (!existsSync(unpacked)) fetch(debian, unpacked)
  } catch {
    return undefined
  }
  const specs = readFileSync(join(unpacked, library, "musl-gcc.specs"), "utf8")
  return {
    // They name the places of the installed package.
    specs: specs.replaceAll(`/${library}`, join(unpacked, library))
      .replaceAll(`/usr/include/${machine}-linux-musl`, join(unpacked, `usr/include/${machine}-linux-musl`)),
    version: readFileSync(join(unpacked, "version"), "utf8")
  }
}
