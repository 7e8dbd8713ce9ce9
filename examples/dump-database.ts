// producer | gzip > file, and the file appears whole or not at all.
import { NodeProcess } from "@effect-process/node"
import { Console, Effect } from "effect"
import { Command, Stdio } from "effect-process"
import * as fs from "node:fs"
import * as path from "node:path"
import { temporaryDirectory } from "./support/example.ts"

/** Writes beside the file, moves it into place when every stage has succeeded, and leaves nothing otherwise. */
const dump = <E, R>(producer: Command.Command<E, R>, file: string) => {
  const unfinished = `${file}.${process.pid}.tmp`
  return producer.pipe(
    Command.pipeTo(Command.make("gzip", "-c")),
    Command.stdout(Stdio.file(unfinished)),
    Command.run,
    Effect.zipLeft(Effect.sync(() => fs.renameSync(unfinished, file))),
    // Also after an interrupt, when every process that could still write to it has gone.
    Effect.onError(() => Effect.sync(() => fs.rmSync(unfinished, { force: true })))
  )
}

const table = `i=0; while [ $i -lt 20000 ]; do echo "INSERT INTO t VALUES ($i);"; i=$((i + 1)); done`

const program = Effect.gen(function*() {
  const directory = yield* temporaryDirectory
  const file = path.join(directory, "t.sql.gz")

  const { stages } = yield* dump(Command.shell(table), file)
  const lines = yield* Command.make("gunzip", "-c", file).pipe(Command.pipeTo(Command.make("wc", "-l")), Command.string)
  yield* Console.log(
    `${lines.trim()} lines are in ${path.basename(file)};`,
    stages.map(({ exit }) => String(exit)).join(", ")
  )
  if (Number(lines) !== 20_000) return yield* Effect.dieMessage("lines are missing")
  const before = fs.readFileSync(file)

  // In a shell without pipefail this is a success, and half a dump takes the place of the whole one.
  const broken = Command.shell(`${table}; echo "connection lost" >&2; exit 1`)
  const error = yield* Effect.flip(dump(broken, file))
  yield* Console.log(error._tag === "NonZeroExit" ? `failed: ${error.stderrTail.trim()}` : error.message)

  const slow = Command.shell(`${table}; sleep 60`).pipe(Command.timeout("1 second"))
  yield* Console.log(`failed: ${(yield* Effect.flip(dump(slow, file)))._tag}`)

  const interrupted = yield* dump(Command.shell(`${table}; sleep 60`), file).pipe(Effect.timeoutOption("500 millis"))
  yield* Console.log(`interrupted: ${interrupted._tag === "None"}`)

  const left = fs.readdirSync(directory)
  if (left.length !== 1 || !fs.readFileSync(file).equals(before)) {
    return yield* Effect.dieMessage(`there are ${left.join(", ")}`)
  }
  yield* Console.log("the first dump is still there, and nothing else")
})

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(NodeProcess.layer)))
