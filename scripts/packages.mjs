// Checks the packages as they would be published: that the tarballs have what they need, and nothing of the workspace.
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { filesOf, packAll, plainEnvironment, root } from "./support/tarballs.mjs"

const run = (name, args) => {
  console.log(`$ ${name} ${args.map((arg) => path.basename(arg)).join(" ")}`)
  execFileSync(path.join(root, "node_modules/.bin", name), args, {
    cwd: root,
    env: plainEnvironment,
    stdio: ["ignore", "inherit", "inherit"]
  })
}

/** What a registry shows of a package, and what provenance is checked against. */
const fields = ["description", "keywords", "license", "repository", "engines", "publishConfig"]

const faults = ({ manifest, name, tarball }) => {
  const files = filesOf(tarball)
  return [
    ...fields.filter((field) => manifest[field] === undefined).map((field) => `package.json has no ${field}`),
    ...["LICENSE", "README.md"].filter((file) => !files.includes(file)).map((file) => `it has no ${file}`),
    ...files.filter((file) => /(^|\/)(test|node_modules|build)\/|\.tsbuildinfo$/.test(file)).map((file) =>
      `it has ${file}`
    ),
    ...(JSON.stringify(manifest).includes("workspace:") ? ["package.json speaks of the workspace"] : [])
  ].map((fault) => `${name}: ${fault}`)
}

const work = fs.mkdtempSync(path.join(os.tmpdir(), "effect-process-packages-"))
try {
  const packed = packAll(work)
  const found = packed.flatMap(faults)
  if (found.length > 0) throw new Error(found.join("\n"))
  for (const { manifest, name, tarball } of packed) {
    const program = manifest.publishConfig.executableFiles?.[0]
    if (program !== undefined && !filesOf(tarball).includes(path.normalize(program))) {
      // scripts/release.mjs does not come this far without it.
      console.log(`${name}: its program was not built here; not looked at`)
      continue
    }
    run("publint", [tarball, "--strict"])
    // ESM only: what CommonJS and the resolution of Node 10 would find is not looked at.
    run("attw", ["--profile", "esm-only", "--format", "ascii", "--quiet", tarball])
  }
} finally {
  fs.rmSync(work, { recursive: true, force: true })
}
