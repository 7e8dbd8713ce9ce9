// Checks the documentation: that every export has a docstring that says what it has to, that all code in docstrings and guides is well
// typed, and that it runs and gives what it says.
//
// - Blocks that begin with ```ts in Markdown files and what follows `@example` are modules, each by itself. What begins with ```ts nocheck
//   or ```js is a peer's.
// - Examples of docstrings and the chapters of docs/guide are run; the other files speak of programs that are not here.
// - `// => VALUE` says what a statement gives, and is compared. An Effect with the name `program` is run.
// - What is shown in ```text right below a block of a chapter is its output, but for numbers and the length of white space.
import { execFileSync, fork, spawn } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { blocksOfMarkdown, examplesOfSource, isSuite, runnable } from "./support/docsBlocks.mjs"
import { publicApi } from "./support/publicApi.mjs"
import { root } from "./support/tarballs.mjs"

const project = path.join(root, "test/build/docs")
const began = Date.now()
const problems = []
const say = (text) => console.log(`${text} (${((Date.now() - began) / 1000).toFixed(1)} s)`)

const files = (directory, suffix) =>
  fs.readdirSync(path.join(root, directory), { recursive: true })
    .filter((name) => name.endsWith(suffix) && !/(^|\/)(node_modules|dist|build)\//.test(name))
    .map((name) => path.join(directory, name))

// What each export says of itself.
const { exports, sources } = publicApi()
for (const { file, kind, line, name, tags, text } of exports) {
  const has = (tag) => tags.some((each) => each.name === tag)
  if (has("internal")) continue
  const lacks = [
    ...(text.trim() === "" ? ["a description"] : []),
    ...["since", "category"].filter((tag) => !has(tag)).map((tag) => `@${tag}`),
    ...(kind === "other" || has("example") ? [] : [`the @example of a ${kind}`])
  ]
  if (lacks.length > 0) problems.push(`${file}:${line}: ${name} lacks ${lacks.join(", ")}`)
}
say(`${exports.length} exports looked at, ${problems.length} lack something`)

// All code, a module each.
const markdown = ["README.md", ...files("docs", ".md"), ...files("packages", "/README.md")]
const modules = [
  ...markdown.flatMap((file) =>
    blocksOfMarkdown(fs.readFileSync(path.join(root, file), "utf8")).map((block) => ({
      ...block,
      file,
      runs: file.startsWith("docs/guide/")
    }))
  ),
  ...sources.map(({ fileName }) => path.relative(root, fileName)).flatMap((file) =>
    examplesOfSource(fs.readFileSync(path.join(root, file), "utf8")).map((block) => ({ ...block, file, runs: true }))
  )
].map((each) => ({
  ...each,
  id: `${each.file}:${each.line}`,
  suite: isSuite(each.code),
  name: `${each.file.replace(/\.(md|ts)$/, "").replaceAll("/", "-")}-${each.line}`
}))

fs.rmSync(project, { recursive: true, force: true })
for (const directory of ["typed", "run"]) fs.mkdirSync(path.join(project, directory), { recursive: true })
for (const { code, line, name } of modules) {
  // Each line where the file has it, so that an error names the line.
  fs.writeFileSync(path.join(project, "typed", `${name}.ts`), `${"\n".repeat(line - 1)}${code}\nexport {}\n`)
}
fs.writeFileSync(
  path.join(project, "tsconfig.json"),
  JSON.stringify({
    extends: "../../../tsconfig.base.json",
    compilerOptions: {
      noEmit: true,
      composite: false,
      incremental: false,
      rewriteRelativeImportExtensions: false,
      noUnusedLocals: false,
      lib: ["ES2023", "DOM"]
    },
    include: ["typed/*.ts"]
  })
)
try {
  execFileSync(path.join(root, "node_modules/.bin/tsc"), ["-p", project, "--pretty", "false"], { stdio: "inherit" })
} catch {
  problems.push("not all code is well typed; the name of each file is FILE-LINE.ts, and lines are those of the file")
}
say(`${modules.length} pieces of code were type-checked`)

// And run, where it is about programs that are here.
const limit = 30_000
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "effect-process-docs-"))
const { CI: _, ...env } = { ...process.env, NO_COLOR: "1" }

