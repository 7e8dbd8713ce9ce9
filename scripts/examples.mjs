// Runs each example to its end, with a time limit; fails when one of them fails.
import { spawn } from "node:child_process"
import { readdirSync } from "node:fs"
import { fileURLToPath } from "node:url"

const limit = 60_000
const directory = new URL("../examples/dist/", import.meta.url)
const names = readdirSync(directory).filter((name) => name.endsWith(".js") && name !== "demo.js").sort()

/** Resolves with what was wrong, or undefined, and with what the example printed. */
const run = (args) =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, args, {
      stdio: ["ignore", "pipe", "pipe"],
      timeout: limit,
      // No example survives it, and their jobs end with them.
      killSignal: "SIGKILL"
    })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8")
      stream.on("data", (text) => output += text)
    }
    child.on("error", (error) => resolve({ problem: error.message, output }))
    child.on("exit", (code, signal) => {
      const status = signal === "SIGKILL" ? `no end within ${limit / 1000} s` : signal ?? `exit code ${code}`
      const problem = code === 0 ? undefined : status
      const held = setTimeout(() => {
        resolve({ problem: problem ?? "it left a process that holds its output", output })
        child.stdout.destroy()
        child.stderr.destroy()
      }, 2_000)
      child.on("close", () => {
        clearTimeout(held)
        resolve({ problem, output })
      })
    })
  })

/** The programs, one by one, and then the test suites of examples/testing. */
const examples = [
  ...names.map((name) => ({ name, args: [fileURLToPath(new URL(name, directory))] })),
  {
    name: "testing/*.test.ts",
    args: [
      fileURLToPath(new URL("../examples/node_modules/vitest/vitest.mjs", import.meta.url)),
      "run",
      "--root",
      fileURLToPath(new URL("../examples/testing", import.meta.url))
    ]
  }
]

if (names.length === 0) throw new Error("examples/dist is empty; run tsc -b first")
for (const { args, name } of examples) {
  const started = Date.now()
  const { output, problem } = await run(args)
  const seconds = `${((Date.now() - started) / 1000).toFixed(1)} s`
  console.log(`${problem === undefined ? "ok  " : "FAIL"}  ${name.padEnd(24)} ${seconds}  ${problem ?? ""}`.trimEnd())
  if (problem !== undefined) {
    process.exitCode = 1
    console.log(output.replace(/^/gm, "      "))
  }
}
