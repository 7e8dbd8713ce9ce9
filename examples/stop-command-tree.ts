// A command that starts others is stopped: all of its process group goes, and no one else is signalled.
import { Effect } from "effect"
import { Command } from "effect-process"
import { spawn } from "node:child_process"
import {
  act,
  claim,
  claimGone,
  type Example,
  main,
  show,
  starting,
  temporaryDirectory,
  until
} from "./support/example.ts"
import { job, rowOf, stillThere } from "./support/table.ts"

// Not every machine has watch(1): a loop that starts commands does as well.
const script = Effect.map(
  Command.success(Command.shell("command -v watch && command -v top")),
  (installed) => installed ? "watch top > top.log" : "while :; do uptime; sleep 2; done > top.log"
)

/** A process in the program's own group, where a plain spawn puts it: whoever signals that group ends it. */
const witness = Effect.acquireRelease(
  Effect.sync(() => spawn("sleep", ["60"], { stdio: "ignore" })),
  (child) => Effect.sync(() => child.kill("SIGKILL"))
)

const task = Effect.gen(function*() {
  const sleeper = yield* witness
  const bystander = yield* until("the witness", () => rowOf(sleeper.pid ?? 0), (row) => row?.command === "sleep 60")
  const command = Command.make("bash", "-c", yield* script).pipe(
    Command.workingDirectory(yield* temporaryDirectory),
    Command.env({ TERM: "xterm" })
  )

  yield* starting(command)
  const running = yield* Command.start(command)
  yield* Effect.sleep("1 second")
  const rows = yield* until("bash and what it starts", () => job(running.pid), (found) => found.length > 1)
  yield* show("while it runs", rows)

  yield* act("terminate()")
  const exit = yield* running.terminate()
  yield* claim(`it ended: bash by ${String(exit)}`, exit._tag === "Killed" && exit.signal === "SIGTERM")
  yield* claimGone(rows)

  const own = rowOf(process.pid)?.pgid
  yield* claim(`the job's group was its own, ${running.processGroupId}`, rows.every((row) => row.pgid === running.pid))
  yield* claim(
    `the program's group, ${own}, got no signal: its sleep(${sleeper.pid}) lives`,
    bystander?.pgid === own && stillThere(bystander === undefined ? [] : [bystander]).length === 1
  )
})

export const stopCommandTree: Example = {
  title: "A command that starts others is stopped",
  usually:
    "kill PID leaves watch running, and kill -PGID of a child without a group of its own hits the program itself",
  here: "each job has a group of its own: all of it ends, and the program's group is never signalled",
  task: Effect.scoped(task)
}

await main(import.meta.url, stopCommandTree)
