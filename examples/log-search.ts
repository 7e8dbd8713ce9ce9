// Search a large log with three stages and get a typed result. No byte of the log passes through Node.
import { NodeProcess } from "@effect-process/node"
import { Console, Effect, Schema } from "effect"
import { Command } from "effect-process"
import * as fs from "node:fs"
import * as path from "node:path"
import { temporaryDirectory } from "./support/example.ts"

const lines = 400_000

/** A line of `uniq -c`: how often, and which path. */
const Count = Schema.Struct({ times: Schema.NumberFromString, path: Schema.NonEmptyString })
const Counts = Schema.Array(Count)

/** Some 20 MB: 1 of 16 requests fails, and 1 of 4 of those is for /api/orders. */
const generate = (file: string): void => {
  const paths = ["/api/orders", "/api/users", "/", "/health"]
  const log = fs.openSync(file, "w")
  for (let first = 0; first < lines; first += 10_000) {
    const text = Array.from({ length: 10_000 }, (_, i) => {
      const n = first + i
      const status = n % 16 === 0 ? 500 : 200
      return `2026-11-21T00:00:00Z GET ${paths[(n >> 4) % paths.length]} ${status} ${n % 97} ms\n`
    })
    fs.writeSync(log, text.join(""))
  }
  fs.closeSync(log)
}

const failuresByPath = (log: string) =>
  Command.make("grep", "-E", " 5[0-9]{2} ", log).pipe(
    // grep(1) exits with 1 when nothing matches, which is an answer and no failure.
    Command.acceptExitCodes(0, 1),
    Command.pipeTo(Command.make("cut", "-d ", "-f3")),
    Command.pipeTo(Command.shell("sort | uniq -c | sort -rn")),
    Command.env({ LC_ALL: "C" }),
    Command.timeout("30 seconds"),
    Command.lines,
    Effect.map((rows) => rows.map((row) => row.trim().split(" ")).map(([times, path]) => ({ times, path }))),
    Effect.flatMap(Schema.decodeUnknown(Counts))
  )

const program = Effect.gen(function*() {
  const directory = yield* temporaryDirectory
  const log = path.join(directory, "access.log")
  generate(log)
  const [time, counts] = yield* Effect.timed(failuresByPath(log))
  yield* Console.log(`${fs.statSync(log).size} bytes searched in`, String(time))
  for (const count of counts) yield* Console.log(`${count.times} failures of ${count.path}`)
  const total = counts.reduce((sum, { times }) => sum + times, 0)
  if (counts.length !== 4 || total !== lines / 16) return yield* Effect.dieMessage(`${total} failures were found`)

  // A stage that fails fails the whole, although the last one succeeded, and says which one it was.
  const missing = yield* Effect.flip(failuresByPath(path.join(directory, "absent.log")))
  yield* Console.log(missing.message)
})

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(NodeProcess.layer)))
