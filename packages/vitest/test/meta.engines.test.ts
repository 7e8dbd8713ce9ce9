/** The harness on the fallback engine, and with a spawn server that is lost. */
import { assert, it } from "@effect-process/vitest"
import * as Effect from "effect/Effect"
import { failed, passed, runVitest } from "./support/runVitest.ts"

it.process("leaks are found on the fallback too, and its watchdog is none", () =>
  Effect.gen(function*() {
    const report = yield* runVitest(["fallback.fixture.ts"], { inline: true })
    passed(report, "runs on the fallback")
    assert.match(
      failed(report, "leaks a command"),
      /1 process .*\n {2}\d+ sleep 8102 \(.*a command of "leaks a command"\)/
    )
    assert.match(
      failed(report, "leaks a daemon"),
      /1 process .*\n {2}\d+ sleep 8103 \(.*a command of "leaks a daemon": sh -c /
    )
    assert.match(failed(report, "leaks a child"), /1 process .*\n {2}\d+ sleep 8104 \(/)
    passed(report, "is clean")
    assert.deepStrictEqual(report.files.map(({ message }) => message), [""])
  }), 60_000)

it.process("a lost server is replaced, and what replaces it is no leak", () =>
  Effect.gen(function*() {
    const report = yield* runVitest(["lostServer.fixture.ts"])
    passed(report, "loses its server and goes on")
    passed(report, "the next one has a server")
    assert.match(failed(report, "and is still looked after"), /1 process .*\n {2}\d+ sleep 8202 \(/)
    assert.deepStrictEqual(report.files.map(({ message }) => message), [""])
  }), 60_000)
