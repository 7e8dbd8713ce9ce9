/** Starting a server, waiting until it is ready, and the handle whose outputs were read meanwhile. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import { NodeInspectSymbol } from "effect/Inspectable"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { Command } from "../Command.ts"
import { NotReady, SpawnError, type SpawnServerLost, TimedOut } from "../CommandError.ts"
import { type ExitStatus } from "../ExitStatus.ts"
import type { Process } from "../Process.ts"
import { ProcessSpawner } from "../ProcessSpawner.ts"
import type { Readiness } from "../Readiness.ts"
import { Backlog } from "./backlog.ts"
import { bounds } from "./bounds.ts"
import { name, specOf } from "./command.ts"
import { dryRun } from "./dryRun.ts"
import { raceFirst } from "./fork.ts"
import { checkOf, NeverReady, type Watched } from "./readiness.ts"
import { sleepOn, type Spawner, type StreamName, streamNames } from "./run.ts"
import { durationOf, secretsOf, show } from "./spec.ts"
import { scrub, Tail } from "./text.ts"

/** The same process, but for its outputs. */
class ReadyProcess<E> implements Process<E> {
  readonly #process: Process<E>
  readonly #outputs: Outputs

  constructor(process: Process<E>, outputs: Outputs) {
    this.#process = process
    this.#outputs = outputs
  }

  get stdout() {
    return this.#outputs.backlogs.stdout.stream
  }

  get stderr() {
    return this.#outputs.backlogs.stderr.stream
  }

  get pid() {
    return this.#process.pid
  }

  get processGroupId() {
    return this.#process.processGroupId
  }

  get stdin() {
    return this.#process.stdin
  }

  get exit() {
    return this.#process.exit
  }

  get stages() {
    return this.#process.stages
  }

  get exitCode() {
    return this.#process.exitCode
  }

  get empty() {
    return this.#process.empty
  }

  get isRunning() {
    return this.#process.isRunning
  }

  get descendants() {
    return this.#process.descendants
  }

  get usage() {
    return this.#process.usage
  }

  get signal() {
    return this.#process.signal
  }

  get terminate() {
    return this.#process.terminate
  }

  get resize() {
    return this.#process.resize
  }

  get extendDeadline() {
    return this.#process.extendDeadline
  }

  toJSON() {
    return this.#process.toJSON()
  }

  toString() {
    return this.#process.toString()
  }

  [NodeInspectSymbol]() {
    return this.toJSON()
  }
}

/** Both outputs of a starting server, read as they come, and shown to those who wait for something in them. */
class Outputs {
  readonly backlogs: { readonly [name in StreamName]: Backlog }
  private readonly tails: { readonly [name in StreamName]: Tail }
  private readonly listeners = new Set<(stream: StreamName, bytes: Uint8Array) => void>()

  constructor(self: Command<unknown, unknown>) {
    const secrets = secretsOf(specOf(self))
    this.tails = { stdout: new Tail(secrets), stderr: new Tail(secrets) }
    const make = (stream: StreamName) =>
      new Backlog({
        command: () => name(self),
        name: stream,
        limit: bounds.backlog,
        seen: (bytes) => {
          this.tails[stream].push(bytes)
          for (const listener of this.listeners) listener(stream, bytes)
        },
        dropped: Effect.logWarning(
          `${
            name(self)
          }: nobody reads ${stream}; its last ${bounds.backlog} bytes are kept and the oldest are dropped; ` +
            `read it, or send it elsewhere with Command.${stream}`
        )
      })
    this.backlogs = { stdout: make("stdout"), stderr: make("stderr") }
  }

  begin(process: Process<unknown>): Effect.Effect<void> {
    return Effect.forEach(streamNames, (stream) => this.backlogs[stream].begin(process[stream]), { discard: true })
  }

