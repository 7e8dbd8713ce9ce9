// The code in the documentation: where it stands, and how it is made to prove what it says.
import { typescript as ts } from "./publicApi.mjs"

/**
 * The blocks of a Markdown file that begin with ```ts, each with the line on which it begins and the output that is shown right below it,
 * which begins with ```text.
 */
export const blocksOfMarkdown = (text) => {
  const blocks = []
  const lines = text.split("\n")
  let previous
  for (let i = 0; i < lines.length; i++) {
    if (!lines[i].startsWith("```")) {
      if (lines[i].trim() !== "") previous = undefined
      continue
    }
    const end = lines.indexOf("```", i + 1)
    if (end < 0) throw new Error(`the block of line ${i + 1} has no end`)
    const body = lines.slice(i + 1, end).join("\n")
    if (lines[i] === "```ts") {
      previous = { line: i + 2, code: body }
      blocks.push(previous)
    } else {
      if (lines[i] === "```text" && previous !== undefined) previous.output = body
      previous = undefined
    }
    i = end
  }
  return blocks
}

/** The examples of the docstrings of a source file. */
export const examplesOfSource = (text) => {
  const examples = []
  let current
  let inside = false
  for (const [i, line] of text.split("\n").entries()) {
    if (/^\s*\/\*\*/.test(line)) inside = true
    const content = line.replace(/^\s*(\/\*)?\*+\/?\s?/, "")
    if (inside && /^@\w+/.test(content)) {
      current = undefined
      if (content.trim() === "@example") {
        current = { line: i + 2, lines: [] }
        examples.push(current)
      }
    } else if (inside && !line.includes("*/")) current?.lines.push(content)
    if (line.includes("*/")) {
      inside = false
      current = undefined
    }
  }
  return examples.map(({ line, lines }) => ({ line, code: lines.join("\n").trimEnd() }))
}

/** Whether code is a suite of tests, which vitest runs. */
export const isSuite = (code) =>
  /^import \{[^}]*\b(it|layer)\b[^}]*\} from "(vitest|@effect\/vitest|@effect-process\/vitest)"/m.test(code)

const expectation = /^\/\/ => ?(.*)$/

/** What a comment says a statement gives: after it on its last line, or alone on the line before it. */
const expected = (file, statement, known) => {
  const text = file.text
  for (const range of ts.getTrailingCommentRanges(text, statement.end) ?? []) {
    const match = expectation.exec(text.slice(range.pos, range.end))
    if (match !== null) return known.add(range.pos), match[1]
  }
  for (const range of (ts.getLeadingCommentRanges(text, statement.getFullStart()) ?? []).slice(-1)) {
    const match = expectation.exec(text.slice(range.pos, range.end))
    // A comment on the line of the statement before belongs to that.
    const alone = text.slice(text.lastIndexOf("\n", range.pos - 1) + 1, range.pos).trim() === ""
    if (match !== null && alone) return known.add(range.pos), match[1]
  }
  return undefined
}

/** How often a name is written in code. */
const uses = (node, name) => {
  let count = ts.isIdentifier(node) && node.text === name ? 1 : 0
  ts.forEachChild(node, (child) => {
    count += uses(child, name)
  })
  return count
}

/**
 * The code as JavaScript that checks itself. What stands behind `// =>` is an expression, and what the statement gives has to be equal to
 * it, where an Effect or Promise stands for its result. An Effect by the name of `program` is run, unless the code does so itself.
 */
export const runnable = (code, origin) => {
  const file = ts.createSourceFile("example.ts", code, ts.ScriptTarget.ES2022, true)
  const edits = []
  const known = new Set()
  const check = (top, what, value) =>
    `${top ? "await " : ""}__documented.${top ? "check" : "equal"}(${what}, () => (${value}))`
  const visit = (statement, top) => {
    const value = expected(file, statement, known)
    const end = (text) => edits.push({ at: statement.end, text })
    if (ts.isExpressionStatement(statement)) {
      const what = statement.expression.getText()
      if (value !== undefined) {
        edits.push({ at: statement.getStart(), to: statement.end, text: `;${check(top, what, value)}` })
      } else if (top) edits.push({ at: statement.getStart(), to: statement.end, text: `;await (${what})` })
    } else if (ts.isReturnStatement(statement) && value !== undefined) {
      const what = statement.expression.getText()
      edits.push({ at: statement.getStart(), to: statement.end, text: `return ${check(false, what, value)}` })
    } else if (ts.isVariableStatement(statement)) {
      const name = statement.declarationList.declarations.at(-1).name.getText()
      if (value !== undefined) end(`;${check(top, name, value)}`)
      else if (top && name === "program" && uses(file, name) === 1) {
        end(`;await __documented.run(${name})`)
      }
      if (value === undefined) ts.forEachChild(statement, inside)
      return
    }
    if (value === undefined) ts.forEachChild(statement, inside)
  }
  const inside = (node) => {
    if (ts.isBlock(node)) { for (const statement of node.statements) visit(statement, false) }
    else ts.forEachChild(node, inside)
  }
  for (const statement of file.statements) visit(statement, true)
  for (const match of code.matchAll(/\/\/ =>/g)) {
    if (!known.has(match.index)) {
      throw new Error(`${origin}: nothing is compared with: ${code.slice(match.index).split("\n")[0]}`)
    }
  }
  // Outer statements come first and have the edits of none within them, as what is replaced is not gone into.
  const outer = edits.filter((edit) =>
    !edits.some((other) => other !== edit && other.to !== undefined && other.at <= edit.at && edit.at < other.to)
  )
  let text = code
  for (const { at, text: inserted, to = at } of outer.sort((a, b) => b.at - a.at)) {
    text = text.slice(0, at) + inserted + text.slice(to)
  }
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true }
  })
  return outputText
}