/** What must not differ between two runs: words, not pids, times and the width of columns. */
const shape = (output) => output.replace(/\d+(\.\d+)?/g, "N").replace(/[ \t]+/g, " ").replace(/─+/g, "─").trim()

const runAll = (jobs, part) =>
  new Promise((resolve) => {
    if (jobs.length === 0) return resolve()
    const list = path.join(project, `run-${part}.json`)
    fs.writeFileSync(
      list,
      JSON.stringify(jobs.map(({ id, name }) => ({ id, file: path.join(project, "run", `${name}.mjs`) })))
    )
    const cwd = path.join(scratch, String(part))
    fs.mkdirSync(cwd)
    const child = fork(fileURLToPath(new URL("support/docsRunner.mjs", import.meta.url)), [list, project], {
      cwd,
      env,
      stdio: "inherit"
    })
    let current = "the start"
    let timer
    child.on("message", ({ began: isStart, ended, id, output, problem }) => {
      clearTimeout(timer)
      if (ended) return
      current = isStart ? id : `after ${id}`
      timer = setTimeout(() => child.kill("SIGKILL"), limit)
      if (isStart) return
      if (problem !== undefined) problems.push(`${id}: it fails: ${problem}`)
      const shown = jobs.find((job) => job.id === id).output
      if (problem === undefined && shown !== undefined && shape(shown) !== shape(output)) {
        problems.push(`${id}: it prints something else than is shown below it:\n${output}`)
      }
    })
    child.on("exit", (code) => {
      clearTimeout(timer)
      if (code !== 0) problems.push(`${current}: it ended the run, or did not end within ${limit / 1000} s`)
      resolve()
    })
  })

/** What imports vitest runs below it: suites as they are, anything else as a test. All files share what they load. */
const runSuites = (suites, others) => {
  const checks = JSON.stringify(fileURLToPath(new URL("support/docsChecks.mjs", import.meta.url)))
  fs.writeFileSync(
    path.join(project, "run/others.test.mjs"),
    `import { install } from ${checks}
import { afterAll, test } from "vitest"

const uninstall = await install(${JSON.stringify(project)})
afterAll(uninstall)
${others.map(({ id, name }) => `test(${JSON.stringify(id)}, () => import("./${name}.mjs"))`).join("\n")}
`
  )
  for (const { name } of suites) {
    fs.copyFileSync(path.join(project, "typed", `${name}.ts`), path.join(project, "run", `${name}.test.ts`))
  }
  fs.writeFileSync(
    path.join(project, "vitest.config.mjs"),
    `export default {
  test: {
    include: ["run/*.test.{ts,mjs}"],
    reporters: ["dot"],
    pool: "forks",
    isolate: false,
    fileParallelism: false,
    testTimeout: ${limit}
  }
}
`
  )
  const vitest = createRequire(path.join(root, "test/package.json")).resolve("vitest/vitest.mjs")
  const cwd = path.join(scratch, "suites")
  fs.mkdirSync(cwd)
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [vitest, "run", "--root", project], {
      cwd,
      env,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 120_000,
      killSignal: "SIGKILL"
    })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => output += data)
    child.on("close", (code) => {
      if (code !== 0) problems.push(`not all suites pass; each file is named FILE-LINE.test.ts:\n${output}`)
      resolve()
    })
  })
}

const running = modules.filter(({ runs }) => runs)
const programs = []
for (const each of running.filter(({ suite }) => !suite)) {
  try {
    fs.writeFileSync(path.join(project, "run", `${each.name}.mjs`), runnable(each.code, each.id))
    programs.push(each)
  } catch (error) {
    problems.push(error.message)
  }
}
const suites = running.filter(({ suite }) => suite)
for (const { code, id } of suites) {
  if (code.includes("// =>")) problems.push(`${id}: write expect in a suite, not // =>`)
}
const below = programs.filter(({ code }) => /from "(@effect-process\/|@effect\/)?vitest/.test(code))
const alone = programs.filter((each) => !below.includes(each))
await Promise.all([runSuites(suites, below), runAll(alone, "programs")])
say(`${alone.length} programs and ${suites.length + below.length} of tests ran`)
fs.rmSync(scratch, { recursive: true, force: true })

for (const problem of problems) console.error(problem)
if (problems.length > 0) {
  console.error(`${problems.length} problems`)
  process.exitCode = 1
}
