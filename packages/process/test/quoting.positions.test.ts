/** Where a value may stand in a shell template and where it may not, judged by real shells. */
import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as fc from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { reveal } from "../src/internal/words.ts"
import {
  asBytes,
  failures,
  hasBash,
  hostile,
  inSubshell,
  printAll,
  problem,
  run,
  samples,
  script,
  shell,
  shells,
  template
} from "./support/shells.ts"

/** Positions that are accepted: the text before the value, the text after it, and what the script then prints. */
const accepted: ReadonlyArray<readonly [before: string, after: string, prints: (value: string) => string]> = [
  ["printf '%s\\0' ", "", printAll],
  ["printf '%s\\0' a", "b", (v) => printAll(`a${v}b`)],
  ["printf '%s\\0' \"q\"", "'r' s", (v) => printAll(`q${v}r`, "s")],
  ["printf '%s\\0' /nonexistent/*", "", (v) => printAll(`/nonexistent/*${v}`)],
  ["printf '%s\\0' \\$", "", (v) => printAll(`$${v}`)],
  ["printf '%s\\0' \\\\", "", (v) => printAll(`\\${v}`)],
  ["printf '%s\\0' x#", "#y", (v) => printAll(`x#${v}#y`)],
  ["printf '%s\\0' \\\n  ", " \\\n x", (v) => printAll(v, "x")],
  ["printf '%s\\0' $# ", "", (v) => printAll("0", v)],
  ["x=$$", "; printf '%s\\0' \"${x#$$}\"", printAll],
  ["x=1; printf '%s\\0' $x", "$x", (v) => printAll(`1${v}1`)],
  ["printf '%s\\0' \"${x:-$#}\" ${x:-\"a b\"} ", "", (v) => printAll("0", "a b", v)],
  ["printf '%s\\0' $((1 + (2 * 3))) `echo y` \"`echo z`\" ", "", (v) => printAll("7", "y", "z", v)],
  ["x=", "; printf '%s\\0' \"$x\"", printAll],
  ["FOO=", " sh -c 'printf \"%s\\0\" \"$FOO\"'", printAll],
  ["export x=", "; printf '%s\\0' \"$x\"", printAll],
  ["printf '%s\\0' \"$(printf '%sx' ", ")\"", (v) => printAll(`${v}x`)],
  ["x=$(printf '%sx' ", "); printf '%s\\0' \"$x\"", (v) => printAll(`${v}x`)],
  ["printf '%s\\0' \"$(printf '%sy' \"$(printf '%sx' ", ")\")\"", (v) => printAll(`${v}xy`)],
  ["printf '%s\\0' \"a$( (printf '%sx' ", ") )b\"", (v) => printAll(`a${v}xb`)],
  ["x=$(f() { printf '%sx' \"$1\"; }; f ", "); printf '%s\\0' \"$x\"", (v) => printAll(`${v}x`)],
  ["(printf '%s\\0' ", ")", printAll],
  ["{ printf '%s\\0' ", "; }", printAll],
  ["printf '%s\\0' ", "|cat", printAll],
  ["false||printf '%s\\0' ", "&&:", printAll],
  ["f() { printf '%s\\0' \"$1\"; }; f ", "", printAll],
  ["for x in a ", " b; do printf '%s\\0' \"$x\"; done", (v) => printAll("a", v, "b")],
  ["set -- ", "\nprintf '%s\\0' \"$@\"", printAll],
  ["case ", " in '') printf 'empty\\0';; *) printf 'some\\0';; esac", (v) => printAll(v === "" ? "empty" : "some")],
  ["case x in y) ;; ", ") printf '=\\0';; *) printf '!\\0';; esac", (v) => printAll(v === "x" ? "=" : "!")],
  ["case x in (y) ;; esac; printf '%s\\0' ", "", printAll],
  ["# it's a \"comment\n printf '%s\\0' ", " # it's", printAll],
  ["printf '%s\\0' \"$(: # plain\n printf '%sx' ", ")\"", (v) => printAll(`${v}x`)],
  ["cat <<E >/dev/null; printf '%s\\0' ", "\n'$(echo x)\nE\n", printAll],
  ["cat >/dev/null <<'A' <<-\\B\nit's `\nA\n\t\"$(\n\tB\nprintf '%s\\0' ", "", printAll],
  ["cat >/dev/null <<E\n$(echo x) ${HOME} \\` it's \"\nE\nprintf '%s\\0' ", "", printAll],
  ["x=$(cat <<E\nline\nE\nprintf '%sx' ", "); printf '%s\\0' \"$x\"", (v) => printAll(`line\n${v}x`)],
  ["if [ x != x", " ]; then :; fi; printf '%s\\0' y", () => printAll("y")]
]

