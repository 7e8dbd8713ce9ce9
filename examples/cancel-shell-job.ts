// A scheduler cancels a shell job: a deadline ends bash and its sleep, and the call returns with the output so far.
import { Duration, Effect, Either, Fiber } from "effect"
import { Command } from "effect-process"
import { act, claim, claimGone, type Example, main, show, starting, until } from "./support/example.ts"
import { jobRunning } from "./support/table.ts"

const timeout = Duration.seconds(2)

const job = Command.make("bash", "-c", "echo working; sleep 30; echo hello").pipe(Command.timeout(timeout))

const task = Effect.gen(function*() {
  yield* starting(job)
  const running = yield* Command.run(job).pipe(Effect.either, Effect.timed, Effect.fork)

  const rows = yield* until("bash and its sleep", () => jobRunning("sleep 30"), (found) => found.length === 2)
  yield* show("while it runs", rows)
  yield* act("nothing; the deadline is 2 s after the spawn")

  const [duration, result] = yield* Fiber.join(running)
  // The sleep has 28 s to go. The library promises 250 ms; a loaded CI machine gets six times that.
  const late = Math.round(Duration.toMillis(duration) - Duration.toMillis(timeout))
  yield* claim(`Command.run returned ${late} ms after the deadline`, late >= 0 && late < 1500)
  if (Either.isRight(result)) return yield* claim("it fails with TimedOut", false, String(result.right.exit))
  const error = result.left
  yield* claim(`it failed: ${error.message}`, error._tag === "TimedOut")
  const output = error._tag === "TimedOut" ? error.stdoutTail : ""
  yield* claim(`with the output so far: ${JSON.stringify(output)}`, output === "working\n")
  yield* claimGone(rows)
})

export const cancelShellJob: Example = {
  title: "A scheduler cancels a shell job",
  usually:
    "the timeout kills bash only; sleep becomes an orphan that holds the pipe, and the call returns when that ends",
  here: "the deadline ends the whole job, and the call returns at once with what it had printed",
  task
}

await main(import.meta.url, cancelShellJob)
