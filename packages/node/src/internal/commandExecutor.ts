/** `CommandExecutor` of `@effect/platform` on any engine of ours. */
import type * as Platform from "@effect/platform/Command"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import { BadArgument, isPlatformError, type PlatformError } from "@effect/platform/Error"
import * as Chunk from "effect/Chunk"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as FiberId from "effect/FiberId"
import { BaseProto } from "effect/Inspectable"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { Command, type CommandError, type Process, ProcessSpawner, Signal, SpawnError, Stdio } from "effect-process"
import { isExited } from "effect-process/ExitStatus"
import { costly, type IdleStdin, make as makeIdleStdin } from "./idleStdin.ts"
import { asScript, failedStage, preparer, type Prepared } from "./platformCommand.ts"
import * as errors from "./platformError.ts"
import { readAhead } from "./readAhead.ts"

type Spawner = Context.Tag.Service<ProcessSpawner>

/** How long output that something else holds is waited for, once the program has exited. */
const drainBound = "100 millis"

/** In chunks of the size that Effect's own have: its folds call themselves for each element of one. */
const linesIn = <E, R>(text: Stream.Stream<string, E, R>): Stream.Stream<string, E, R> =>
  Stream.splitLines(text).pipe(
    Stream.chunks,
    Stream.mapConcatChunk(Chunk.chunksOf(Stream.DefaultChunkSize)),
    Stream.flattenChunks
  )

const lastOf = ({ stages }: Prepared): Platform.StandardCommand => stages[stages.length - 1] ?? stages[0]

/** Those of a command whose status is never a failure. */
type Failure = Exclude<CommandError, { readonly _tag: "NonZeroExit" | "TimedOut" | "OutputLimitExceeded" }>

const toPlatform = (prepared: Prepared, error: CommandError | PlatformError): PlatformError => {
  if (isPlatformError(error)) return error
  const failure = error as Failure
  switch (failure._tag) {
    case "SpawnError":
      return errors.spawnFailed(failedStage(prepared, failure), failure)
    case "Signaled":
      return errors.signaled(lastOf(prepared), failure.signal)
    default:
      return errors.broken(lastOf(prepared), failure)
  }
}

