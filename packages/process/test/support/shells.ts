/** What the tests of quoting share: hostile strings, templates, and shells to try them in. */
import * as Either from "effect/Either"
import * as fc from "effect/FastCheck"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { buffer } from "node:stream/consumers"
import { shellTemplate } from "../../src/internal/quoting.ts"
import { reveal } from "../../src/internal/words.ts"

export const hasBash = spawnSync("bash", ["-c", ":"]).status === 0
export const shells: ReadonlyArray<readonly [string, ...ReadonlyArray<string>]> = hasBash
  ? [["sh"], ["bash"], ["bash", "--posix"]]
  : [["sh"]]

export const run = async (
  shell: readonly [string, ...ReadonlyArray<string>],
  script: string | ReadonlyArray<string>,
  cwd = "/"
) => {
  const child = spawn(shell[0], [...shell.slice(1), "-c", ...[script].flat()], {
    cwd,
    env: { PATH: process.env["PATH"], LC_ALL: "C.UTF-8" },
    // Not a pipe of Node's, which is a socket: bash takes that for rshd and reads ~/.bashrc.
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 10_000
  })
  const [stdout, stderr] = await Promise.all([buffer(child.stdout), buffer(child.stderr), once(child, "close")])
  return { stdout: stdout.toString(), stderr: stderr.toString(), status: child.exitCode }
}

export const template = (strings: ReadonlyArray<string>, values: ReadonlyArray<unknown>) =>
  shellTemplate(strings as unknown as TemplateStringsArray, values)

export const script = (strings: ReadonlyArray<string>, values: ReadonlyArray<unknown>): string =>
  reveal(Either.getOrThrowWith(template(strings, values), (problem) => new Error(`${strings.join("${}")}: ${problem}`)))

export const shell = (strings: TemplateStringsArray, ...values: ReadonlyArray<unknown>) => script(strings, values)

export const problem = (strings: TemplateStringsArray, ...values: ReadonlyArray<unknown>): string =>
  Either.getOrThrowWith(Either.flip(template(strings, values)), (found) => new Error(reveal(found)))

/** What a child gets of a string: a lone surrogate has no UTF-8 form. */
export const asBytes = (value: string): string => Buffer.from(value).toString()

export const bits = [
  [..."'\"\\`$\\!*?[]{}()<>|&;#~=%^-+,.:/ \t\n\r\x01\x1b\x7f"],
  ["'\\''", "\\\n", "$(:)", "${x}", "$((1))", "&&", "\r\n", "-n", "--", "\\c", "\\0", "%s", "\ud800", "\udc00"],
  ["🙂", "é", "ā", "\x85", "\u202e", "a b", "{a,b}", "a[0]"]
].flat()

export const hostile = fc.array(
  fc.oneof(
    fc.string16bits({ maxLength: 4 }),
    fc.fullUnicodeString({ maxLength: 4 }),
    { weight: 4, arbitrary: fc.constantFrom(...bits) }
  ),
  { maxLength: 8 }
).map((parts) => parts.join("").replaceAll("\0", ""))

export const samples = [
  ["", "it's", "'", "''", "\\", "\\'", "$(echo PWNED)", "`echo PWNED`", "\"", "a\n\nb\n", "\n"],
  ["-x", "--", "*", "~", "~root", "FOO=bar", "if", "!", "!!", "#x", "\t", "\r\n", "🙂", "\ud800", "a\udc00b"],
  ["\x01\x7f\x80\x81\u0101", "{a,b}", "${HOME}", "a b  c", "[a-z]", "x"]
].flat()

export const printAll = (...values: ReadonlyArray<string>) => values.map((value) => `${value}\0`).join("")

/** Runs scripts one after the other in every shell; those that printed something else, and what. */
export const failures = async (scripts: ReadonlyArray<readonly [script: string, prints: string]>) => {
  const text = scripts.map(([text]) => `${text}\nprintf '\\0end of script\\0'\n`).join("")
  const outputs = await Promise.all(shells.map((sh) => run(sh, text)))
  return outputs.flatMap(({ stdout }, shell) => {
    const printed = stdout.split("\0end of script\0")
    return scripts.flatMap(([text, prints], n) =>
      printed[n] === prints ? [] : [[shells[shell]?.join(" "), text, printed[n]]]
    )
  })
}

/** What one script sets must not reach the next. */
export const inSubshell = (script: string): string => `(\n${script}\n)`
