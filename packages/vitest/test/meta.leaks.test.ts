/** What leaks is found, named and ended: vitest is run on suites that leak, and its report is looked at. */
import { assert, it } from "@effect-process/vitest"
import * as Effect from "effect/Effect"
import { failed, passed, runVitest } from "./support/runVitest.ts"

it.process("each kind of leak fails its own test, with the tree of what leaked", () =>
  Effect.gen(function*() {
    const report = yield* runVitest(["leaks.fixture.ts", "settles.fixture.ts"])
    assert.strictEqual(report.exitCode, 1)

    const own = failed(report, "own command")
    assert.match(
      own,
      /LeakedProcesses: 2 processes started by the test "own command" were still there .* and were ended:/
    )
    assert.match(
      own,
      /\n {2}\d+ sh -c 'sleep 4101 & wait' <redacted> \(\d\.\d s, started by a command of "own command"\)/
    )
    assert.match(own, /\n {2}└─ \d+ sleep 4101 \(/)
    assert.notInclude(own, "s3cret")

    const daemon = failed(report, "own daemon")
    assert.match(daemon, /\n {2}├─ \d+ sleep 4112 \(|\n {2}└─ \d+ sleep 4112 \(/)
    assert.match(daemon, /\d+ sh -c sleep 4111; : \$0 <redacted> \(/)
    assert.match(daemon, /└─ \d+ sleep 4111 \(/)
    assert.notInclude(report.output, "s3cret")

    // It looks for what the two before it have left.
    passed(report, "clean after a leak")

    const plain = failed(report, "plain child_process")
    assert.match(
      plain,
      /1 process started by the test "plain child_process" was still there when it had ended, and was ended:/
    )
    assert.match(plain, /\n {2}\d+ sleep 4201 \(\d\.\d s, started by node:child_process at .*\/start\.ts:5:\d+\)/)
    // So that vitest shows the line.
    assert.match(plain, /\n\s+at startPlain \(.*\/start\.ts:5:\d+\)/)

    assert.match(failed(report, "daemon"), /\n {2}\d+ sleep 4301 \(\d\.\d s, started by .*\)/)
    assert.match(
      failed(report, "zombie"),
      /\n {2}\d+ sleep 4401 \(.*\/start\.ts:\d+:\d+\)\n {2}└─ \d+ \[sleep\] \(\d\.\d s, a zombie\)/
    )
    const both = failed(report, "fails and leaks")
    assert.match(both, /AssertionError: expected 1 to be 2/)
    assert.match(both, /\n {2}\d+ sleep 4501 \(/)
    assert.match(failed(report, "stubborn"), /# 4601 \(/)
    passed(report, "no leak: ends by itself")
    assert.match(failed(report, "with fake timers"), /sleep 4801 \(\d\.\d s, started by node:child_process at /)
  }), 60_000)
