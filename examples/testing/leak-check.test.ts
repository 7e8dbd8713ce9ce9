/** Ordinary tests: the setup file of vitest.config.ts checks what they leave when all of them are over. */
import { afterAll, beforeAll, expect, test } from "vitest"
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"

let server: ChildProcess

beforeAll(async () => {
  server = spawn("sleep", ["60"], { stdio: "ignore" })
  await once(server, "spawn")
})

// Without this hook the file fails, and the report says who started the process: the line of the spawn above.
afterAll(async () => {
  server.kill()
  await once(server, "exit")
})

test("uses a server", () => {
  expect(execFileSync("ps", ["-o", "args=", "-p", String(server.pid)], { encoding: "utf8" })).toBe("sleep 60\n")
})
