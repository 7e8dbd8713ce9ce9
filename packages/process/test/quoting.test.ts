/** How words are quoted and shown, and what a shell template makes of its values. */
import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as fc from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import { quote, render } from "../src/internal/quoting.ts"
import { reveal, secrets, word } from "../src/internal/words.ts"
import { asBytes, failures, hasBash, hostile, printAll, problem, run, shell, template } from "./support/shells.ts"

describe("quote", () => {
  it("leaves plain words bare", () => {
    assert.strictEqual(quote("src/a-b_c.ts:1,2@x+%="), "src/a-b_c.ts:1,2@x+%=")
    assert.strictEqual(quote("--since=2024-01-01"), "--since=2024-01-01")
  })

  it("quotes everything else", () => {
    assert.strictEqual(["", "it's", "a b", "~", "é", "a\n"].map(quote).join(" "), "'' 'it'\\''s' 'a b' '~' 'é' 'a\n'")
  })

  it("gives one word of sh", async () => {
    const property = fc.asyncProperty(fc.array(hostile, { minLength: 1, maxLength: 40 }), async (values) => {
      const text = `printf '%s\\0' ${values.map(quote).join(" ")}`
      assert.deepStrictEqual(await failures([[text, printAll(...values.map(asBytes))]]), [])
    })
    await fc.assert(property, { numRuns: 30 })
  }, 60_000)
})

describe("render", () => {
  const secret = Redacted.make("hunter2")

  it("shows a command as a user would type it", () => {
    assert.strictEqual(render([word("ls"), word("-l"), word("my docs"), word("")]), "ls -l 'my docs' ''")
    assert.strictEqual(render([["--a", "=", "b"], ["it", "'s"], []]), "--a=b 'it'\\''s' ''")
  })

  it("hides redacted pieces", () => {
    assert.strictEqual(render([word("curl"), ["--user=", secret], word(secret)]), "curl --user=<redacted> <redacted>")
    assert.strictEqual(render([["a b", secret, "", secret, "$c"]]), "'a b'<redacted><redacted>'$c'")
    assert.strictEqual(render([word(Redacted.make(""))]), "<redacted>")
    assert.strictEqual(render([word("<redacted>")]), "'<redacted>'")
  })

  it("lets nothing raw through to a terminal", () => {
    assert.strictEqual(
      render([word("a\x1b[31m'\\\x7f\n\t\r\x00\x9b")]),
      "$'a\\x1b[31m\\'\\\\\\x7f\\n\\t\\r\\x00\\u009b'"
    )
    assert.strictEqual(render([["x\u202ey", secret, "\u2066"]]), "$'x\\u202ey'<redacted>$'\\u2066'")
    fc.assert(fc.property(fc.array(hostile, { minLength: 1 }), (values) => {
      assert.notMatch(render(values.map(word)), /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/)
    }))
  })

  it.skipIf(!hasBash)("gives the words back when typed into bash", async () => {
    const property = fc.asyncProperty(fc.array(hostile, { minLength: 1, maxLength: 40 }), async (values) => {
      const { stdout } = await run(["bash"], `printf '%s\\0' ${render(values.map(word))}`)
      assert.strictEqual(stdout, printAll(...values.map(asBytes)))
    })
    await fc.assert(property, { numRuns: 30 })
  }, 60_000)
})

describe("shell template", () => {
  it("makes each value one quoted word and an array as many", () => {
    assert.strictEqual(shell`wc ${"it's"} -n ${5} ${["a", "b c"]}`, "wc 'it'\\''s' -n '5' 'a' 'b c'")
    assert.strictEqual(shell`for f in ${["x"]}; do wc $f; done`, "for f in 'x'; do wc $f; done")
    assert.strictEqual(shell`echo ${""} ${[""]}`, "echo '' ''")
    assert.strictEqual(shell`a=${"b"}c${"d"}`, "a='b'c'd'")
    assert.strictEqual(shell``, "")
  })

  it("does not join the operators around an empty array", () => {
    assert.strictEqual(shell`a &${[]}& b <${"f"} ;${[]};`, "a & & b <'f' ; ;")
  })

  it("keeps secrets apart, quoted", () => {
    const parsed = template(["curl -u ", " x"], [Redacted.make("it's")])
    const line = Either.getOrThrow(parsed)
    assert.strictEqual(reveal(line), "curl -u 'it'\\''s' x")
    assert.strictEqual(render([word("sh"), word("-c"), line]), "sh -c 'curl -u '<redacted>' x'")
    assert.includeMembers([...secrets([line])], ["it's"])
  })

  it("has the problems of values that all templates have", () => {
    assert.match(problem`ls ${"a"} ${undefined}`, /^value 2 is undefined; /)
    assert.match(problem`ls ${[null]}`, /^item 1 of value 1 is null; /)
    assert.match(problem`ls \x ${1}`, /malformed escape; double the backslash/)
  })

  it("refuses an array that touches text, and one as the target of a redirection", () => {
    const touches = "value 1 is an array that touches text or another value; put white space around it"
    assert.strictEqual(problem`ls --x=${["a"]}`, touches)
    assert.strictEqual(problem`ls ${["a"]}x`, touches)
    assert.strictEqual(problem`ls ${[]}x`, touches)
    assert.strictEqual(problem`ls ${["a"]}${"b"}`, touches)
    assert.strictEqual(problem`ls $(echo x)${["a"]}`, touches)
    assert.strictEqual(problem`ls \\\n${["a"]}"x"`, touches)
    assert.match(problem`ls > ${["a", "b"]}`, /^value 1 is an array as the target of a redirection; /)
    assert.match(problem`ls 2>&${[]} x`, /^value 1 is an array as the target of a redirection; /)
    assert.strictEqual(shell`ls >f ${["a"]}`, "ls >f 'a'")
    assert.strictEqual(shell`(ls ${["a"]})`, "(ls 'a')")
    assert.strictEqual(shell`exec > >(tee ${"log"}); ls ${["a"]}`, "exec > >(tee 'log'); ls 'a'")
  })
})
