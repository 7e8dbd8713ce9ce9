import { defineConfig } from "vitest/config"

export default defineConfig({ test: { name: "test", include: ["conformance/*.test.ts", "endToEnd/*.test.ts"] } })
