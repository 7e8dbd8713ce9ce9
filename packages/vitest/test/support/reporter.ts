/** Tells what the meta-suite asks of a run, each project by itself: vitest's own report in JSON does not tell them apart. */
import { writeFileSync } from "node:fs"
import * as path from "node:path"
import type { Reporter, TestCase, TestModule } from "vitest/node"
import type { FileReport, TestReport } from "./runVitest.ts"

const testReport = (project: string, test: TestCase): TestReport => {
  const { errors, state } = test.result()
  return {
    project,
    name: test.fullName,
    status: state,
    messages: (errors ?? []).map(({ message, stack }) => stack ?? message).join("\n")
  }
}

const fileReport = (module: TestModule): FileReport => ({
  project: module.project.name,
  name: path.basename(module.moduleId),
  status: module.state(),
  message: module.errors()[0]?.message ?? "",
  tests: Array.from(module.children.allTests(), (test) => testReport(module.project.name, test))
})

export default class MetaReporter implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>): void {
    writeFileSync(`${process.env["META_DIRECTORY"]}/report.json`, JSON.stringify(modules.map(fileReport)))
  }
}
