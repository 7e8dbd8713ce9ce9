/** The C programs of `native/`, built when they are first asked for. */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"

const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url))

const warnings = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]

/** The path of the program whose source is `native/NAME.c`. */
export const compile = (name: string): string => {
  fs.mkdirSync(at("build"), { recursive: true })
  const program = at(`build/${name}`)
  const options = [...warnings, "-O2", "-o", program, at(`native/${name}.c`)]
  execFileSync(process.env.CC ?? "cc", options, { stdio: ["ignore", 2, 2] })
  return program
}
