import { defineConfig } from "vitest/config"

/** The examples that are test suites; `pnpm examples` runs them after the programs. */
export default defineConfig({
  test: {
    name: "examples",
    include: ["*.test.ts"],
    testTimeout: 20_000
  }
})