describe("accepted positions of a shell template", () => {
  for (const [before, after, prints] of accepted) {
    it(JSON.stringify(`${before}\${x}${after}`), async () => {
      const scripts = samples.map((value) => [script([before, after], [value]), prints(asBytes(value))] as const)
      assert.deepStrictEqual(await failures(scripts), [])
    }, 30_000)
  }

  it("give any value back", async () => {
    const place = fc.tuple(hostile, fc.constantFrom(...accepted))
    const property = fc.asyncProperty(fc.array(place, { minLength: 20 }), async (places) => {
      const scripts = places.map(([value, [before, after, prints]]) =>
        [inSubshell(script([before, after], [value])), prints(asBytes(value))] as const
      )
      assert.deepStrictEqual(await failures(scripts), [])
    })
    await fc.assert(property, { numRuns: 20 })
  }, 60_000)

  it("give arrays back", async () => {
    const lists = [fc.array(hostile, { maxLength: 20 }), fc.array(hostile, { minLength: 1 })] as const
    const property = fc.asyncProperty(...lists, async (a, b) => {
      const text = shell`for x in ${a}; do printf '%s\\0' "$x"; done; (printf '%s\\0' ${b})`
      assert.deepStrictEqual(await failures([[text, printAll(...[...a, ...b].map(asBytes))]]), [])
    })
    await fc.assert(property, { numRuns: 30 })
  }, 60_000)

  it("match a value only with itself in a pattern", async () => {
    const property = fc.asyncProperty(fc.array(fc.tuple(hostile, hostile), { minLength: 10 }), async (pairs) => {
      const scripts = pairs.map(([a, b]) =>
        [
          shell`case ${a} in ${b}) echo b;; ${a}) echo a;; *) echo other;; esac`,
          asBytes(a) === asBytes(b) ? "b\n" : "a\n"
        ] as const
      )
      assert.deepStrictEqual(await failures(scripts), [])
    })
    await fc.assert(property, { numRuns: 10 })
  }, 60_000)

  it("take a value for a command's name, not for syntax", async () => {
    for (const sh of shells) {
      for (const value of ["FOO=bar", "if", "-x", "~", "*", "", "{", "!", "((1))", "a b", "$(echo echo)", "#"]) {
        assert.strictEqual((await run(sh, shell`${value}`)).status, 127, `${sh.join(" ")}: ${value}`)
      }
    }
  }, 30_000)
})

const expands = "$(echo PWNED >&2)"
const evaluates = `a[${expands}]`

/**
 * Positions that are refused: the text before and after, what the problem says, and, where quoting alone would let a
 * value run, a value that does and the shell that runs it.
 */
const refused: ReadonlyArray<
  readonly [before: string, after: string, says: RegExp, value?: string, sh?: "sh" | "bash"]
