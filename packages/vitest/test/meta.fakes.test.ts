/** What a person reads when a program does not follow its script: vitest is run on such suites, and its report is looked at. */
import { assert, it, vi } from "@effect/vitest"
import { NodeProcess } from "@effect-process/node"
import * as Effect from "effect/Effect"
import { failed, runVitest } from "./support/runVitest.ts"

it.scopedLive("the report explains what was not in the script, and shows no secret", () =>
  Effect.gen(function*() {
    yield* Effect.acquireRelease(
      Effect.sync(() => vi.stubEnv("CI", "true")),
      () => Effect.sync(() => vi.unstubAllEnvs())
    )
    const report = yield* runVitest(["scripted.fixture.ts"])
    assert.strictEqual(report.exitCode, 1)
    assert.notInclude(report.output, "s3cret")
    for (
      const name of [
        "unmatched command",
        "unmatched command of a program that survives everything",
        "unmatched command in a fiber beside the test"
      ]
    ) {
      const message = failed(report, name)
      assert.include(message, "no rule matches the command\n\n  git push --force origin <redacted>\n")
      assert.include(message, "nearest is rule 2 of 2:\n\n  command  git push --force origin <redacted>\n")
      assert.include(
        message,
        "  rule     git push         origin /^release/\n                    ^^^^^^^        ^^^^^^^^^^\n"
      )
      assert.include(message, "  - argument 2 is --force, which the rule does not have\n")
    }
    assert.include(failed(report, "unused rule"), "rule 2: git push origin /^release/")
    assert.include(failed(report, "an answer that no program can give"), "exit: 256 is no exit code")
    const recording = failed(report, "not recorded")
    assert.match(recording, /the cassette \S+cassette\.json has no recording of the command/)
    assert.include(recording, "argument 2 is --force, which the recording does not have")
    assert.include(failed(report, "nothing to replay in CI"), "in CI nothing is recorded")
    assert.include(failed(report, "a matcher"), "expected git status to exit with code 1, but it exited with code 0")
  }).pipe(Effect.provide(NodeProcess.layer)), 60_000)
