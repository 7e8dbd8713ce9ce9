// The program itself dies by kill -9: its child, unchanged, and everything below that end too.
import { Deferred, Effect, Stream } from "effect"
import { Command } from "effect-process"
import { NodeProcess } from "@effect-process/node"
import { fileURLToPath } from "node:url"
import { act, claim, claimGone, type Example, isMain, main, say, show, starting, until } from "./support/example.ts"
import { below, stillThere } from "./support/table.ts"

/** A child that prints every 200 ms and knows nothing of its owner; below it, a process that ignores SIGTERM. */
const child = Command.make(
  "bash",
  "-c",
  "trap \"\" TERM; sleep 100 & trap - TERM; while :; do echo tick; sleep 0.2; done"
).pipe(Command.gracePeriod("300 millis"))

/** The second program: it owns the child and hands on what that prints. */
const owner = Command.streamLines(child).pipe(
  Stream.runForEach((line) => Effect.sync(() => console.log(line))),
  Effect.provide(NodeProcess.layer)
)

const file = fileURLToPath(import.meta.url)

const task = Effect.gen(function*() {
  const command = Command.make(process.execPath, file, "owner")
  yield* starting(command)
  const parent = yield* Command.start(command)
  yield* say(`         which starts  $ ${String(child)}`)
  const ticking = yield* Deferred.make<void>()
  yield* parent.stdout.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.zipWithIndex,
    // Read on and on: an owner that cannot print would end for that reason.
    Stream.runForEach(([line, at]) => at === 2 ? Deferred.succeed(ticking, undefined) : Effect.logTrace(line)),
    Effect.forkScoped
  )
  yield* Effect.timeout(Deferred.await(ticking), "30 seconds")
  const rows = yield* until("the child and its sleeps", () => below(parent.pid), (found) => found.length >= 3)
  yield* show("while it runs", rows)

  yield* act(`kill -9 ${parent.pid}`)
  const killed = Date.now()
  process.kill(parent.pid, "SIGKILL")
  const exit = yield* parent.exit
  yield* claim(`the owner is dead: ${String(exit)}`, String(exit) === "SIGKILL")
  // Its sleep has 100 s to go. The library promises 550 ms; a loaded CI machine gets more.
  const group = rows.find((row) => row.command === "sleep 100")?.pgid
  const jobRows = rows.filter((row) => row.pgid === group)
  yield* until("the end of the child", () => stillThere(jobRows), (left) => left.length === 0)
  yield* say(`         the job ended in ${Date.now() - killed} ms, 300 of them the grace of what ignores SIGTERM`)
  yield* until("the end of the watchdog", () => stillThere(rows), (left) => left.length === 0)
  yield* claimGone(rows)
})

export const ownerDies: Example = {
  title: "The program itself dies",
  usually: "who gets kill -9 cleans up nothing: the child prints on under init, unless its own source calls prctl()",
  here: "the kernel closes a dead owner's pipes, and a watchdog at the other end ends every job, whatever the child is",
  task: Effect.scoped(task)
}

if (isMain(import.meta.url) && process.argv[2] === "owner") await Effect.runPromise(owner)
else await main(import.meta.url, ownerDies)
