import { NodeProcess } from "@effect-process/node"
import { Console, Effect } from "effect"
import { Command } from "effect-process"

const program = Effect.gen(function*() {
  const files = yield* Command.lines(Command.shell`ls -a ${process.cwd()} | head -n ${3}`)
  yield* Console.log(files)
  const job = Command.make("bash", "-c", "echo working; sleep 60; echo done").pipe(Command.timeout("1 second"))
  yield* Command.run(job).pipe(Effect.catchTag("TimedOut", (error) => Console.log(error.message, error.stdoutTail)))
}) // bash and its sleep are gone

await Effect.runPromise(program.pipe(Effect.provide(NodeProcess.layer)))
