import { assert, describe, it } from "vitest"
import { decode, encode, lastLine, lines, LineSplitter, scrub, Tail, tailSize } from "../../src/internal/text.ts"

const split = (...chunks: ReadonlyArray<string | Uint8Array>) => {
  const splitter = new LineSplitter()
  const all = chunks.flatMap((chunk) => splitter.push(typeof chunk === "string" ? encode(chunk) : chunk))
  return [...all, ...splitter.end()]
}

describe("LineSplitter", () => {
  it("splits at \\n and \\r\\n, also when a read ends between the two", () => {
    assert.deepStrictEqual(split("a\nb\r\nc\r", "\nd"), ["a", "b", "c", "d"])
    assert.deepStrictEqual(split("a\rb\n"), ["a\rb"])
  })

  it("keeps empty lines, and a last line only when it is not empty", () => {
    assert.deepStrictEqual(split("\n\na\n\n"), ["", "", "a", ""])
    assert.deepStrictEqual(split(), [])
    assert.deepStrictEqual(lines(encode("x")), ["x"])
  })

  it("joins a character whose bytes come in several reads", () => {
    const bytes = encode("é€😀\n")
    assert.deepStrictEqual(split(...Array.from(bytes, (byte) => Uint8Array.of(byte))), ["é€😀"])
  })

  it("shows half a character at the end as U+FFFD, and keeps a byte order mark", () => {
    assert.deepStrictEqual(split(encode("😀").subarray(0, 2)), ["\ufffd"])
    assert.deepStrictEqual(split("\ufeffa\n"), ["\ufeffa"])
  })

  it("takes a line of 50 MB in as many steps as it has reads", () => {
    const splitter = new LineSplitter()
    const chunk = new Uint8Array(64 * 1024).fill(120)
    const n = 800
    for (let i = 0; i < n; i++) assert.strictEqual(splitter.push(chunk).length, 0)
    const [line] = splitter.push(encode("\n"))
    assert.strictEqual(line?.length, n * chunk.length)
  })
})

describe("Tail", () => {
  it("is the last 8 KiB", () => {
    const tail = new Tail([])
    for (let i = 0; i < 100; i++) tail.push(encode(`${i}`.padStart(1024, ".")))
    assert.strictEqual(tail.text().length, tailSize)
    assert.isTrue(tail.text().endsWith(".99"))
    assert.strictEqual(new Tail([]).text(), "")
  })

  it("does not begin within a character", () => {
    const tail = new Tail([])
    tail.push(encode("é".repeat(tailSize)))
    tail.push(encode("x"))
    assert.match(tail.text(), /^é+x$/)
  })

  it("keeps a copy: a buffer that is used again does not change it", () => {
    const tail = new Tail([])
    const buffer = new Uint8Array(64 * 1024)
    buffer.set(encode("first"))
    tail.push(buffer.subarray(0, 5))
    buffer.fill(120)
    assert.strictEqual(tail.text(), "first")
  })

  it("hides a secret wherever the tail cuts through it", () => {
    const secret = "0123456789abcdefghijklmnopqrstuvwxyz-0123456789"
    for (const filler of ["x", "é", "€"]) {
      for (let cut = 0; cut <= secret.length; cut++) {
        const tail = new Tail([secret])
        const before = encode(filler.repeat(3000))
        const rest = tailSize - cut
        const size = encode(filler).length
        tail.push(before)
        tail.push(encode(secret))
        tail.push(encode("y".repeat(rest % size) + filler.repeat(Math.floor(rest / size))))
        const text = tail.text()
        for (let i = 0; i + 4 <= secret.length; i++) {
          assert.notInclude(text, secret.slice(i, i + 4), `cut at ${cut} in ${filler}`)
        }
      }
    }
  })

  it("shows no part of a cut secret when hiding others has made the text shorter", () => {
    const secret = "s3cret-".repeat(20)
    const tail = new Tail([secret])
    tail.push(encode(secret.repeat(200)))
    assert.notInclude(tail.text(), "s3c")
  })
})

describe("scrub", () => {
  it("hides the longer of two secrets first, and all that overlapping ones cover", () => {
    assert.strictEqual(scrub("a-password-b", ["pass", "password"]), "a-<redacted>-b")
    assert.strictEqual(scrub("xabcdey", ["abc", "cde"]), "x<redacted>y")
    assert.strictEqual(scrub("aaa b", ["aa"]), "<redacted> b")
    assert.strictEqual(scrub("$& $1", ["$&"]), "<redacted> $1")
    assert.strictEqual(scrub("plain", ["", "x"]), "plain")
  })
})

describe("lastLine", () => {
  it("is one line without what a terminal would obey", () => {
    assert.strictEqual(lastLine("a\nfatal: no\n\n  \n"), "fatal: no")
    assert.strictEqual(lastLine("\u001b[31mred\u202e"), "\\u{1b}[31mred\\u{202e}")
    assert.strictEqual(lastLine("x".repeat(500)).length, 200)
    assert.strictEqual(lastLine(""), "")
  })
})

describe("decode", () => {
  it("strips nothing", () => assert.strictEqual(decode(encode("\ufeffa\n")), "\ufeffa\n"))
})
