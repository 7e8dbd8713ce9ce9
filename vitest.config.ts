import { defineConfig } from "vitest/config"

/** One file at a time: bounds are of the whole machine, and two suites at once would miss them together. */
export default defineConfig({
  test: {
    projects: ["packages/process", "packages/spawn-server", "packages/node", "packages/vitest", "test"],
    fileParallelism: false
  }
})
