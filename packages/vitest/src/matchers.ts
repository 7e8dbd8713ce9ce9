/**
 * Adds the matchers of `ProcessMatchers` to vitest's `expect`, for a line of `setupFiles` in its configuration, or an import in
 * a suite.
 *
 * @example
 * import { defineConfig } from "vitest/config"
 *
 * export default defineConfig({ test: { setupFiles: ["@effect-process/vitest/matchers"] } })
 *
 * @since 0.1.0
 */
import { expect } from "vitest"
import { extendExpect } from "./ProcessMatchers.ts"

export type { ProcessMatchers } from "./ProcessMatchers.ts"

extendExpect(expect)
