import { assert, it } from "@effect-process/vitest"
import { leakError, render } from "../../src/internal/renderLeaks.ts"
import type { LeakedProcess } from "../../src/LeakedProcess.ts"

const row = (pid: number, ppid: number, rest: Partial<LeakedProcess> = {}): LeakedProcess => ({
  pid,
  ppid,
  pgid: pid,
  sid: pid,
  state: "S",
  startTime: 0,
  commandLine: `program ${pid}`,
  startedBy: undefined,
  stack: undefined,
  isEnded: true,
  ...rest
})

it("draws the trees with ages, states and who started them", () => {
  const all = [
    row(10, 1, { startedBy: "this process" }),
    row(11, 10, { state: "T" }),
    row(12, 11),
    row(13, 10, { state: "Z", commandLine: "[sh]", startTime: -90_000, isEnded: false }),
    row(20, 1, { startTime: -600_000 })
  ]
  assert.strictEqual(
    render("the test \"a\"", all, 1_500),
    `5 processes started by the test "a" were still there when it had ended, and 1 of them could not be ended:
  10 program 10 (1.5 s, started by this process)
  ├─ 11 program 11 (1.5 s, stopped)
  │  └─ 12 program 12 (1.5 s)
  └─ 13 [sh] (92 s, a zombie) COULD NOT BE ENDED
  20 program 20 (10 min)`
  )
})

it("shows nothing that a terminal obeys, and cuts what is long", () => {
  const text = render("a test", [row(1, 0, { commandLine: `a\u001b[2J\u009b\u202e\nb ${"x".repeat(500)}` })], 0)
  assert.include(text, "a\\u{1b}[2J\\u{9b}\\u{202e}\\nb xxx")
  assert.notMatch(text, /[\u001b\u202e]/)
  assert.isBelow(text.length, 300)
})

it("has its place where the first known of them was started", () => {
  const error = leakError("a test", [row(1, 0), row(2, 0, { stack: "    at start (/a/b.ts:1:2)" })])
  assert.strictEqual(error.name, "LeakedProcesses")
  assert.match(error.stack ?? "", /^LeakedProcesses: 2 processes [^]*\n {4}at start \(\/a\/b\.ts:1:2\)$/)
})
