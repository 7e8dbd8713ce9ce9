import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    name: "spawn-server",
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/globalSetup.ts"],
    testTimeout: 30_000,
    // Their observations are of the whole machine's processes and of times.
    fileParallelism: false
  }
})
