import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    projects: ["packages/process", "packages/node", "packages/spawn-server", "test"]
  }
})
