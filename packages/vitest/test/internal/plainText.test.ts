import { assert, describe, it } from "@effect/vitest"
import { PlainText } from "../../src/internal/plainText.ts"
import { visible } from "../../src/internal/visible.ts"

const whole = (...pieces: ReadonlyArray<string>): string => {
  const plain = new PlainText()
  return pieces.map((piece) => plain.push(piece)).join("") + plain.end()
}

const cases: Readonly<Record<string, readonly [string, string]>> = {
  "colours": ["a \x1b[1;31mred\x1b[0m b", "a red b"],
  "private modes and cursor movements": ["\x1b[?25l\x1b[2K\x1b[1Gx\x1b[10;20Hy\x1b[6n", "xy"],
  "titles, ended by BEL or ST": ["\x1b]0;a title\x07x\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "xlink"],
  "character sets, keypad and saved cursors": ["\x1b(B\x1b=\x1b7x\x1b8\x1b>\x0e\x0f", "x"],
  "device control strings": ["\x1bPq#0;2;0\x1b\\x", "x"],
  "ends of lines": ["a\r\nb\r\r\nc\n\rd\r\n\r\n", "a\nb\nc\nd\n\n"],
  "a return within a line": ["10 %\r20 %\r\n", "10 %\r20 %\n"],
  "a sequence that never ends": ["x\x1b[12", "x\x1b[12"],
  "characters of several bytes": ["\x1b[1mé\x1b[0m✓", "é✓"]
}

describe("text of a terminal", () => {
  for (const [what, [raw, expected]] of Object.entries(cases)) {
    it(`${what}, wherever it is split`, () => {
      assert.strictEqual(whole(raw), expected)
      assert.strictEqual(whole(...raw), expected)
      for (let at = 0; at <= raw.length; at++) {
        assert.strictEqual(whole(raw.slice(0, at), raw.slice(at)), expected, `split at ${at}`)
      }
    })
  }

  it("gives what it has at once, but for the beginning of a sequence", () => {
    const plain = new PlainText()
    assert.strictEqual(plain.push("ready> "), "ready> ")
    assert.strictEqual(plain.push("a\x1b["), "a")
    assert.strictEqual(plain.push("0mb\n"), "b\n")
    // What claims to be a title for ever is text in the end.
    const title = `\x1b]0;${"x".repeat(70_000)}`
    assert.strictEqual(plain.push(title), title)
  })

  it("is shown with its control characters as escapes", () => {
    assert.strictEqual(
      visible("a\tb\r\n\x1b[0m\0\x7f\u202e\u200e"),
      "a\tb\\r\n\\u{1b}[0m\\u{0}\\u{7f}\\u{202e}\\u{200e}"
    )
  })
})
