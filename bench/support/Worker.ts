/** The workers, as the driver sees them: processes of its scope, which end with it, and whatever they started with them. */
import { Data, Effect, Option, Queue, type Scope, Stream } from "effect"
import { Command, type ProcessSpawner, type SpawnError, type SpawnServerLost } from "effect-process"
import { fileURLToPath } from "node:url"
import type { Answer, Tasks } from "./tasks.ts"

export class WorkerFailed extends Data.TaggedError("WorkerFailed")<{
  readonly worker: string
  readonly task: string
  readonly problem: string
}> {
  override get message(): string {
    return `${this.worker}, ${this.task}: ${this.problem}`
  }
}

export interface Worker {
  readonly ask: <K extends keyof Tasks>(
    task: K,
    input: Tasks[K]["input"]
  ) => Effect.Effect<Tasks[K]["output"], WorkerFailed>
}

export interface WorkerOptions {
  /** MiB of memory that it touches and keeps. */
  readonly ballast?: number
  readonly instrument?: boolean
  /** The program that runs it, this Node.js if not told. */
  readonly program?: string
}

export type Failure = SpawnError | SpawnServerLost | WorkerFailed

const script = fileURLToPath(new URL("../worker.js", import.meta.url))

/** No task takes so long, on any machine. */
const patience = "3 minutes"

/** Starts a worker for the peer in the module of that name in `peers/`, and waits until it is ready. */
export const start = (
  peer: string,
  { ballast = 0, instrument = false, program = globalThis.process.execPath }: WorkerOptions = {}
): Effect.Effect<Worker, Failure, ProcessSpawner | Scope.Scope> =>
  Effect.gen(function*() {
    const requests = yield* Queue.unbounded<string>()
    const answers = yield* Queue.unbounded<Option.Option<Answer>>()
    const process = yield* Command.make(
      program,
      script,
      peer,
      String(ballast),
      ...(instrument ? ["instrument"] : [])
    ).pipe(Command.stdin(Stream.fromQueue(requests)), Command.stderr("inherit"), Command.start)
    yield* process.stdout.pipe(
      Stream.decodeText(),
      Stream.splitLines,
      Stream.runForEach((line) => Queue.offer(answers, Option.some(JSON.parse(line) as Answer))),
      Effect.catchAllCause(() => Effect.void),
      Effect.zipRight(Queue.offer(answers, Option.none())),
      Effect.forkScoped
    )
    const next = (task: string) =>
      Effect.gen(function*() {
        const failed = (problem: string) => new WorkerFailed({ worker: peer, task, problem })
        const answer = yield* Effect.timeoutFail(Queue.take(answers), {
          duration: patience,
          onTimeout: () => failed(`no answer within ${patience}`)
        })
        if (Option.isNone(answer)) {
          // For those who ask later.
          yield* Queue.offer(answers, answer)
          return yield* failed("it has ended")
        }
        if (!answer.value.ok) return yield* failed(answer.value.problem)
        return answer.value.output
      })
    const worker: Worker = {
      ask: <K extends keyof Tasks>(task: K, input: Tasks[K]["input"]) =>
        Queue.offer(requests, `${JSON.stringify({ task, input })}\n`).pipe(
          Effect.zipRight(next(task)),
          Effect.map((output) => output as Tasks[K]["output"])
        )
    }
    yield* next("start")
    // In good order first: what a peer leaves behind then is its own doing, and ends with the worker.
    yield* Effect.addFinalizer(() => Effect.ignoreLogged(worker.ask("close", {})))
    return worker
  })
