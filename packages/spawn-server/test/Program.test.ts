import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { afterEach, beforeEach, describe, expect, it } from "vitest"

/** The package as an installer lays it out, without a program. */
let modules = ""
const own = fileURLToPath(new URL("..", import.meta.url))
const name = "effect-process-spawn-server"
const prebuilt = `spawn-server-${process.platform}-${process.arch}`

beforeEach(() => {
  modules = path.join(fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "ep-program-"))), "node_modules")
  const folder = path.join(modules, "@effect-process/spawn-server")
  fs.mkdirSync(folder, { recursive: true })
  fs.cpSync(path.join(own, "dist"), path.join(folder, "dist"), { recursive: true })
  fs.copyFileSync(path.join(own, "package.json"), path.join(folder, "package.json"))
})
afterEach(() => fs.rmSync(path.dirname(modules), { recursive: true }))

const put = (folder: string): string => {
  const file = path.join(modules, "@effect-process", folder, name)
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.copyFileSync(path.join(own, "build", name), file)
  return file
}

const install = (): string => {
  const file = put(`${prebuilt}/bin`)
  fs.copyFileSync(
    path.join(own, `../${prebuilt}/package.json`),
    path.join(modules, "@effect-process", prebuilt, "package.json")
  )
  return file
}

/** Which program is taken, and what comes of a start with it. */
const start = (): { readonly binary: string; readonly outcome: string } => {
  const script = `import { defaultBinary, SpawnServer } from "@effect-process/spawn-server"
    const outcome = await SpawnServer.start().then((server) => server.close().then(() => "started"), (error) => error.message)
    console.log(JSON.stringify({ binary: defaultBinary(), outcome }))`
  const main = path.join(path.dirname(modules), "main.mjs")
  fs.writeFileSync(main, script)
  // By NODE_PATH, which pnpm sets for what it runs, the package of the workspace would be found.
  const { NODE_PATH: _, ...env } = process.env
  return JSON.parse(execFileSync(process.execPath, [main], { encoding: "utf8", env }))
}

describe("which program is taken", () => {
  it("the one of the package for this platform, when nothing was built", () => {
    const binary = install()
    expect(start()).toEqual({ binary, outcome: "started" })
  })

  it("what was built beside the package, when there are both", () => {
    install()
    const binary = put("spawn-server/build")
    expect(start()).toEqual({ binary, outcome: "started" })
  })

  it("none: the failure names the remedies", () => {
    const { outcome } = start()
    expect(outcome).toContain(`there is no program for ${process.platform}-${process.arch}`)
    expect(outcome).toContain(`@effect-process/${prebuilt}`)
    expect(outcome).toContain("scripts/build.mjs")
  })
})
