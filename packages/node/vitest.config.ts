import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    name: "node",
    setupFiles: ["../../test/support/shortStacks.ts"],
    include: ["test/**/*.test.ts"],
    testTimeout: 20_000
  }
})
