/** The forms of `it.process`, and that a test which vitest gives up releases all the same. */
import { assert, it } from "@effect-process/vitest"
import * as Effect from "effect/Effect"
import { failed, passed, runVitest, skipped } from "./support/runVitest.ts"

it.process("each form of the tester does what its name says", () =>
  Effect.gen(function*() {
    const report = yield* runVitest(["testers.fixture.ts"])
    for (
      const name of [
        "plain",
        "skipIf false",
        "runIf true",
        "each a",
        "each b",
        "some of each: good",
        "fails as it should",
        "fails by a leak",
        "prop of a tuple",
        "prop of a record",
        "within > a describe",
        "is vitest's own",
        "is @effect/vitest's",
        "each of vitest's own 1",
        "concurrent of vitest's own"
      ]
    ) passed(report, name)
    for (const name of ["skip", "skipIf true", "runIf false", "skips itself", "skip of vitest's own"]) {
      skipped(report, name)
    }
    assert.match(failed(report, "some of each: bad"), /expected 'bad' to be 'good'/)
    assert.match(failed(report, "fails by mistake: passes"), /Expect test to fail/)
    assert.match(failed(report, "prop that fails"), /Counterexample: \[0\]/)
    assert.match(failed(report, "prop that leaks"), /sleep 620\d \(.*started by node:child_process at .*start\.ts/)
    assert.match(failed(report, "dies"), /Error: a defect/)
    assert.match(failed(report, "interrupts itself"), /All fibers interrupted without errors/)
    assert.match(failed(report, "throws"), /before any effect/)
    assert.deepStrictEqual(report.ran.toSorted(), [
      "each a 1",
      "each b 2",
      "plain",
      "runIf true",
      "skipIf false",
      "within"
    ])
  }), 60_000)

it.process("only runs only that one", () =>
  Effect.gen(function*() {
    const report = yield* runVitest(["only.fixture.ts", "--allowOnly"])
    passed(report, "only")
    skipped(report, "not this one")
  }), 60_000)

it.process("a test that runs into its time-out has released before the next begins", () =>
  Effect.gen(function*() {
    const report = yield* runVitest(["timeouts.fixture.ts"])
    failed(report, "hangs")
    // Its own report: the one in JSON has a stack in place of this message.
    assert.include(report.output, "FAIL  timeouts.fixture.ts > hangs\nError: Test timed out in 300ms.")
    passed(report, "begins clean")
    failed(report, "hangs with a stubborn job")
    passed(report, "begins clean again")
    assert.match(failed(report, "hangs and leaks"), /sleep 5103 \(/)
    failed(report, "hangs in code that cannot be interrupted")
    passed(report, "begins clean once more")
    passed(report, "passes at the second try")
  }), 60_000)
