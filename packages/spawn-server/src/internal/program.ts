/** Where the program is: built beside this package, or in the package that brings it for this platform. */
import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"

const name = "effect-process-spawn-server"

/** Where `scripts/build.mjs` puts it. */
const built = fileURLToPath(new URL(`../../build/${name}`, import.meta.url))

/** The package that brings the program for a platform. */
const prebuiltPackage = (platform: string, arch: string): string => `@effect-process/spawn-server-${platform}-${arch}`

const prebuilt = (): string | undefined => {
  try {
    return createRequire(import.meta.url).resolve(
      `${prebuiltPackage(process.platform, process.arch)}/bin/${name}`
    )
  } catch {
    return undefined
  }
}

/**
 * What was built here comes first: somebody built it on purpose, and who changes its source runs what they changed. Without
 * either, the place where a build would put it.
 *
 * @internal
 */
export const findProgram = (): string => existsSync(built) ? built : prebuilt() ?? built

/**
 * Why there is no program, with the remedies; undefined where there is one.
 *
 * @internal
 */
export const missingProgram = (file: string): string | undefined =>
  file !== built || existsSync(built)
    ? undefined
    : `there is no program for ${process.platform}-${process.arch}: install ` +
      `${prebuiltPackage(process.platform, process.arch)} (an optional dependency, which --omit=optional leaves out) ` +
      "where it exists, or run scripts/build.mjs of @effect-process/spawn-server with a C compiler, or name one as `binary`"