> = [
  ["echo \"", "\"", /double quotes/, expands, "sh"],
  ["echo \"$(echo \"", "\")\"", /double quotes/, expands, "sh"],
  ["echo \"$(echo x)", "\"", /double quotes/, expands, "sh"],
  ["echo \"\\", "\"", /double quotes/, expands, "sh"],
  ["echo \"$", "\"", /double quotes/, expands, "sh"],
  ["echo '", "'", /single quotes/, ";echo PWNED >&2;", "sh"],
  ["echo $'a", "'", /single quotes/, ";echo PWNED >&2;", "bash"],
  ["echo $'a\\'b' ", "", /\$'\.\.\.'/],
  ["echo `echo ", "`", /backquotes/, "`; echo PWNED >&2; `", "bash"],
  ["echo \"`echo ", "`\"", /backquotes/],
  ["echo `echo '` ", "", /backquotes/],
  ["# ", "\n", /comment/, "\necho PWNED >&2\n", "sh"],
  ["echo x;# ", "\n", /comment/, "\necho PWNED >&2\n", "sh"],
  ["echo x \\\n# ", "\n", /comment/, "\necho PWNED >&2\n", "sh"],
  ["x=$(# ", "\n)", /comment/, "\necho PWNED >&2 #", "sh"],
  ["x=$(# it's\n echo ", "')", /comment/],
  ["cat <<E\n", "\nE\n", /here-document;/, expands, "sh"],
  ["cat <<E\nE", "\nE\n", /here-document;/, expands, "sh"],
  ["cat <<'E'\n", "\nE\n", /here-document;/, "\nE\necho PWNED >&2\n", "sh"],
  ["cat <<-E; cat <<F\n\tE\n", "\nF\n", /here-document;/, expands, "sh"],
  ["cat <<", "\nx\n", /delimiter/],
  ["cat <<-", "\nx\n", /delimiter/],
  ["cat <<E", "\nx\n", /delimiter/],
  ["cat <<$x\n", "\n", /delimiter/],
  ["cat <<E\nx\\\nE\n", "\nE\n", /here-document too/, expands, "sh"],
  ["cat <<E\n$(\nE\n)\n", "\nE\n", /here-document too/, expands, "sh"],
  ["x=$(cat <<E\nit's\nE\n); echo ", "", /here-document too/],
  ["cat <<E \"\n", "\"\nE\n", /<</],
  ["cat <<E $(\n", ")\nE\n", /<</],
  ["cat <<E \\\n x\n", "\nE\n", /<</, expands, "sh"],
  ["x=$(cat <<E)\n", "\nE\n", /<</],
  ["cat <\\\n<E\n", "\nE\n", /backslash-newline/, expands, "sh"],
  ["echo $\\\n", "", /backslash-newline/],
  ["echo $((", " + 1))", /evaluates/, evaluates, "sh"],
  ["echo $((1 + (2))", "))", /evaluates/],
  ["echo $((echo a); echo ", ")", /evaluates/],
  ["echo $(( $(echo ", ") ))", /evaluates/],
  ["echo $[", "]", /bash/, evaluates, "bash"],
  ["((", "))", /bash/, evaluates, "bash"],
  ["for ((i=0; i<", "; i++)); do :; done", /bash/, evaluates, "bash"],
  ["[[ ", " -eq 1 ]]", /\[\[/, evaluates, "bash"],
  ["a[", "]=1", /within a word/, evaluates, "bash"],
  ["a[ ", " ]=1", /within a word/, evaluates, "bash"],
  ["a[b[0]", "]=1", /within a word/],
  ["a[$(printf %s ", ")]=1", /within a word/, evaluates, "bash"],
  ["ls *[", "]", /within a word/],
  ["echo \"${x:-", "}\"", /\$\{\.\.\.\}/, expands, "sh"],
  ["echo ${x:-", "}", /\$\{\.\.\.\}/],
  ["echo \"${x:-'}\" ", "", /\$\{\.\.\.\}/],
  ["echo ${x:-\"${y:-\"}\"}\"} ", "", /\$\{\.\.\.\}/],
  ["echo \\", "", /backslash/, "\necho PWNED >&2\n#", "sh"],
  ["echo $", "", /right after a \$/, "\\';echo PWNED >&2;'", "bash"],
  ["echo \"$(case x in x) echo \" ", "\";; esac)\"", /case/],
  ["echo $(case x in x) echo ", ";; esac)", /case/],
  ["shopt -s extglob\necho @(#'\n) ", "'", /touches \(/],
  ["a=(#'\n ", "')", /touches \(/],
  ["echo é# ", "\n", /outside ASCII/]
]

describe("refused positions of a shell template", () => {
  for (const [before, after, says, value = "x", sh] of refused) {
    it(JSON.stringify(`${before}\${x}${after}`), async () => {
      const found = Either.getOrThrowWith(
        Either.flip(template([before, after], [Redacted.make(value)])),
        (accepted) => new Error(`accepted: ${reveal(accepted)}`)
      )
      assert.match(found, /^value 1 (stands|comes) [^\n]+; [^\n]+$/)
      assert.match(found, says)
      assert.notInclude(found, "PWNED")
      if (sh !== undefined && (sh === "sh" || hasBash)) {
        const quoted = `'${value.replaceAll("'", "'\\''")}'`
        const { stderr } = await run([sh], before + quoted + after)
        assert.match(stderr, /^PWNED$/m, "quoting alone would do here; why refuse?")
      }
    })
  }

  it("name the position of the value", () => {
    assert.match(problem`echo ${"a"} "${"b"}"`, /^value 2 stands in double quotes/)
  })
})

const fragments = [
  [": ", "echo ", "x=", "a[", "]=1", "[", "]", "'", "\"", "`", "$(", ")", "(", "((", "))", "$((", "${y:-", "${y}"],
  ["}", "{", "\\", "\\\n", "\n", " ", "#", " # ", "<<E", "<<-E ", "<<'E'", "<<\\E", "<", ">o", "\nE\n", "\n\tE\n"],
  ["case x in ", "x) ", ";; ", "esac", "[[ ", " ]]", "$", "$'", "$\"", "$[", ";", "; ", "&& ", "| ", "if ", "then "],
  ["fi", "\\'", "\\\"", "\\`", "$x", "$#", "$$", "1", "=", "{ ", "; }", "f() ", "<(", "<<<", "declare "],
  ["é", "~", "*", "@(", "!", ",", "\t", "\r", "cat <<E; ", "cat <<E\n$x\nE\n", "cat <<'E'\n`\nE\n", "\"$(echo "],
  ["$(cat <<E\nq\nE\n)", "$(echo a # b\n) ", "$(case x in x) echo ;; esac)", "${y:-\"a b\"}"],
  ["cat <<E \"a\n\"\nb\nE\n", "$((1+(2*3)))", "`date`", "for i in ", "; do ", "done ", "'a\nb'"]
].flat()

const ends = [
  ["", "'", "\"", "`", ")", "}", "))", ")\"", "\n", "\nE\n", "\nE\n)", "\nE\n)\"", "]=1", " ]=1", "]", ")'", "'\n)"],
  [" ]]", "; esac", ";; esac)", "\"\n)", "\" )", ")`", "; fi", "; }", "}\"", " -eq 1 ]]"]
].flat()

const payloads = ["$(X)", "`X`", ";X;", "';X;'", "\";X;\"", ")\nX\n", "a[$(X)]", "\nE\nX\n", "\"\nX\n\"", "}\nX\n"]
  .map((payload) => payload.replace("X", ": >PWNED"))

/** Runs each of its arguments by the shell it was given, in a directory of its own: a fork of a shell costs less than one of Node. */
const runEach = "n=0; for script do mkdir $n && (cd $n && exec $SH -c \"$script\"); n=$((n + 1)); done"

/** Those of the scripts that ran a payload. */
const pwned = async (sh: ReadonlyArray<string>, scripts: ReadonlyArray<string>) => {
  const directory = mkdtempSync(join(tmpdir(), "quoting-"))
  try {
    await run(["sh"], [`SH='${sh.join(" ")}'; ${runEach}`, "sh", ...scripts], directory)
    assert.lengthOf(readdirSync(directory), scripts.length)
    return scripts.filter((_, n) => existsSync(join(directory, String(n), "PWNED")))
  } finally {
    rmSync(directory, { recursive: true })
  }
}

describe("random scripts", () => {
  it("would be seen to run a value", async () => {
    for (const sh of shells) {
      assert.deepStrictEqual(await pwned(sh, ["echo 'a'", "echo $(: >PWNED)", "echo 'b'"]), ["echo $(: >PWNED)"])
    }
  })

  it("never run a value that was accepted", async () => {
    const some = (of: ReadonlyArray<string>, maxLength: number) =>
      fc.array(fc.constantFrom(...of), { maxLength }).map((parts) => parts.join(""))
    const random = fc.tuple(some(fragments, 9), some(fragments, 1), some(ends, 2), fc.constantFrom(...payloads))
    const many = fc.array(random, { maxLength: 50, size: "max" })
    let ran = 0
    const property = fc.asyncProperty(many, fc.constantFrom(...shells), async (candidates, sh) => {
      const scripts = candidates.flatMap(([before, after, end, payload]) => {
        const parsed = template([before, after + end], [payload])
        return Either.isRight(parsed) ? [reveal(parsed.right)] : []
      })
      ran += scripts.length
      assert.deepStrictEqual(await pwned(sh, scripts), [])
    })
    await fc.assert(property, { numRuns: 40 })
    assert.isAbove(ran, 200)
  }, 120_000)
})
