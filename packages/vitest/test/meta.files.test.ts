/** What is checked file by file: tests side by side, threads, ordinary tests with the setup file; and runs that are given up. */
import { assert, it, layer } from "@effect-process/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import {
  failed,
  passed,
  ranIn,
  type Report,
  runDirectory,
  runProjects,
  runVitest,
  skipped
} from "./support/runVitest.ts"

const fileOf = (report: Report, name: string) => {
  const file = report.files.find((file) => file.name === name)
  assert(file !== undefined, report.output)
  return file
}

const apart = ["alone.fixture.ts", "neighbour.fixture.ts"]

const setup = { include: ["file.fixture.ts"], setupFiles: ["@effect-process/vitest/leak-check"] }

/** After the others: pools of a group run at once, and a process may have one pool of threads at a time. */
const second = { sequence: { groupOrder: 1 } }

/** All in one run. */
class Run extends Context.Tag("Run")<Run, (project: string) => Report>() {
  static readonly layer = Layer.scoped(
    Run,
    runProjects({
      threads: { include: apart, pool: "threads" },
      "setup in threads": { ...setup, pool: "threads" },
      forks: { include: apart, pool: "forks" },
      "side by side": { include: ["concurrent.fixture.ts"] },
      vmThreads: { ...second, include: apart, pool: "vmThreads" },
      "one worker": {
        ...second,
        include: apart,
        pool: "forks",
        poolOptions: { forks: { isolate: false, singleFork: true } }
      },
      "setup in forks": { ...second, ...setup, pool: "forks" },
      "setup with options": { ...second, include: ["fileClean.fixture.ts"], setupFiles: ["./setup.ts"] }
    })
  )
}

layer(Run.layer, { timeout: "2 minutes" })((it) => {
  it.process("tests side by side pass, and their file fails with what they left", () =>
    Effect.gen(function*() {
      const report = (yield* Run)("side by side")
      for (const name of ["leaks a command", "leaks a child", "leaks nothing"]) passed(report, `side by side > ${name}`)
      passed(report, "alone and clean")
      const { message, status } = fileOf(report, "concurrent.fixture.ts")
      assert.strictEqual(status, "failed")
      assert.match(message, /2 processes started by the tests of concurrent\.fixture\.ts were still there/)
      assert.match(message, /sleep 7101 \(\d+\.\d s, started by a command of "side by side > leaks a command"\)/)
      assert.match(message, /sleep 7102 \(\d+\.\d s, started by node:child_process at .*start\.ts:5:\d+\)/)
      assert.notInclude(report.output, "sleep 7103")
    }))

  for (const pool of ["threads", "vmThreads", "forks"]) {
    it.process(`files in one process are told apart (${pool})`, () =>
      Effect.gen(function*() {
        const report = (yield* Run)(pool)
        passed(report, "keeps its own")
        passed(report, "clean, again and again")
        assert.match(failed(report, "leaks"), /1 process .*\n.*sleep 7202 /)
        assert.match(failed(report, "leaks a daemon"), /1 process .*\n.*sleep 7203 /)
        assert.match(failed(report, "leaks too"), /1 process .*\n.*sleep 7301 /)
      }))
  }

  it.process("files that share a worker are told apart", () =>
    Effect.gen(function*() {
      const report = (yield* Run)("one worker")
      passed(report, "keeps its own")
      assert.match(failed(report, "leaks a daemon"), /1 process .*\n.*sleep 7203 /)
      passed(report, "clean, again and again")
      assert.match(failed(report, "leaks too"), /1 process .*\n.*sleep 7301 /)
    }))

  for (const pool of ["forks", "threads"]) {
    it.process(`leakCheck as a setup file fails a file of ordinary tests (${pool})`, () =>
      Effect.gen(function*() {
        const report = (yield* Run)(`setup in ${pool}`)
        for (const name of ["leaks", "leaks a daemon", "is clean"]) passed(report, name)
        const { message, status } = fileOf(report, "file.fixture.ts")
        assert.strictEqual(status, "failed")
        assert.match(message, /2 processes started by the tests of file\.fixture\.ts were still there/)
        assert.match(message, /sleep 7403 \(\d+\.\d s, started by node:child_process at .*start\.ts:5:\d+\)/)
        assert.match(message, /sleep 7404 \(/)
        assert.notMatch(report.output, /sleep 740[12]/)
      }))
  }

  it.process("leakCheck leaves alone what hooks end and what it is told to ignore", () =>
    Effect.gen(function*() {
      const report = (yield* Run)("setup with options")
      passed(report, "starts what is ignored")
      assert.strictEqual(fileOf(report, "fileClean.fixture.ts").status, "passed", report.output)
      assert.deepStrictEqual(report.ran, ["it was left alone"])
    }))
})

it.process("a test that is aborted by --bail releases, and the next does not begin", () =>
  Effect.gen(function*() {
    const report = yield* runVitest(["bail.fixture.ts", "--bail=1"])
    failed(report, "fails soon")
    failed(report, "is aborted")
    skipped(report, "never begins")
    assert.deepStrictEqual(report.ran, ["started", "released"])
    assert.notInclude(report.output, "timed out")
  }), 60_000)

it.process("a run that is killed leaves nothing", () =>
  Effect.gen(function*() {
    const directory = yield* runDirectory
    const run = yield* Effect.fork(runVitest(["bail.fixture.ts"], { directory }))
    yield* Effect.repeat(ranIn(directory), { until: (ran) => ran.includes("started"), schedule: Schedule.spaced(20) })
    // What was started is not named here: this test's own check for leaks sees it.
    yield* Fiber.interrupt(run)
  }), 60_000)
