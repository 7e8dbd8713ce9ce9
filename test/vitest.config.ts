import { defineConfig } from "vitest/config"

const preview = process.env["EFFECT_PROCESS_SPAWN_SERVER"] !== undefined

export default defineConfig({
  test: {
    name: "test",
    include: [`conformance/${preview ? "spawnServer" : "childProcess"}.test.ts`]
  }
})
