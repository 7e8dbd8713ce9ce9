/** Servers of `ServerFixture` in suites of ours: who is told of their death, and when their log is shown. */
import { assert, it } from "@effect-process/vitest"
import * as Effect from "effect/Effect"
import { failed, passed, runVitest, skipped } from "./support/runVitest.ts"

it.process(
  "a server's death and its log explain the tests that fail, and nothing is shown of the others",
  () =>
    Effect.gen(function*() {
      const report = yield* runVitest(["fixture.fixture.ts"])
      passed(report, "serves > quietly")
      assert.notInclude(report.output, "not shown while all is well")
      assert.match(failed(report, "logs > and fails"), /expected 'logged\\n' to be 'wrong'/)
      assert.match(report.output, /log of the server Web:\n(.*\n)* {4}what went before/)
      passed(report, "logs > and passes")
      const died =
        /the server Web \(.*\) exited with code 9 while its tests ran; the end of its log:\n(.*\n)* {4}disk full/
      assert.match(failed(report, "dies > while it is asked"), died)
      assert.match(failed(report, "dies > before it is asked"), died)
      skipped(report, "does not start > so nothing runs")
      assert.match(report.output, /not ready: it ended with exit code 78/)
      assert.match(report.output, /the end of its stderr:\n {4}bad configuration/)
      assert.notInclude(report.output, "timed out")
    }),
  60_000
)
