/** That no byte of a pipeline is lost, doubled, changed or moved, however many there are. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Command } from "effect-process"
import { createHash, randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { temporaryDirectory } from "../support/fixtures.ts"
import { type Suite } from "../support/scenario.ts"

const kibibyte = 1024
const mebibyte = 1024 * kibibyte

/** The size of a pipe, and what surrounds it. */
const sizes = [0, 1, 64 * kibibyte - 1, 64 * kibibyte, 64 * kibibyte + 1, 3 * mebibyte + 17]

export const pipelineBytes = ({ scenario }: Suite): void => {
  scenario(
    "bytes of every value pass three stages as they were: nothing to three mebibytes, fed and read by us",
    (t) =>
      Effect.gen(function*() {
        const cat = t.mark(Command.make("cat"))
        const command = cat.pipe(Command.pipeTo(cat), Command.pipeTo(cat))
        for (const size of sizes) {
          const input = randomBytes(size)
          const { stdout } = yield* Command.run(Command.feed(command, input))
          assert.strictEqual(stdout.length, size)
          assert.isTrue(Buffer.from(stdout).equals(input), `${size} bytes`)
        }
      })
  )

  scenario("64 KiB that are written before anybody reads arrive, a hundred times", (t) =>
    Effect.gen(function*() {
      const command = t.sh("head -c 65536 /dev/zero").pipe(
        Command.pipeTo(t.mark(Command.make("cat"))),
        Command.pipeTo(t.mark(Command.make("wc", "-c")))
      )
      const counts = yield* Effect.forEach(Array.from({ length: 100 }), () => Command.string(command), {
        concurrency: 4
      })
      assert.deepStrictEqual(new Set(counts.map((count) => count.trim())), new Set(["65536"]))
    }))

  scenario("two hundred thousand lines keep their order", (t) =>
    Effect.gen(function*() {
      const cat = t.mark(Command.make("cat"))
      const command = t.mark(Command.make("seq", "200000")).pipe(Command.pipeTo(cat), Command.pipeTo(cat))
      const lines = yield* Command.lines(command)
      assert.lengthOf(lines, 200_000)
      assert.strictEqual(lines.findIndex((line, i) => line !== String(i + 1)), -1)
    }))

  scenario("a gigabyte of binary data passes three stages with its checksum", (t) =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const piece = randomBytes(4 * mebibyte)
      const file = path.join(directory, "piece")
      fs.writeFileSync(file, piece)
      const hash = createHash("sha256")
      for (let i = 0; i < 256; i++) hash.update(piece)
      const expected = hash.digest("hex")
      const command = t.sh("i=0; while [ $i -lt 256 ]; do cat \"$1\"; i=$((i + 1)); done", file).pipe(
        Command.pipeTo(t.mark(Command.make("cat"))),
        Command.pipeTo(t.mark(Command.make("sha256sum")))
      )
      assert.strictEqual((yield* Command.string(command)).split(" ")[0], expected)
    }))

  scenario(
    "128 MiB of binary data pass three stages into our hands with their checksum",
    (t) =>
      Effect.gen(function*() {
        const directory = yield* temporaryDirectory
        const file = path.join(directory, "data")
        const piece = randomBytes(mebibyte)
        const expected = createHash("sha256")
        const handle = fs.openSync(file, "w")
        for (let i = 0; i < 128; i++) {
          piece.writeUInt32LE(i)
          fs.writeSync(handle, piece)
          expected.update(piece)
        }
        fs.closeSync(handle)
        const cat = t.mark(Command.make("cat"))
        const command = t.mark(Command.make("cat", file)).pipe(Command.pipeTo(cat), Command.pipeTo(cat))
        const seen = createHash("sha256")
        yield* Stream.runForEach(Command.stream(command), (chunk) => Effect.sync(() => seen.update(chunk)))
        assert.strictEqual(seen.digest("hex"), expected.digest("hex"))
      })
  )
}
