// ProcessTop: the jobs of this program, live in its terminal, each of which can be ended by a key.
// In a terminal it runs until you press q; elsewhere it prints one screen.
import { NodeProcess } from "@effect-process/node"
import { Effect, Fiber } from "effect"
import { Command } from "effect-process"
import { processTop } from "./support/processTop.ts"

const jobs = {
  counter: "i=0; while :; do i=$((i + 1)); echo line $i; sleep 0.2; done",
  tree: "sleep 1000 & (sleep 1001 & setsid sleep 1002 & wait) & echo three sleep; wait",
  busy: "while :; do :; done",
  stubborn: "trap 'echo not yet' TERM; while :; do sleep 0.1; done"
}

const program = Effect.scoped(
  Effect.gen(function*() {
    const started = yield* Effect.forEach(Object.entries(jobs), ([name, script]) =>
      Effect.map(
        Command.start(Command.make("sh", "-c", script).pipe(Command.gracePeriod("1 second"))),
        (process) => ({ name, process })
      ))
    yield* processTop(started)
  }).pipe(Effect.parallelFinalizers)
)

const fiber = Effect.runFork(Effect.provide(program, NodeProcess.layer))
for (const [signal, number] of [["SIGINT", 2], ["SIGTERM", 15], ["SIGHUP", 1]] as const) {
  process.once(signal, () => {
    process.exitCode = 128 + number
    Effect.runFork(Fiber.interrupt(fiber))
  })
}
fiber.addObserver((exit) => {
  if (exit._tag === "Failure" && process.exitCode === undefined) {
    process.stderr.write(`${String(exit.cause)}\n`)
    process.exitCode = 1
  }
})
