/** How long the rows of all processes take. The target is that of the issue: 100 ms for 5,000 of them. */
import { defaultBinary, tableArguments } from "@effect-process/spawn-server"
import { Effect, Stream } from "effect"
import { Command, type ProcessSpawner, ProcessTable } from "effect-process"
import type { Settings } from "../support/Program.ts"
import { compile } from "../support/native.ts"
import { millis, valueRow } from "../support/report.ts"
import { compare, interleave } from "../support/rounds.ts"
import { WorkerFailed } from "../support/Worker.ts"

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const began = performance.now()
    return Effect.map(effect, () => performance.now() - began)
  })

const failed = (problem: string) => new WorkerFailed({ worker: "crowd", task: "snapshot", problem })

/** Until the compiler has done with what runs. */
const warmUp = 10

export const snapshots = ({ rounds, short }: Settings) =>
  Effect.gen(function*() {
    const count = short ? 600 : 5_000
    const crowd = yield* Command.make(compile("crowd"), String(count)).pipe(
      Command.stdin("ignore"),
      Command.killSignal("SIGKILL"),
      Command.start
    )
    const ready = yield* Effect.mapError(Stream.runHead(crowd.stdout), ({ message }) => failed(message))
    if (ready._tag === "None") return yield* failed("it has ended")
    const rows = (yield* ProcessTable.snapshot).filter(({ ppid }) => ppid === crowd.pid)
    if (rows.length !== count) return yield* failed(`${rows.length} rows of ${count}`)
    const inOne = Command.make(defaultBinary(), ...tableArguments(0, 1)).pipe(
      Command.stdin("ignore"),
      Command.stdout("ignore"),
      Command.exitCode,
      Effect.mapError(({ message }) => failed(message))
    )
    const ours = timed(ProcessTable.snapshot)
    yield* Effect.repeatN(ours, short ? 0 : warmUp)
    const cost = yield* interleave<"ours" | "inOne", WorkerFailed, ProcessSpawner | ProcessTable>(rounds, {
      ours,
      inOne: timed(inOne)
    })
    return {
      title: "a snapshot of all processes",
      notes: [
        `\`ProcessTable.snapshot\` with ${count} idle processes more than this system has, against one C program that reads the ` +
        `same files and tells nobody; ${rounds} rounds of one.`
      ],
      rows: [
        valueRow(`${count} processes, rows / reads in C`, compare(cost.ours, cost.inOne), millis, {
          bound: "at most",
          value: 100,
          unit: "ms"
        })
      ]
    }
  })
