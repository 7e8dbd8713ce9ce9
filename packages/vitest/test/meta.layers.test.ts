/** Suites with a layer of ours: what their tests get, and what they say when a server dies. */
import { assert, it } from "@effect-process/vitest"
import * as Effect from "effect/Effect"
import { failed, passed, runProjects, runVitest, skipped } from "./support/runVitest.ts"

it.process(
  "a layer is shared, nested and released, and the death of its server is the failure",
  () =>
    Effect.gen(function*() {
      const report = yield* runVitest(["servers.fixture.ts"])
      for (const name of ["is there", "is there without a spawner", "runs on the real clock", "nested > has both"]) {
        passed(report, `steady > ${name}`)
      }
      assert.match(failed(report, "steady > fails by itself"), /expected 1 to be 2/)
      assert.match(report.output, /log of the server steady:\n {4}log of steady/)
      const died =
        /the server short \(sleep 0\.4; exit 3\) exited with code 3 while its tests ran; .*\n {4}short says goodbye/
      assert.match(failed(report, "short > waits for what never comes"), died)
      assert.match(failed(report, "short > finds it dead"), died)
      skipped(report, "without a layer > cannot run")
      assert.match(report.output, /no such thing/)
      assert.deepStrictEqual(report.ran, ["nested released", "steady released", "short released"])
      assert.notInclude(report.output, "timed out")
    }),
  60_000
)

it.process("a layer of a whole file, in whatever order hooks run", () =>
  Effect.gen(function*() {
    const orders = ["stack", "list", "parallel"] as const
    const include = ["top.fixture.ts"]
    const reports = yield* runProjects(
      Object.fromEntries(orders.map((hooks) => [hooks, { include, sequence: { hooks } }]))
    )
    for (const hooks of orders) {
      const report = reports(hooks)
      passed(report, "one")
      passed(report, "another")
      assert.strictEqual(report.exitCode, 0, report.output)
    }
  }), 60_000)
