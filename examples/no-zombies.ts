// Started and never waited for: no zombies, a failed exec is a typed error, and children inherit no stray descriptors.
import { Effect, Either } from "effect"
import { Command } from "effect-process"
import { act, claim, claimGone, type Example, main, say, show, starting, until } from "./support/example.ts"
import { hasProc, job, type Row, table } from "./support/table.ts"

const service = Command.make("sleep", "1.5")

const startAndForget = Effect.gen(function*() {
  yield* starting(service)
  const handles = yield* Effect.replicateEffect(Command.start(service), 5)
  const look = (): ReadonlyArray<Row> => handles.flatMap(({ pid }) => job(pid))
  const rows = yield* until("five services", look, (found) => found.length === 5)
  yield* show("while they run", rows)

  yield* act("nothing, not even a wait")
  yield* until("the end of the services", look, (found) => found.length === 0)
  // The scope is open still: it is not its close that reads the statuses.
  const defunct = table().filter((row) => row.ppid === process.pid && row.state === "Z")
  yield* claim("no <defunct> row below this program", defunct.length === 0, `${defunct.length} are there`)
  yield* claimGone(rows)
})

const failedExec = Effect.gen(function*() {
  for (const [file, errno] of [["no-such-program", "ENOENT"], ["/etc/passwd", "EACCES"]] as const) {
    const result = yield* Command.make(file).pipe(Command.exitCode, Effect.either)
    const error = Either.isLeft(result) && result.left._tag === "SpawnError" ? result.left : undefined
    yield* claim(`${file} was not started: ${error?._tag}, ${error?.reason}, ${error?.errno}`, error?.errno === errno)
  }
  const failing = Command.shell("exit 127")
  const code = yield* Command.exitCode(failing)
  yield* claim(`${String(failing)} ran, and failed: exit code ${code}`, code === 127)
})

const inheritedDescriptors = Effect.gen(function*() {
  const list = Command.make("ls", "-l", "/proc/self/fd")
  yield* starting(list)
  const lines = (yield* Command.lines(list)).flatMap((line) => / (\d+ -> .*)$/.exec(line)?.[1] ?? [])
  for (const line of lines) yield* say(`         ${line}`)
  // The one that names the directory is the handle by which ls reads it.
  const inherited = lines.filter((line) => !/ -> \/proc\/\d+\/fd$/.test(line)).map((line) => line.split(" ")[0])
  yield* claim("a child has descriptors 0, 1 and 2", inherited.join() === "0,1,2", `it has ${inherited.join(", ")}`)
})

export const noZombies: Example = {
  title: "Started and never waited for",
  usually:
    "each child that nobody waits for stays as a <defunct> row, and a missing program looks like one that failed",
  here: "every status is read, awaited or not; a failed exec is an error with its errno; descriptors do not leak",
  task: Effect.gen(function*() {
    yield* Effect.scoped(startAndForget)
    yield* failedExec
    if (hasProc) yield* inheritedDescriptors
  })
}

await main(import.meta.url, noZombies)
