/** Runs vitest on a fixture suite, in a process of its own, and reads its report. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { Command } from "effect-process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import type { TestProjectInlineConfiguration } from "vitest/config"

export interface TestReport {
  readonly project: string
  /** With those of the suites around it: "suite > test". */
  readonly name: string
  readonly status: "passed" | "failed" | "skipped" | "pending"
  readonly messages: string
}

export interface FileReport {
  readonly project: string
  readonly name: string
  readonly status: string
  /** What failed outside of its tests. */
  readonly message: string
  readonly tests: ReadonlyArray<TestReport>
}

export interface Report {
  readonly exitCode: number
  readonly files: ReadonlyArray<FileReport>
  readonly output: string
  /** What the tests have written into the file `ran`, line by line. */
  readonly ran: ReadonlyArray<string>
}

class NoReport extends Data.TaggedError("NoReport")<{ readonly message: string }> {}

const root = fileURLToPath(new URL("../fixtures", import.meta.url))

const reporter = fileURLToPath(new URL("reporter.ts", import.meta.url))

const program = createRequire(import.meta.url).resolve("vitest/vitest.mjs")

/** What this vitest tells its workers must not reach the other one. */
const unset = Object.fromEntries(
  Object.keys(process.env).filter((name) => /^(VITEST|NODE_ENV$|TINYPOOL|VITE_|NODE_OPTIONS)/.test(name)).map((
    name
  ) => [name, undefined])
)

const linesOf = (file: string): ReadonlyArray<string> =>
  fs.existsSync(file) ? fs.readFileSync(file, "utf8").trim().split("\n") : []

/** Where a run leaves its report, and where its tests may write. */
export const runDirectory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-process-meta-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

/** What the tests of a run have written into its file `ran` so far. */
export const ranIn = (directory: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.sync(() => linesOf(path.join(directory, "ran")))

export interface RunOptions {
  /** From `runDirectory`, for who wants to see what a run does meanwhile. */
  readonly directory?: string
  /** Whether our own packages go through vitest, as `vi.mock` of one of their modules needs. */
  readonly inline?: boolean
  readonly projects?: Record<string, TestProjectInlineConfiguration["test"]>
}

/** `args`: of vitest's command line, the names of fixtures among them. */
export const runVitest = (args: ReadonlyArray<string>, options: RunOptions = {}) =>
  Effect.gen(function*() {
    const directory = options.directory ?? (yield* runDirectory)
    const reporters = ["--reporter=default", `--reporter=${reporter}`, "--no-color"]
    const vitest = Command.make(process.execPath, program, "run", "--root", root, ...reporters, ...args)
    const { exit, stderrText, stdoutText } = yield* vitest.pipe(
      Command.env({
        ...unset,
        META_DIRECTORY: directory,
        META_INLINE: options.inline === true ? "1" : undefined,
        META_PROJECTS: options.projects === undefined ? undefined : JSON.stringify(options.projects)
      }),
      Command.acceptExitCodes("any"),
      Command.run
    )
    const output = stdoutText + stderrText
    const file = path.join(directory, "report.json")
    if (!fs.existsSync(file)) return yield* new NoReport({ message: output })
    const report: Report = {
      exitCode: exit._tag === "Exited" ? exit.code : -1,
      files: JSON.parse(fs.readFileSync(file, "utf8")) as ReadonlyArray<FileReport>,
      output,
      ran: linesOf(path.join(directory, "ran"))
    }
    return report
  })

/**
 * Several configurations in one run of vitest, side by side: most of the time of a run is that of its start. Gives the report on each.
 */
export const runProjects = (projects: Record<string, TestProjectInlineConfiguration["test"]>) =>
  Effect.map(runVitest([], { projects }), (report) => (project: string): Report => ({
    ...report,
    files: report.files.filter((file) => file.project === project)
  }))

const of = (report: Report, name: string): TestReport => {
  const [test, ...others] = report.files.flatMap(({ tests }) => tests).filter((test) => test.name === name)
  if (test === undefined || others.length > 0) {
    throw new Error(`${test === undefined ? "no" : "more than one"} test "${name}" in:\n${report.output}`)
  }
  return test
}

/** What a test that must have failed says. */
export const failed = (report: Report, name: string): string => {
  const { messages, status } = of(report, name)
  if (status !== "failed") throw new Error(`"${name}" ${status}:\n${report.output}`)
  return messages
}

export const passed = (report: Report, name: string): void => {
  const { messages, status } = of(report, name)
  if (status !== "passed") throw new Error(`"${name}" ${status}:\n${messages}\n${report.output}`)
}

export const skipped = (report: Report, name: string): void => {
  const { status } = of(report, name)
  if (status !== "skipped" && status !== "pending") throw new Error(`"${name}" ${status}:\n${report.output}`)
}
