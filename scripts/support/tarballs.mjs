// The packages as they would be published.
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../..", import.meta.url))

export const readJson = (file) => JSON.parse(fs.readFileSync(file, "utf8"))

/** What pnpm sets for its children is not meant for a consumer, who must find nothing of the workspace. */
export const plainEnvironment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name) && name !== "NODE_PATH")
)

/** Runs pnpm: the one that runs this, if one does. */
export const pnpm = (args, options) => {
  const running = process.env.npm_execpath
  const [file, ...before] = running?.includes("pnpm") ? [process.execPath, running] : ["npx", "--yes", "pnpm@10"]
  return execFileSync(file, [...before, ...args], { cwd: root, stdio: ["ignore", "ignore", "inherit"], ...options })
}

/** The public packages, each after those that it depends on: the order in which they are published. */
export const publicPackages = () => {
  const found = fs.readdirSync(path.join(root, "packages"))
    .map((name) => path.join(root, "packages", name))
    .map((directory) => ({ directory, manifest: readJson(path.join(directory, "package.json")) }))
    .filter(({ manifest }) => !manifest.private)
  const ordered = []
  const add = (one) => {
    if (ordered.includes(one)) return
    const { dependencies, optionalDependencies, peerDependencies } = one.manifest
    const needed = { ...dependencies, ...optionalDependencies, ...peerDependencies }
    for (const other of found) if (other.manifest.name in needed) add(other)
    ordered.push(one)
  }
  for (const one of found) add(one)
  return ordered
}

/** Packs all of them; gives each with the path of its tarball and the package.json in it. */
export const packAll = (into) => {
  pnpm(["-r", "--filter", "./packages/*", "pack", "--pack-destination", into])
  return publicPackages().map(({ directory, manifest: { name, version } }) => {
    const tarball = path.join(into, `${name.replace("@", "").replace("/", "-")}-${version}.tgz`)
    const packed = execFileSync("tar", ["-xzOf", tarball, "package/package.json"], { encoding: "utf8" })
    return { name, version, directory, tarball, manifest: JSON.parse(packed) }
  })
}

/** The paths in a tarball, without the `package/` before each. */
export const filesOf = (tarball) =>
  execFileSync("tar", ["-tzf", tarball], { encoding: "utf8" }).trim().split("\n").map((line) =>
    line.replace(/^package\//, "")
  )
