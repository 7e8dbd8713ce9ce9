// A manager of local applications: start.sh runs the real one, sub.sh, and someone kills start.sh.
import { Deferred, Effect, Either, Option, Stream } from "effect"
import { Command, type Process } from "effect-process"
import * as fs from "node:fs"
import * as path from "node:path"
import {
  act,
  claim,
  claimGone,
  type Example,
  main,
  say,
  show,
  starting,
  temporaryDirectory,
  until
} from "./support/example.ts"
import { stateName } from "./support/draw.ts"
import { job, type Row } from "./support/table.ts"

const startScript = `#!/bin/sh
./sub.sh
`
const subScript = `#!/bin/sh
echo ready
sleep 0.5
echo "more time, please"
while :; do sleep 0.2; done
`

const install = Effect.map(temporaryDirectory, (directory) => {
  for (const [name, text] of [["start.sh", startScript], ["sub.sh", subScript]] as const) {
    fs.writeFileSync(path.join(directory, name), text, { mode: 0o755 })
  }
  return Command.make("./start.sh").pipe(Command.workingDirectory(directory), Command.gracePeriod("500 millis"))
})

const isSubScript = (row: Row): boolean => row.command.endsWith("./sub.sh")

/** Reads what the application says, and grants it more time to live when it asks. */
const converse = (application: Process.Process) =>
  Effect.gen(function*() {
    const ready = yield* Deferred.make<void>()
    yield* application.stdout.pipe(
      Stream.decodeText(),
      Stream.splitLines,
      Stream.runForEach((line) =>
        line === "ready"
          ? Deferred.succeed(ready, undefined)
          : Effect.zipRight(
            act(`"${line}", says the application: extendDeadline("1 minute")`),
            application.extendDeadline("1 minute")
          )
      ),
      Effect.forkScoped
    )
    yield* Effect.timeout(Deferred.await(ready), "10 seconds")
  })

const leaderIsKilled = Effect.gen(function*() {
  const command = Command.timeout(yield* install, "2 seconds")
  const rows = yield* Effect.scoped(Effect.gen(function*() {
    yield* starting(command)
    const application = yield* Command.start(command)
    const started = Date.now()
    yield* converse(application)
    const look = () => job(application.pid)
    const rows = yield* until("start.sh and sub.sh", look, (found) => found.some(isSubScript))
    yield* show("while it runs, with 2 s to live", rows)

    const lived = yield* until("two seconds", () => Date.now() - started, (millis) => millis > 2300)
    yield* claim(`it lives after ${lived} ms, for its time was extended`, yield* application.isRunning)
    yield* act(`someone else: kill -9 ${application.pid}, which is start.sh`)
    process.kill(application.pid, "SIGKILL")

    const exit = yield* application.exit
    yield* claim(`the handle tells how start.sh ended: ${String(exit)}`, String(exit) === "SIGKILL")
    const left = yield* application.descendants
    yield* show("the tree now", look())
    for (const row of left) {
      yield* say(`         left: ${row.commandLine} (${row.pid}), parent ${row.ppid}, state ${stateName(row.state)}`)
    }
    const real = look().find(isSubScript)
    yield* claim("so the handle knows that sub.sh runs on", left.some(({ pid }) => pid === real?.pid))
    const empty = yield* Effect.timeoutOption(application.empty, "100 millis")
    yield* claim("and that the job is not empty", Option.isNone(empty))
    yield* act("the end of the scope")
    return [...rows, ...look()]
  }))
  yield* claimGone(rows)
})

const timeToLiveEnds = Effect.gen(function*() {
  const command = Command.timeout(yield* install, "400 millis")
  yield* starting(command)
  const result = yield* command.pipe(Command.run, Effect.either)
  const error = Either.isLeft(result) ? result.left : undefined
  yield* claim(`an application that does not ask in time ends: ${error?.message}`, error?._tag === "TimedOut")
  const left = error?._tag === "TimedOut" ? error.stages.flatMap(({ pid }) => job(pid)) : []
  yield* claim("and nothing is left of it", left.length === 0)
})

// The fourth remedy of the write-up, regeneration (on restart, find what an earlier owner left and end it), is Orphans.reap. It
// seldom finds anything: jobs end when their owner dies, see owner-dies.ts.
export const manageApplication: Example = {
  title: "A manager of local applications",
  usually: "kill start.sh, and sub.sh goes on under init: the manager waits for ever, or believes that nothing runs",
  here: "the handle tells the leader's exit from the end of the job, and who is left; the scope ends them all",
  task: Effect.scoped(Effect.zipRight(leaderIsKilled, timeToLiveEnds))
}

await main(import.meta.url, manageApplication)
