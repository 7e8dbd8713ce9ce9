/** Runs vitest on a fixture suite, in a process of its own, and reads its report. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { Command } from "effect-process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

export interface TestReport {
  readonly status: "passed" | "failed" | "skipped" | "pending" | "todo"
  readonly messages: string
}

export interface Report {
  readonly exitCode: number
  /** By full name. */
  readonly tests: ReadonlyMap<string, TestReport>
  /** What failed outside of tests, and the status of each file. */
  readonly files: ReadonlyArray<{ readonly name: string; readonly status: string; readonly message: string }>
  readonly output: string
  /** What the tests have written into the file `ran`, line by line. */
  readonly ran: ReadonlyArray<string>
}

interface Json {
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly status: string
    readonly message: string
    readonly assertionResults: ReadonlyArray<{
      readonly fullName: string
      readonly status: TestReport["status"]
      readonly failureMessages: ReadonlyArray<string> | null
    }>
  }>
}

class NoReport extends Data.TaggedError("NoReport")<{ readonly message: string }> {}

const root = fileURLToPath(new URL("../fixtures", import.meta.url))

const program = createRequire(import.meta.url).resolve("vitest/vitest.mjs")

/** What this vitest tells its workers must not reach the other one. */
const unset = Object.fromEntries(
  Object.keys(process.env).filter((name) => /^(VITEST|NODE_ENV$|TINYPOOL|VITE_|NODE_OPTIONS)/.test(name)).map((
    name
  ) => [name, undefined])
)

/** `args`: of vitest's command line, the names of fixtures among them. */
export const runVitest = (...args: ReadonlyArray<string>) => runVitestWith(undefined, ...args)

/** With a setup file. */
export const runVitestWith = (setup: string | undefined, ...args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-process-meta-"))),
      (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
    )
    const file = path.join(directory, "report.json")
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`, "--no-color"]
    const { exit, stderrText, stdoutText } = yield* Command.make(
      process.execPath,
      program,
      "run",
      "--root",
      root,
      ...reporters,
      ...args
    ).pipe(
      Command.env({ ...unset, META_DIRECTORY: directory, META_SETUP: setup }),
      Command.acceptExitCodes("any"),
      Command.run
    )
    const output = stdoutText + stderrText
    if (!fs.existsSync(file)) return yield* new NoReport({ message: output })
    const ran = path.join(directory, "ran")
    const json = JSON.parse(fs.readFileSync(file, "utf8")) as Json
    const report: Report = {
      exitCode: exit._tag === "Exited" ? exit.code : -1,
      tests: new Map(
        json.testResults.flatMap(({ assertionResults }) =>
          assertionResults.map(({ failureMessages, fullName, status }) =>
            [fullName, { status, messages: (failureMessages ?? []).join("\n") }] as const
          )
        )
      ),
      files: json.testResults.map(({ message, name, status }) => ({ name: path.basename(name), status, message })),
      output,
      ran: fs.existsSync(ran) ? fs.readFileSync(ran, "utf8").trim().split("\n") : []
    }
    return report
  })

const of = (report: Report, name: string): TestReport => {
  const test = report.tests.get(name)
  if (test === undefined) throw new Error(`no test "${name}" in:\n${report.output}`)
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
