import { defineConfig } from "vitest/config"

/**
 * The preview of the spawn server is tested apart (`pnpm test:spawn-server`): its bounds are of the whole machine, and two
 * suites at once would miss them together.
 */
const projects = process.env["EFFECT_PROCESS_SPAWN_SERVER"] === undefined
  ? ["packages/process", "packages/node", "test"]
  : ["packages/spawn-server", "test"]

export default defineConfig({ test: { projects, fileParallelism: false } })
