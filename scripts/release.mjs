// Makes the tarballs of a release below build/release, after everything about them was checked, and says what would be published:
//
//     node scripts/release.mjs             changes nothing outside of this clone
//     node scripts/release.mjs --publish   in CI only: publishes them, with provenance
//
// Programs and tarballs are built twice and must be the same, so whoever builds the commit again can compare them.
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"
import { filesOf, packAll, plainEnvironment, publicPackages, root } from "./support/tarballs.mjs"

const { values: options } = parseArgs({
  options: { publish: { type: "boolean", default: false }, "dry-run": { type: "boolean", default: false } }
})
const isPublishing = options.publish && !options["dry-run"]

const fail = (message) => {
  console.error(message)
  process.exit(1)
}

const run = (file, args) => {
  console.log(`\n$ ${[path.basename(file), ...args].join(" ")}`)
  execFileSync(file, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] })
}

const bin = (name) => path.join(root, "node_modules/.bin", name)

const sha256 = (file) => createHash("sha256").update(fs.readFileSync(file)).digest("hex")

const [{ manifest: { version } }, ...others] = publicPackages()
if (others.some(({ manifest }) => manifest.version !== version)) fail("the packages have different versions")
for (const { directory, manifest: { name } } of publicPackages()) {
  const changes = path.join(directory, "CHANGELOG.md")
  if (!fs.existsSync(changes) || !fs.readFileSync(changes, "utf8").includes(`\n## ${version}\n`)) {
    fail(`${name}: CHANGELOG.md has nothing of ${version}; run changeset version`)
  }
}

if (isPublishing) {
  // Who signs the provenance is the CI's own identity: GitHub's, or GitLab's.
  if (
    process.env.CI === undefined ||
    !("ACTIONS_ID_TOKEN_REQUEST_URL" in process.env || "SIGSTORE_ID_TOKEN" in process.env)
  ) {
    fail("--publish works in CI only, in a job that may ask for an identity token: provenance is made from it")
  }
  const changed = execFileSync("git", ["status", "--porcelain"], { cwd: root, encoding: "utf8" })
  if (changed !== "") fail(`provenance is of a commit, and these are not in it:\n${changed}`)
}

// Nothing of an earlier build is published.
for (const { directory } of publicPackages()) {
  for (const name of ["dist", "bin"]) fs.rmSync(path.join(directory, name), { recursive: true, force: true })
  fs.rmSync(path.join(directory, "tsconfig.tsbuildinfo"), { force: true })
}
run(process.execPath, ["packages/spawn-server/scripts/prebuild.mjs"])
run(bin("tsc"), ["-b"])

const release = path.join(root, "build/release")
fs.rmSync(release, { recursive: true, force: true })
fs.mkdirSync(release, { recursive: true })
const packed = packAll(release)
const again = fs.mkdtempSync(path.join(os.tmpdir(), "effect-process-release-"))
try {
  for (const [i, { name, tarball }] of packAll(again).entries()) {
    if (sha256(tarball) !== sha256(packed[i].tarball)) fail(`${name}: packed twice, the tarballs differ`)
  }
} finally {
  fs.rmSync(again, { recursive: true, force: true })
}

run(process.execPath, ["scripts/packages.mjs"])
run(bin("knip"), [])
run(process.execPath, ["scripts/consumer.mjs"])

console.log(`\n${isPublishing ? "To be published" : "Would be published"}, in this order:\n`)
for (const { name, tarball } of packed) {
  const size = `${Math.ceil(fs.statSync(tarball).size / 1024)} KiB`
  console.log(
    `${`${name}@${version}`.padEnd(48)} ${size.padStart(8)}  ${filesOf(tarball).length} files  sha256 ${
      sha256(tarball)
    }`
  )
}

/** A release that broke off half-way is taken up where it stopped. */
const isPublished = (name) => {
  try {
    return execFileSync("npm", ["view", `${name}@${version}`, "version"], {
      encoding: "utf8",
      env: plainEnvironment,
      stdio: ["ignore", "pipe", "ignore"]
    }).trim() === version
  } catch {
    return false
  }
}

if (isPublishing) {
  for (const { name, tarball } of packed) {
    if (isPublished(name)) console.log(`${name}@${version} is there already`)
    else run("npm", ["publish", tarball, "--provenance", "--access", "public"])
  }
} else console.log(`\nNothing was published. The tarballs are in ${path.relative(process.cwd(), release) || release}.`)
