/** The signatures that programs are written against; `tsc -b` checks them. */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { describe, expectTypeOf, it } from "vitest"
import {
  Command,
  type CommandError,
  type CommandResult,
  type ExitStatus,
  type InvalidOutput,
  type NonZeroExit,
  type NotReady,
  type OutputLimitExceeded,
  type Process,
  type ProcessSpawner,
  Readiness,
  type Signaled,
  type SpawnError,
  type SpawnServerLost,
  Stdio,
  type TimedOut
} from "../src/index.ts"

interface Broken {
  readonly _tag: "Broken"
}
interface Failing {
  readonly _tag: "Failing"
}
interface Disk {
  readonly path: string
}
interface Database {
  readonly query: string
}

const plain = Command.make("a")
const input = Stream.empty as Stream.Stream<Uint8Array, Broken, Database>
const fed = plain.pipe(Command.stdin(input))
const failing = plain.pipe(Command.stdin(Stream.empty as Stream.Stream<Uint8Array, Failing, Disk>))

describe("types", () => {
  it("a command carries E and R of its stdin, combined by either form, and keeps them", () => {
    expectTypeOf(plain).toEqualTypeOf<Command.Command>()
    expectTypeOf(fed).toEqualTypeOf<Command.Command<Broken, Database>>()
    expectTypeOf(Command.stdin(plain, input)).toEqualTypeOf<Command.Command<Broken, Database>>()
    expectTypeOf(fed.pipe(Command.timeout(1), Command.nice(1), Command.env({ A: "1" }), Command.acceptExitCodes(0, 1)))
      .toEqualTypeOf<Command.Command<Broken, Database>>()
    expectTypeOf(Command.gracePeriod(fed, "1 seconds")).toEqualTypeOf<Command.Command<Broken, Database>>()
  })

  it("runners fail with CommandError and the input's error", () => {
    expectTypeOf(Command.run(plain)).toEqualTypeOf<Effect.Effect<CommandResult, CommandError, ProcessSpawner>>()
    expectTypeOf(Command.run(fed))
      .toEqualTypeOf<Effect.Effect<CommandResult, CommandError | Broken, ProcessSpawner | Database>>()
    expectTypeOf(Command.string(fed))
      .toEqualTypeOf<Effect.Effect<string, CommandError | Broken, ProcessSpawner | Database>>()
    expectTypeOf(Command.lines(plain)).toEqualTypeOf<
      Effect.Effect<ReadonlyArray<string>, CommandError, ProcessSpawner>
    >()
    expectTypeOf(fed.pipe(Command.stream))
      .toEqualTypeOf<Stream.Stream<Uint8Array, CommandError | Broken, ProcessSpawner | Database>>()
    expectTypeOf(plain.pipe(Command.streamLines)).toEqualTypeOf<Stream.Stream<string, CommandError, ProcessSpawner>>()
  })

  it("Sinks, descriptors and the stages of a pipeline add theirs", () => {
    const sink = Sink.drain as Sink.Sink<void, Uint8Array, never, Failing, Disk>
    type Both = Command.Command<Broken | Failing, Database | Disk>
    const drained = plain.pipe(Command.stdout(sink))
    expectTypeOf(drained).toEqualTypeOf<Command.Command<Failing, Disk>>()
    expectTypeOf(Command.stderr(fed, sink)).toEqualTypeOf<Both>()
    expectTypeOf(fed.pipe(Command.fd(3, sink))).toEqualTypeOf<Both>()
    expectTypeOf(Command.fd(drained, 4, input)).toEqualTypeOf<Both>()
    expectTypeOf(fed.pipe(Command.pipeTo(drained))).toEqualTypeOf<Both>()
    expectTypeOf(Command.pipeTo(drained, fed, { from: "all" })).toEqualTypeOf<Both>()
    expectTypeOf(plain.pipe(
      Command.stdin(Stdio.file("x")),
      Command.stdout(Stdio.file("x")),
      Command.stderr(Stdio.toStdout),
      Command.fd(3, Stdio.file("x", { mode: "read" })),
      Command.pipeTo(plain)
    )).toEqualTypeOf<Command.Command>()
    expectTypeOf(Command.run(Command.pipeTo(fed, drained))).toEqualTypeOf<
      Effect.Effect<CommandResult, CommandError | Broken | Failing, ProcessSpawner | Database | Disk>
    >()
  })

  it("through adds those of the input, and sink is a Sink of bytes", () => {
    const source = Stream.empty as Stream.Stream<Uint8Array, Failing, Disk>
    expectTypeOf(source.pipe(Command.through(fed))).toEqualTypeOf<
      Stream.Stream<Uint8Array, Broken | Failing | CommandError, Database | Disk | ProcessSpawner>
    >()
    expectTypeOf(Command.sink(fed)).toEqualTypeOf<
      Sink.Sink<CommandResult, Uint8Array, never, CommandError | Broken, ProcessSpawner | Database>
    >()
  })

  it("what is no output or input does not type-check", () => {
    expectTypeOf(Stdio.toStdout).not.toExtend<Command.Stdout>()
    expectTypeOf(Stdio.toStdout).toExtend<Command.Stderr>()
    expectTypeOf(Sink.drain).not.toExtend<Command.Stdin>()
    expectTypeOf<"pipe">().not.toExtend<Command.Descriptor>()
    expectTypeOf<NonNullable<Parameters<typeof Command.pipeTo>[2]>["from"]>()
      .toEqualTypeOf<"stdout" | "stderr" | "all" | undefined>()
  })

  it("exitCode and success exclude what cannot be", () => {
    expectTypeOf(Command.exitCode(plain)).toEqualTypeOf<
      Effect.Effect<number, Exclude<CommandError, NonZeroExit | OutputLimitExceeded>, ProcessSpawner>
    >()
    expectTypeOf(fed.pipe(Command.success)).toEqualTypeOf<
      Effect.Effect<
        boolean,
        Exclude<CommandError, NonZeroExit | Signaled | OutputLimitExceeded> | Broken,
        ProcessSpawner | Database
      >
    >()
    expectTypeOf<Stream.Stream.Error<ReturnType<typeof Command.events<never, never>>>>()
      .extract<NonZeroExit | Signaled>().toBeNever()
  })

  it("json adds InvalidOutput and is dual", () => {
    const schema = Schema.Struct({ x: Schema.Number })
    expectTypeOf(Command.json(plain, schema)).toEqualTypeOf<
      Effect.Effect<{ readonly x: number }, CommandError | InvalidOutput, ProcessSpawner>
    >()
    expectTypeOf(fed.pipe(Command.json(schema))).toEqualTypeOf<
      Effect.Effect<{ readonly x: number }, CommandError | InvalidOutput | Broken, ProcessSpawner | Database>
    >()
  })

  it("start needs a Scope, and the input's error is that of exit", () => {
    expectTypeOf(Command.start(fed)).toEqualTypeOf<
      Effect.Effect<
        Process.Process<Broken>,
        SpawnError | SpawnServerLost,
        ProcessSpawner | Scope.Scope | Database
      >
    >()
    expectTypeOf<Process.Process<Broken>["exit"]>()
      .toEqualTypeOf<Effect.Effect<ExitStatus.ExitStatus, Broken | TimedOut | SpawnServerLost>>()
  })

  it("startReady is dual, and adds what the readiness finds, fails with and needs", () => {
    const ready = Readiness.all(
      Readiness.line(/x/),
      Readiness.map(Readiness.port(1), () => 1 as const),
      Readiness.command(failing)
    )
    expectTypeOf(ready).toEqualTypeOf<
      Readiness.Readiness<
        [RegExpExecArray, 1, void],
        SpawnError | SpawnServerLost | Failing,
        ProcessSpawner | Disk
      >
    >()
    type Started = Effect.Effect<
      readonly [Process.Process<Broken>, [RegExpExecArray, 1, void]],
      SpawnError | SpawnServerLost | NotReady | Failing,
      ProcessSpawner | Scope.Scope | Database | Disk
    >
    expectTypeOf(Command.startReady(fed, ready, { timeout: "1 second" })).toEqualTypeOf<Started>()
    expectTypeOf(fed.pipe(Command.startReady(ready))).toEqualTypeOf<Started>()
    expectTypeOf(Readiness.all()).toEqualTypeOf<Readiness.Readiness<[]>>()
    expectTypeOf(Readiness.line(/x/)).toEqualTypeOf<Readiness.Readiness<RegExpExecArray>>()
    expectTypeOf(Readiness.http("http://x")).toEqualTypeOf<Readiness.Readiness<void, never, ProcessSpawner>>()
    expectTypeOf<NotReady>().not.toExtend<CommandError>()
  })
})
