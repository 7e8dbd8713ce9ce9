// What the published packages export, with where it is declared and what its docstring says: read from the sources by the compiler that
// typedoc uses as well.
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import { readJson, root } from "./tarballs.mjs"

export const typescript = createRequire(path.join(root, "docs/package.json"))("typescript")
const ts = typescript

/** The directories of the packages that are published and have modules. */
const packages = () =>
  fs.readdirSync(path.join(root, "packages"), { recursive: true })
    .filter((name) => path.basename(name) === "package.json" && !name.includes("node_modules"))
    .map((name) => path.join(root, "packages", path.dirname(name)))
    .filter((directory) => fs.existsSync(path.join(directory, "src/index.ts")))
    .map((directory) => ({ directory, manifest: readJson(path.join(directory, "package.json")) }))
    .filter(({ manifest }) => !manifest.private)

/** The modules that the packages' `exports` open: what a program writes to import it, and its source. */
export const entries = () =>
  packages().flatMap(({ directory, manifest }) =>
    Object.entries(manifest.exports).flatMap(([subpath, target]) =>
      typeof target?.types === "string"
        ? [{
          specifier: path.posix.join(manifest.name, subpath),
          file: path.join(directory, target.types.replace(/^\.\/dist\/(.*)\.d\.ts$/, "src/$1.ts"))
        }]
        : []
    )
  )

/** The program of all entries, in which packages see each other's sources. */
const program = (files) => {
  const { config } = ts.readConfigFile(path.join(root, "docs/tsconfig.json"), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, path.join(root, "docs"))
  return ts.createProgram(files, options)
}

const documentationOf = (node) => {
  // A `const` has its docstring at the statement, a member at itself.
  const docs = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc)
  const doc = docs.at(-1)
  if (doc === undefined) return { text: "", tags: [] }
  return {
    text: ts.getTextOfJSDocComment(doc.comment) ?? "",
    tags: (doc.tags ?? []).map((tag) => ({
      name: tag.tagName.text,
      text: ts.getTextOfJSDocComment(tag.comment) ?? "",
      node: tag
    }))
  }
}

/**
 * Every export, once for each place that declares it: `name`, `kind` (`function`, `class` or `other`), `where` (FILE:LINE) and its
 * documentation. What is imported from other libraries is theirs to document.
 */
export const publicApi = () => {
  const modules = entries()
  const all = program(modules.map(({ file }) => file))
  const checker = all.getTypeChecker()
  const found = new Map()
  const ours = (file) =>
    file.fileName.startsWith(path.join(root, "packages/")) && !file.fileName.includes("node_modules")

  const callable = (declaration) =>
    ts.isFunctionDeclaration(declaration) ||
    (ts.isVariableDeclaration(declaration) && checker.getTypeAtLocation(declaration).getCallSignatures().length > 0)

  const add = (name, declaration) => {
    const file = declaration.getSourceFile()
    // What is added to another library's module is not exported by ours.
    if (!ours(file) || found.has(declaration) || ts.isModuleBlock(declaration.parent)) return
    const { line } = file.getLineAndCharacterOfPosition(declaration.getStart())
    found.set(declaration, {
      name,
      kind: ts.isClassDeclaration(declaration) ? "class" : callable(declaration) ? "function" : "other",
      file: path.relative(root, file.fileName),
      line: line + 1,
      ...documentationOf(declaration)
    })
  }

  const visit = (specifier, symbol) => {
    for (const exported of checker.getExportsOfModule(symbol)) {
      const target = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
      for (const declaration of target.declarations ?? []) {
        // A namespace is a module of its own, whatever it is exported through.
        if (ts.isSourceFile(declaration)) {
          if (ours(declaration) && !found.has(declaration)) {
            found.set(declaration, undefined)
            visit(`${specifier}.${exported.name}`, target)
          }
        } else add(`${specifier}.${exported.name}`, declaration)
      }
    }
  }
  for (const { file, specifier } of modules) {
    const symbol = checker.getSymbolAtLocation(all.getSourceFile(file))
    if (symbol !== undefined) visit(specifier, symbol)
  }
  return {
    exports: [...found.values()].filter((each) => each !== undefined),
    sources: all.getSourceFiles().filter(ours)
  }
}
