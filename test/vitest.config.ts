import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    name: "test",
    setupFiles: ["support/shortStacks.ts"],
    include: ["conformance/*.test.ts", "endToEnd/*.test.ts"],
    testTimeout: 20_000
  }
})
