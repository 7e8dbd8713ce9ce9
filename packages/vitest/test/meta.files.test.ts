/** What is checked file by file: tests side by side, threads, ordinary tests with the setup file; and runs that are given up. */
import { assert, it } from "@effect-process/vitest"
import * as Effect from "effect/Effect"
import { failed, passed, type Report, runVitest, runVitestWith, skipped } from "./support/runVitest.ts"

const fileOf = (report: Report, name: string) => {
  const file = report.files.find((file) => file.name === name)
  assert(file !== undefined, report.output)
  return file
}

it.process("tests side by side pass, and their file fails with what they left", () =>
  Effect.gen(function*() {
    const report = yield* runVitest("concurrent.fixture.ts")
    for (const name of ["leaks a command", "leaks a child", "leaks nothing"]) passed(report, `side by side ${name}`)
    passed(report, "alone and clean")
    const { message, status } = fileOf(report, "concurrent.fixture.ts")
    assert.strictEqual(status, "failed")
    assert.match(message, /2 processes started by the tests of concurrent\.fixture\.ts were still there/)
    assert.match(report.output, /sleep 7101 \(\d\.\d s, started by a command of "side by side > leaks a command"\)/)
    assert.match(report.output, /sleep 7102 \(\d\.\d s, started by node:child_process at .*start\.ts:4:\d+\)/)
    assert.notInclude(report.output, "sleep 7103")
  }), 60_000)

for (const pool of ["threads", "vmThreads", "forks"]) {
  it.process(`files in one process are told apart (${pool})`, () =>
    Effect.gen(function*() {
      const report = yield* runVitest("alone.fixture.ts", "neighbour.fixture.ts", `--pool=${pool}`)
      passed(report, "keeps its own")
      passed(report, "clean, again and again")
      assert.match(failed(report, "leaks"), /1 process .*\n.*sleep 7202 /)
      assert.match(failed(report, "leaks a daemon"), /1 process .*\n.*sleep 7203 /)
      assert.match(failed(report, "leaks too"), /1 process .*\n.*sleep 7301 /)
    }), 60_000)
}

it.process("files that share a worker are told apart", () =>
  Effect.gen(function*() {
    const report = yield* runVitest("alone.fixture.ts", "neighbour.fixture.ts", "--no-isolate", "--no-file-parallelism")
    passed(report, "keeps its own")
    assert.match(failed(report, "leaks a daemon"), /1 process .*\n.*sleep 7203 /)
    passed(report, "clean, again and again")
    assert.match(failed(report, "leaks too"), /1 process .*\n.*sleep 7301 /)
  }), 60_000)

for (const pool of ["forks", "threads"]) {
  it.process(`leakCheck as a setup file fails a file of ordinary tests (${pool})`, () =>
    Effect.gen(function*() {
      const report = yield* runVitestWith("@effect-process/vitest/leak-check", "file.fixture.ts", `--pool=${pool}`)
      for (const name of ["leaks", "leaks a daemon", "is clean"]) passed(report, name)
      const { message, status } = fileOf(report, "file.fixture.ts")
      assert.strictEqual(status, "failed")
      assert.match(message, /2 processes started by the tests of file\.fixture\.ts were still there/)
      assert.match(report.output, /sleep 7403 \(\d\.\d s, started by node:child_process at .*start\.ts:4:\d+\)/)
      assert.match(report.output, /sleep 7404 \(/)
      assert.notMatch(report.output, /sleep 740[12]/)
    }), 60_000)
}

it.process("leakCheck leaves alone what hooks end and what it is told to ignore", () =>
  Effect.gen(function*() {
    const report = yield* runVitestWith("./setup.ts", "fileClean.fixture.ts")
    passed(report, "starts what is ignored")
    assert.strictEqual(fileOf(report, "fileClean.fixture.ts").status, "passed", report.output)
    assert.deepStrictEqual(report.ran, ["it was left alone"])
  }), 60_000)

it.process("a test that is aborted by --bail releases, and the next does not begin", () =>
  Effect.gen(function*() {
    const began = performance.now()
    const report = yield* runVitest("bail.fixture.ts", "--bail=1")
    failed(report, "fails soon")
    failed(report, "is aborted")
    skipped(report, "never begins")
    assert.deepStrictEqual(report.ran, ["started", "released"])
    assert.isBelow(performance.now() - began, 14_000)
  }), 60_000)

it.process("a run that is killed leaves nothing", () =>
  Effect.gen(function*() {
    const report = yield* Effect.exit(Effect.timeout(runVitest("bail.fixture.ts"), "3 seconds"))
    assert.strictEqual(report._tag, "Failure")
  }), 60_000)
