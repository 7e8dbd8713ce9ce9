// Type-checks the blocks of code that begin with ```ts in README.md and docs/*.md, each as a module of its own, in a project of
// the workspace `test`, which has what they import. What begins with ```ts nocheck or ```js is a peer's.
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const project = path.join(root, "test/build/docs")

/** The blocks of a file, each with the line of the file on which it begins. */
const blocksOf = (text) => {
  const blocks = []
  let block
  for (const [i, line] of text.split("\n").entries()) {
    if (block === undefined && line === "```ts") block = { line: i + 2, lines: [] }
    else if (block !== undefined && line === "```") {
      blocks.push(block)
      block = undefined
    } else block?.lines.push(line)
  }
  if (block !== undefined) throw new Error(`the block of line ${block.line} has no end`)
  return blocks
}

const files = ["README.md", ...fs.readdirSync(path.join(root, "docs")).map((name) => `docs/${name}`)].filter((name) =>
  name.endsWith(".md")
)

fs.rmSync(project, { recursive: true, force: true })
fs.mkdirSync(project, { recursive: true })
let count = 0
for (const file of files) {
  for (const { line, lines } of blocksOf(fs.readFileSync(path.join(root, file), "utf8"))) {
    const name = `${path.basename(file, ".md")}-${line}.ts`
    // Each line where the file has it, so that an error names the line.
    fs.writeFileSync(path.join(project, name), `${"\n".repeat(line - 1)}${lines.join("\n")}\nexport {}\n`)
    count++
  }
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
    include: ["*.ts"]
  })
)
try {
  execFileSync(path.join(root, "node_modules/.bin/tsc"), ["-p", project, "--pretty", "false"], { stdio: "inherit" })
} catch {
  console.error("the name of each file is FILE-LINE.ts; lines are those of the file")
  process.exit(1)
}
console.log(`${count} blocks of ${files.length} files are well typed`)
