/** The programs that scenarios run, compiled when first asked for. */
import { execFileSync, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** The folder `test`, wherever this file was compiled to. */
const root = path.resolve(fileURLToPath(import.meta.url), "../..").replace(/\/dist$/, "")

/** A C program of `fixtures/`, built with the machine's compiler. */
export const program = (name: string): string => {
  const source = path.join(root, "fixtures", `${name}.c`)
  const binary = path.join(root, "build", name)
  if (!fs.existsSync(binary) || fs.statSync(binary).mtimeMs < fs.statSync(source).mtimeMs) {
    fs.mkdirSync(path.dirname(binary), { recursive: true })
    const fresh = `${binary}.${process.pid}`
    execFileSync("cc", ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-pthread", "-o", fresh, source], {
      stdio: "inherit"
    })
    fs.renameSync(fresh, binary)
  }
  return binary
}

/** Whether another user may run what is here: a checkout below a private folder, as mktemp(1) makes them, is closed to it. */
export const isOpenToOthers = (uid: number): boolean =>
  process.getuid?.() === 0 &&
  spawnSync(process.execPath, ["-e", `require("fs").accessSync(${JSON.stringify(root)})`], { uid, gid: uid }).status ===
    0

/** A Node program of `fixtures/`, as `tsc -b` compiled it. */
export const script = (name: string): string => path.join(root, "dist", "fixtures", `${name}.js`)

/** A directory for the files of a scenario, removed with it. */
export const temporaryDirectory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-process-test-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

export interface Owner {
  readonly pid: number
  /** What it printed, as lines. */
  readonly lines: ReadonlyArray<string>
  readonly write: (text: string) => void
  readonly hasExited: () => boolean
  readonly status: () => { readonly code: number | null; readonly signal: NodeJS.Signals | null } | undefined
}

/** Starts a program by plain `node:child_process`, to be killed like any owner; it ends with the scope. */
export const start = (
  command: string,
  args: ReadonlyArray<string>,
  options: { readonly uid?: number; readonly gid?: number; readonly env?: NodeJS.ProcessEnv } = {}
): Effect.Effect<Owner, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"], ...options })
      const lines: Array<string> = []
      let rest = ""
      let status: { code: number | null; signal: NodeJS.Signals | null } | undefined
      child.stdin.on("error", () => {
        // The owner died, which is what most of these scenarios are about.
      })
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        const parts = (rest + text).split("\n")
        rest = parts.pop() ?? ""
        lines.push(...parts)
      })
      child.on("exit", (code, signal) => {
        status = { code, signal }
      })
      return {
        pid: child.pid ?? 0,
        lines,
        write: (text: string) => void child.stdin.write(text),
        hasExited: () => status !== undefined,
        status: () => status,
        child
      }
    }),
    ({ child }) =>
      Effect.async<void>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
        child.kill("SIGKILL")
      })
  )
