import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as fc from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import { fromTemplate, reveal, secrets, word } from "../src/internal/words.ts"

const parse = (strings: TemplateStringsArray, ...values: ReadonlyArray<unknown>) =>
  Either.map(fromTemplate(strings, values), (words) => words.map(reveal))

const words = (strings: TemplateStringsArray, ...values: ReadonlyArray<unknown>) =>
  Either.getOrThrowWith(parse(strings, ...values), (problem) => new Error(problem))

const problem = (strings: TemplateStringsArray, ...values: ReadonlyArray<unknown>) =>
  Either.getOrThrowWith(Either.flip(parse(strings, ...values)), (found) => new Error(found.join(" ")))

const secret = Redacted.make("hunter2")

describe("words of a template", () => {
  it("are split at white space of the literal text only", () => {
    assert.deepStrictEqual(words`git  log\t-n ${5} ${"two words"}`, ["git", "log", "-n", "5", "two words"])
    assert.deepStrictEqual(words` ls ${" "} `, ["ls", " "])
    assert.deepStrictEqual(
      words`
        ls
          -l
      `,
      ["ls", "-l"]
    )
  })

  it("take quotes, globs and dollars as they stand", () => {
    assert.deepStrictEqual(words`echo "a b" '*' $HOME \\`, ["echo", "\"a", "b\"", "'*'", "$HOME", "\\"])
  })

  it("keep white space that no shell splits at", () => {
    assert.deepStrictEqual(words`a\u00a0b c\u2003d`, ["a\u00a0b", "c\u2003d"])
  })

  it("join a value with what it touches", () => {
    assert.deepStrictEqual(words`--n=${5} ${"a"}${"b"} pre${"x y"}post ${1}.${2}`, ["--n=5", "ab", "prex ypost", "1.2"])
    assert.deepStrictEqual(words`${"a"}b${secret}`, ["abhunter2"])
  })

  it("are none for an empty array and one for an empty string", () => {
    assert.deepStrictEqual(words`ls ${[]} -l ${""}`, ["ls", "-l", ""])
    assert.deepStrictEqual(words`ls --name=${""}`, ["ls", "--name="])
    assert.deepStrictEqual(words`${[]}`, [])
    assert.deepStrictEqual(words`${""}`, [""])
    assert.deepStrictEqual(words` \n `, [])
    assert.deepStrictEqual(words``, [])
  })

  it("are as many as an array has items", () => {
    assert.deepStrictEqual(words`${["rm", "-r"]} ${["a b", 2, secret]}`, ["rm", "-r", "a b", "2", "hunter2"])
  })

  it("write numbers as String does", () => {
    assert.deepStrictEqual(words`${NaN} ${-0} ${1e21} ${0.1}`, ["NaN", "0", "1e+21", "0.1"])
  })

  it("keep a redacted value apart", () => {
    const parsed = fromTemplate(["curl --user=", ":x"] as unknown as TemplateStringsArray, [secret])
    assert.deepStrictEqual(parsed, Either.right([["curl"], ["--user=", secret, ":x"]]))
  })

  it("give every value back exactly", () => {
    const value = fc.oneof(fc.string16bits(), fc.string(), fc.constantFrom("", " ", "\n", "'", "\"", "\\"))
    fc.assert(fc.property(value, value, fc.array(value), (a, b, c) => {
      assert.deepStrictEqual(words`cmd ${a} --b=${b} ${c}`, ["cmd", a, `--b=${b}`, ...c])
    }))
  })
})

describe("problems of a template", () => {
  it("name the value, its type and the remedy on one line", () => {
    const remedy = "; give a string, a number, a Redacted string or an array of these (an empty array leaves it out)"
    assert.strictEqual(problem`ls ${"a"} ${undefined}`, `value 2 is undefined${remedy}`)
    assert.strictEqual(problem`ls ${null}`, `value 1 is null${remedy}`)
    assert.strictEqual(problem`ls ${true}`, `value 1 is a boolean${remedy}`)
    assert.strictEqual(problem`ls ${{ secret: 1 }}`, `value 1 is an object${remedy}`)
    assert.strictEqual(problem`ls ${10n}`, `value 1 is a bigint${remedy}`)
    assert.strictEqual(problem`ls ${() => "x"}`, `value 1 is a function${remedy}`)
    assert.strictEqual(problem`ls ${["a", undefined]}`, `item 2 of value 1 is undefined${remedy}`)
    assert.strictEqual(problem`ls ${["a", ["b"]]}`, `item 2 of value 1 is an array within an array${remedy}`)
    assert.strictEqual(problem`ls ${new Array(1)}`, `item 1 of value 1 is undefined${remedy}`)
  })

  it("refuse a Redacted that holds no string", () => {
    const wiped = Redacted.make("gone")
    Redacted.unsafeWipe(wiped)
    assert.match(problem`ls ${Redacted.make(5)}`, /^value 1 is a Redacted without a string in it; /)
    assert.match(problem`ls ${wiped}`, /^value 1 is a Redacted without a string in it; /)
  })

  it("refuse an array that touches something", () => {
    const expected = "value 1 is an array that touches text or another value; put white space around it"
    assert.strictEqual(problem`ls --x=${["a"]}`, expected)
    assert.strictEqual(problem`ls ${["a"]}/x`, expected)
    assert.strictEqual(problem`ls ${[]}x`, expected)
    assert.strictEqual(problem`ls ${["a"]}${"b"}`, expected)
    assert.strictEqual(problem`ls ${["a"]}${["b"]}`, expected)
    assert.strictEqual(problem`ls ${"a"}${["b"]}`, expected.replace("1", "2"))
    assert.deepStrictEqual(words`${["a"]}`, ["a"])
  })

  it("refuse a malformed escape", () => {
    const remedy = "has a malformed escape; double the backslash (\\\\) to mean a backslash"
    assert.strictEqual(problem`ls C:\users ${1}`, `the text at the start of the template ${remedy}`)
    assert.strictEqual(problem`ls ${1} \x`, `the text after value 1 ${remedy}`)
  })
})

describe("secrets", () => {
  it("are what the redacted pieces hide", () => {
    assert.deepStrictEqual(secrets([word("ls"), ["--p=", secret], [Redacted.make(""), secret]]), ["hunter2"])
  })

  it("are also found as a script's program prints them", () => {
    assert.deepStrictEqual(secrets([["echo ", Redacted.make("'it'\\''s'")]]), ["'it'\\''s'", "it's"])
    assert.deepStrictEqual(secrets([["echo ", Redacted.make("''")]]), [])
    assert.deepStrictEqual(secrets([[Redacted.make("'")]]), ["'"])
  })
})