/** Spawns once more what turns out to be a script without a first line. */
const withScripts = <A, E, R>(
  prepared: Prepared,
  use: (prepared: Prepared) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.catchAll(use(prepared), (error) => {
    const retry = error instanceof SpawnError ? asScript(prepared, error) : undefined
    return retry === undefined ? Effect.fail(error) : withScripts(retry, use)
  })

const streamWithScripts = <A, E, R>(
  prepared: Prepared,
  use: (prepared: Prepared) => Stream.Stream<A, E, R>
): Stream.Stream<A, E, R> =>
  Stream.catchAll(use(prepared), (error) => {
    const retry = error instanceof SpawnError ? asScript(prepared, error) : undefined
    return retry === undefined ? Stream.fail(error) : streamWithScripts(retry, use)
  })

/** An output that is elsewhere, or that was read before, is an empty one. */
const readable = (
  prepared: Prepared,
  output: Process.Process<PlatformError>["stdout"]
): Stream.Stream<Uint8Array, PlatformError> =>
  Stream.catchAll(output, (error) => error.reason === "Io" ? Stream.fail(toPlatform(prepared, error)) : Stream.empty)

/** A process with its outputs as `@effect/platform` has them: through their Sinks, and stderr read ahead. */
interface Opened {
  readonly prepared: Prepared
  readonly process: Process.Process<PlatformError>
  readonly stdout: Stream.Stream<Uint8Array, PlatformError>
  readonly stderr: Stream.Stream<Uint8Array, PlatformError>
  readonly stderrEnded: Effect.Effect<void>
}

const open = (spawner: Spawner, given: Prepared): Effect.Effect<Opened, PlatformError, Scope.Scope> =>
  Effect.gen(function*() {
    // Outlives the process: what it prints while it ends is still read.
    const readers = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    const { prepared, process } = yield* withScripts(
      given,
      (prepared) => Effect.map(spawner.spawn(prepared.command), (process) => ({ prepared, process }))
    ).pipe(Effect.mapError((error) => toPlatform(given, error)))
    const through = (output: Process.Process<PlatformError>["stdout"], sink: Prepared["stdout"]) =>
      sink === undefined ? readable(prepared, output) : Stream.transduce(readable(prepared, output), sink)
    const dropped = Effect.logWarning(
      `${String(prepared.command)}: nobody reads its stderr, of which only the last MiB is kept`
    )
    const stderr = yield* Scope.extend(readAhead(through(process.stderr, prepared.stderr), dropped), readers)
    return {
      prepared,
      process,
      stdout: through(process.stdout, prepared.stdout),
      stderr: stderr.stream,
      stderrEnded: stderr.ended
    }
  })

const exitCodeOf = ({ prepared, process }: Opened): Effect.Effect<CommandExecutor.ExitCode, PlatformError> =>
  Effect.flatMap(
    Effect.mapError(process.exit, (error) => toPlatform(prepared, error)),
    (exit) =>
      isExited(exit)
        ? Effect.succeed(CommandExecutor.ExitCode(exit.code))
        : Effect.fail(errors.signaled(lastOf(prepared), exit.signal))
  )

/** Names of signals that have another one. Source: signal(7). */
const synonyms: Readonly<Record<string, Signal.Signal>> = { SIGIOT: "SIGABRT", SIGPOLL: "SIGIO" }

const killOf = ({ prepared, process }: Opened) => (name: CommandExecutor.Signal = "SIGTERM") => {
  const signal: unknown = synonyms[name] ?? name
  if (!Signal.isSignal(signal)) {
    return Effect.fail(
      new BadArgument({ module: "Command", method: "kill", description: `${name} is no signal of this system` })
    )
  }
  const sent = Effect.mapError(process.signal(signal), (error) =>
    errors.failed(
      lastOf(prepared),
      "kill",
      error._tag === "ProcessGone" ? "Failed to kill process" : error.message,
      error._tag === "ProcessGone" ? undefined : error
    ))
  // A failure is told by the exit code.
  return Effect.zipRight(sent, Effect.asVoid(Effect.exit(process.exit)))
}

const stdinOf = ({ prepared, process }: Opened): CommandExecutor.Process["stdin"] => {
  const [first] = prepared.stages
  if (first.stdin === "inherit") return Sink.drain
  return process.stdin.pipe(
    Sink.mapError((error) => errors.broken(first, error)),
    // Node's streams take text as well, which an untyped program may count on.
    Sink.mapInput((part: Uint8Array | string) => typeof part === "string" ? Buffer.from(part) : part)
  )
}

const ProcessProto = {
  [CommandExecutor.ProcessTypeId]: CommandExecutor.ProcessTypeId,
  ...BaseProto,
  toJSON(this: CommandExecutor.Process) {
    return { _id: "@effect/platform/CommandExecutor/Process", pid: this.pid }
  }
}

const processOf = (opened: Opened): CommandExecutor.Process =>
  Object.assign(Object.create(ProcessProto), {
    pid: CommandExecutor.ProcessId(opened.process.pid),
    exitCode: exitCodeOf(opened),
    isRunning: opened.process.isRunning,
    kill: killOf(opened),
    stdin: stdinOf(opened),
    stdout: opened.stdout,
    stderr: opened.stderr
  })

/** What gives a runner's command a stdin, where it asks for a pipe that nobody writes. */
class Idle {
  private readonly make: Effect.Effect<IdleStdin>
  private known: IdleStdin | undefined
  private dressed = new WeakMap<Command.Command<PlatformError>, Command.Command<PlatformError>>()

  constructor(make: Effect.Effect<IdleStdin>) {
    this.make = make
  }

  private dress(command: Command.Command<PlatformError>, stdin: IdleStdin): Command.Command<PlatformError> {
    const known = this.dressed.get(command)
    if (known !== undefined) return known
    const made = Command.stdin(command, stdin)
    this.dressed.set(command, made)
    return made
  }

  of({ command, stages }: Prepared): Effect.Effect<Command.Command<PlatformError>> {
    if (stages[0].stdin !== "pipe") return Effect.succeed(command)
    if (this.known !== undefined) return Effect.succeed(this.dress(command, this.known))
    return Effect.map(this.make, (stdin) => this.dress(command, this.known ??= stdin))
  }

  /** Where a security module closes /proc to the child. */
  gaveUp(error: unknown): boolean {
    const isOurs = error instanceof SpawnError && error.stage === "open" && this.known instanceof Stdio.File &&
      error.path === this.known.path
    if (!isOurs) return false
    this.known = costly
    this.dressed = new WeakMap()
    return true
  }
}

const hasSinks = ({ stderr, stdout }: Prepared): boolean => stdout !== undefined || stderr !== undefined

/** A run whose outputs go through Sinks: the output, then the exit. */
const streamThroughSinks = (spawner: Spawner, prepared: Prepared) =>
  Stream.unwrapScoped(
    Effect.map(openToEnd(spawner, prepared), ({ ended, opened }) => Stream.concat(opened.stdout, Stream.execute(ended)))
  )

/** As a runner of ours: what holds the output open after the exit is ended. */
const openToEnd = (spawner: Spawner, prepared: Prepared) =>
  Effect.gen(function*() {
    const opened = yield* open(spawner, prepared)
    const { process } = opened
    yield* Effect.exit(process.exit).pipe(
      Effect.zipRight(Effect.withClock(Effect.sleep(drainBound), spawner.clock)),
      Effect.zipRight(Effect.exit(process.terminate())),
      Effect.interruptible,
      Effect.forkScoped
    )
    // Death by a signal is a status, which only `exitCode` looks at.
    const exited = Effect.asVoid(Effect.mapError(process.exit, (error) => toPlatform(opened.prepared, error)))
    return { opened, ended: Effect.zipRight(exited, opened.stderrEnded) }
  })

const collect: Sink.Sink<Uint8Array, Uint8Array> = Sink.map(
  Sink.collectAll<Uint8Array>(),
  (pieces) => Buffer.concat([...pieces])
)

/** With the end of a character that the beginning has come of. */
const decoded = <E>(bytes: Stream.Stream<Uint8Array, E>, encoding: string): Stream.Stream<string, E> =>
  Stream.suspend(() => {
    const decoder = new TextDecoder(encoding)
    return Stream.concat(
      Stream.map(bytes, (piece) => decoder.decode(piece, { stream: true })),
      Stream.suspend(() => {
        const rest = decoder.decode()
        return rest === "" ? Stream.empty : Stream.make(rest)
      })
    )
  })

const isEncoding = (label: string): boolean => {
  try {
    new TextDecoder(label)
    return true
  } catch {
    return false
  }
}

const make = (spawner: Spawner, idle: Idle): CommandExecutor.CommandExecutor => {
  const idly = <A, E, R>(
    ready: Prepared,
    use: (command: Command.Command<PlatformError>) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> =>
    Effect.catchAll(
      Effect.flatMap(idle.of(ready), use),
      (error) => idle.gaveUp(error) ? idly(ready, use) : Effect.fail(error)
    )

  const streamIdly = (ready: Prepared): Stream.Stream<Uint8Array, CommandError | PlatformError, ProcessSpawner> =>
    Stream.catchAll(
      Stream.unwrap(Effect.map(idle.of(ready), Command.stream)),
      (error) => idle.gaveUp(error) ? streamIdly(ready) : Stream.fail(error)
    )

  const stream: CommandExecutor.CommandExecutor["stream"] = (command) =>
    Stream.suspend(() => {
      const ready = prepared(command)
      return streamWithScripts(
        ready,
        (ready): Stream.Stream<Uint8Array, CommandError | PlatformError, ProcessSpawner> =>
          hasSinks(ready) ? streamThroughSinks(spawner, ready) : streamIdly(ready)
      ).pipe(
        Stream.mapError((error) => toPlatform(ready, error)),
        Stream.provideService(ProcessSpawner, spawner)
      )
    })

  const prepared = preparer(stream)

  const run = <A, E extends CommandError | PlatformError>(
    command: Platform.Command,
    use: (prepared: Prepared) => Effect.Effect<A, E, ProcessSpawner>
  ): Effect.Effect<A, PlatformError> =>
    Effect.suspend(() => {
      const ready = prepared(command)
      return withScripts(ready, use).pipe(
        Effect.mapError((error) => toPlatform(ready, error)),
        Effect.provideService(ProcessSpawner, spawner)
      )
    })

  const exitCode: CommandExecutor.CommandExecutor["exitCode"] = (command) =>
    run(command, (ready): Effect.Effect<number, CommandError | PlatformError, ProcessSpawner> =>
      hasSinks(ready)
        ? Effect.scoped(Effect.flatMap(openToEnd(spawner, ready), ({ ended, opened }) =>
          Stream.runDrain(opened.stdout).pipe(Effect.zipRight(ended), Effect.zipRight(exitCodeOf(opened)))))
        : idly(ready, Command.exitCode)).pipe(Effect.map((code) => CommandExecutor.ExitCode(code)))

  const string: CommandExecutor.CommandExecutor["string"] = (command, encoding = "utf-8") => {
    if (!isEncoding(encoding)) return Effect.fail(errors.unknownEncoding("string", encoding))
    return run(command, (ready): Effect.Effect<string, CommandError | PlatformError, ProcessSpawner> =>
      hasSinks(ready)
        ? Effect.map(Stream.run(streamThroughSinks(spawner, ready), collect), (bytes) =>
          new TextDecoder(encoding).decode(bytes))
        // A byte order mark is no part of the text.
        : Effect.map(
          idly(ready, (command) =>
            Command.string(command, encoding)),
          (text) => text.startsWith("\uFEFF") ? text.slice(1) : text
        ))
  }

  const linesOf = (text: string): Effect.Effect<Array<string>> =>
    text === ""
      ? Effect.succeed([])
      : Effect.map(Stream.runCollect(Stream.splitLines(Stream.make(text))), (lines) => [...lines])

  return {
    [CommandExecutor.TypeId]: CommandExecutor.TypeId,
    start: (command) => Effect.map(Effect.suspend(() => open(spawner, prepared(command))), processOf),
    exitCode,
    string,
    lines: (command, encoding) => Effect.flatMap(string(command, encoding), linesOf),
    stream,
    streamLines: (command, encoding = "utf-8") =>
      isEncoding(encoding)
        ? linesIn(decoded(stream(command), encoding))
        : Stream.fail(errors.unknownEncoding("streamLines", encoding))
  }
}

/**
 * Done when it is first asked for, beside whoever asks, and remembered. `Effect.cached` does it within the first one, and remembers
 * for ever when that is interrupted.
 */
const firstTime = <A>(make: Effect.Effect<A>): Effect.Effect<Effect.Effect<A>, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const made = Deferred.unsafeMake<A>(FiberId.none)
    let hasBegun = false
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const begin = hasBegun ? Effect.void : Effect.forkIn(Effect.intoDeferred(make, made), scope)
        hasBegun = true
        return Effect.zipRight(begin, restore(Deferred.await(made)))
      })
    )
  })

export const layer: Layer.Layer<CommandExecutor.CommandExecutor, never, ProcessSpawner> = Layer.scoped(
  CommandExecutor.CommandExecutor,
  Effect.gen(function*() {
    const spawner = yield* ProcessSpawner
    // Node's own pipes cost little, and its children open a FIFO by a shell.
    const isShared = spawner.guarantees.engine === "spawn-server"
    const shared = yield* firstTime(Scope.extend(makeIdleStdin, yield* Effect.scope))
    return make(spawner, new Idle(isShared ? shared : Effect.succeed(costly)))
  })
)
