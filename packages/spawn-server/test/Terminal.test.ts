import { spawnSync } from "node:child_process"
import * as path from "node:path"
import { describe, expect, it } from "vitest"
import { isSanitized, root } from "./support.ts"

describe("terminal", () => {
  it.skipIf(isSanitized)("41: foreground and modes, before, during and after", () => {
    // A terminal of its own, as script(1) makes one.
    const result = spawnSync("script", [
      "-qec",
      `${process.execPath} ${path.join(root, "test/fixtures/terminal.mjs")}`,
      "/dev/null"
    ], {
      stdio: ["pipe", "pipe", "inherit"],
      encoding: "utf8",
      timeout: 25_000
    })
    const lines = result.stdout.replaceAll("\r", "").split("\n").filter((line) => /^[a-z ]+=/.test(line))
    expect(lines).toEqual([
      "inside=true",
      "after=true",
      "cooked=true",
      "after kill=true",
      "stopped=true",
      "resumed=true",
      "exit=7",
      "after loss=true",
      "background read=21",
      "done=true"
    ])
  })
})