  readonly observe: Watched["observe"] = (listener) => {
    for (const stream of streamNames) listener(stream, this.backlogs[stream].peek())
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  get ended(): Effect.Effect<void> {
    return Effect.forEach(streamNames, (stream) => this.backlogs[stream].end.settled, { discard: true })
  }

  tail(stream: StreamName): string {
    return this.tails[stream].text()
  }

  get close(): Effect.Effect<void> {
    return Effect.forEach(streamNames, (stream) => this.backlogs[stream].close, { discard: true })
  }
}

/** How the wait for a server ended. */
type Outcome<A, E> =
  | { readonly _tag: "Ready"; readonly value: A }
  | { readonly _tag: "Late" }
  | { readonly _tag: "Never"; readonly detail: string }
  | { readonly _tag: "Ended"; readonly exit: Exit.Exit<ExitStatus, E | TimedOut | SpawnServerLost> }

const defaultTimeout = Duration.seconds(30)

/** @internal */
export const startReady = <E, R, A, E2, R2>(
  self: Command<E, R>,
  readiness: Readiness<A, E2, R2>,
  options?: { readonly timeout?: Duration.DurationInput }
): Effect.Effect<
  readonly [Process<E>, A],
  SpawnError | SpawnServerLost | NotReady | E2,
  ProcessSpawner | Scope.Scope | R | R2
> =>
  Effect.gen(function*() {
    const spawner = yield* ProcessSpawner
    const check = checkOf(readiness)
    const secrets = secretsOf(specOf(self))
    const given = options?.timeout ?? defaultTimeout
    const timeout = durationOf(given)
    const problem = check.problem ?? (Option.isNone(timeout)
      ? `the timeout of startReady, ${show(given)}, is no duration; write "30 seconds" or a number of milliseconds`
      : undefined)
    if (problem !== undefined) return yield* invalid(self, scrub(problem, secrets))
    const bound = Option.getOrElse(timeout, () => defaultTimeout)
    const outputs = new Outputs(self)
    const started = spawner.clock.unsafeCurrentTimeMillis()
    const notReady = (detail: string, exit: ExitStatus | undefined) =>
      new NotReady({
        command: name(self),
        readiness: scrub(check.description, secrets),
        after: Duration.millis(spawner.clock.unsafeCurrentTimeMillis() - started),
        exit,
        detail: scrub(detail, secrets),
        stdoutTail: outputs.tail("stdout"),
        stderrTail: outputs.tail("stderr")
      })
    const isDry = spawner.guarantees.engine === dryRun.guarantees.engine
    if (!isDry) yield* Effect.mapError(check.before(spawner), ({ detail }) => notReady(detail, undefined))

    // A scope of its own, because a server that does not become ready ends here and not with its surroundings.
    return yield* Effect.uninterruptibleMask((restore) =>
      Effect.gen(function*() {
        const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
        yield* Scope.addFinalizer(scope, outputs.close)
        const server = Effect.gen(function*() {
          const process = yield* Scope.extend(spawner.spawn(self), scope)
          if (isDry) return yield* notReady("a dry run starts no server", undefined)
          yield* outputs.begin(process)
          yield* Scope.addFinalizer(scope, lastWords(process, outputs, spawner))
          const waits: Watched["waits"] = new Set()
          const watched = { spawner, observe: outputs.observe, outputsEnded: outputs.ended, waits }
          const outcome = yield* restore(wait(check.run(watched), process, spawner, bound))
          if (outcome._tag === "Ready") return [new ReadyProcess(process, outputs), outcome.value] as const
          const missing = [...waits].map(({ description, last }) =>
            last === "" ? description : `${description}: ${last}`
          )
          const waitedFor = missing.length === 0 ? "" : `; waited for ${missing.join("; and for ")}`
          if (outcome._tag === "Late") {
            const late = `not within ${Duration.format(bound)}${waitedFor}; a longer timeout may be what it needs`
            return yield* notReady(late, undefined)
          }
          const ended = outcome._tag === "Ended" ? outcome.exit : yield* restore(exitSoon(process, spawner))
          // What it wrote last is in the pipes.
          yield* restore(raceFirst(outputs.ended, sleepOn(spawner, bounds.drain)))
          if (ended === undefined) {
            return yield* notReady(outcome._tag === "Never" ? outcome.detail + waitedFor : waitedFor, undefined)
          }
          if (Exit.isSuccess(ended)) {
            return yield* notReady(`${endedAs(ended.value)}${waitedFor}`, ended.value)
          }
          const lost = Cause.failures(ended.cause).pipe((all) => [...all].find(isLost))
          if (lost !== undefined) return yield* Effect.fail(lost)
          const status = yield* restore(statusOf(process, spawner))
          return yield* notReady(`${causeOf(ended.cause)}${waitedFor}`, status)
        })
        return yield* Effect.onExit(server, (exit) => Exit.isSuccess(exit) ? Effect.void : Scope.close(scope, exit))
      })
    )
  })

/** What a server writes while it ends is read as well, before its pipes are closed. What it leaves is reported by its release. */
const lastWords = (process: Process<unknown>, outputs: Outputs, spawner: Spawner): Effect.Effect<void> =>
  Effect.zipRight(
    Effect.ignore(process.terminate()),
    Effect.asVoid(raceFirst(outputs.ended, sleepOn(spawner, bounds.drain)))
  )

const invalid = (self: Command<unknown, unknown>, detail: string): SpawnError =>
  new SpawnError({
    command: name(self),
    reason: "InvalidArgument",
    stage: "validate",
    errno: undefined,
    path: undefined,
    detail
  })

/** Whichever comes first. One that has ended meanwhile is not ready, whatever was found before. */
const wait = <A, E, E2, R>(
  check: Effect.Effect<A, E2 | NeverReady, R>,
  process: Process<E>,
  spawner: Spawner,
  bound: Duration.Duration
): Effect.Effect<Outcome<A, E>, E2, R> => {
  const ended = Effect.map(Effect.exit(process.exit), (exit): Outcome<A, E> => ({ _tag: "Ended", exit }))
  const late = Duration.isFinite(bound)
    ? Effect.as(sleepOn(spawner, bound), { _tag: "Late" } satisfies Outcome<A, E>)
    : Effect.never
  const found = Effect.matchEffect(check, {
    onFailure: (error): Effect.Effect<Outcome<A, E>, E2> =>
      error instanceof NeverReady ? Effect.succeed({ _tag: "Never", detail: error.detail }) : Effect.fail(error),
    onSuccess: (value): Effect.Effect<Outcome<A, E>> =>
      Effect.flatMap(process.isRunning, (running) => running ? Effect.succeed({ _tag: "Ready", value }) : ended)
  })
  return raceFirst(found, raceFirst(ended, late))
}

const exitSoon = <E>(process: Process<E>, spawner: Spawner) =>
  raceFirst(Effect.exit(process.exit), Effect.as(sleepOn(spawner, bounds.drain), undefined))

/** Of one whose `exit` failed for another reason. */
const statusOf = (process: Process<unknown>, spawner: Spawner): Effect.Effect<ExitStatus | undefined> =>
  raceFirst(
    Effect.orElseSucceed(Effect.map(process.stages, (stages) => stages.at(-1)?.exit), () => undefined),
    Effect.as(sleepOn(spawner, bounds.drain), undefined)
  )

const isLost = (error: unknown): error is SpawnServerLost =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "SpawnServerLost"

const endedAs = (exit: ExitStatus): string => {
  if (exit._tag === "Killed") return `it was killed by ${exit.signal}`
  // What a daemon does: the program that was started ends, and what it started goes on.
  const hint = exit.code === 0 ? " (one that goes into the background must be told to stay in the foreground)" : ""
  return `it ended with exit code ${exit.code}${hint}`
}

const causeOf = (cause: Cause.Cause<unknown>): string => {
  const timedOut = Cause.failures(cause).pipe((all) => [...all].find((error) => error instanceof TimedOut))
  return timedOut instanceof TimedOut
    ? `it was ended by its own deadline after ${Duration.format(timedOut.after)}`
    : `it was ended because its input or a Sink failed: ${Cause.pretty(cause).split("\n")[0] ?? ""}`
}
