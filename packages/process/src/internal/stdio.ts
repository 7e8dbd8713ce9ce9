/** The owner's ends of all pipes of one job: what the handle offers, and what runs beside the job to feed and drain them. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { OutputError } from "../CommandError.ts"
import type { EngineJob } from "../Engine.ts"
import { specName } from "./command.ts"
import { fork } from "./fork.ts"
import { Input } from "./input.ts"
import { Once } from "./once.ts"
import { Output } from "./output.ts"
import type { Drain, Plan, Source } from "./plan.ts"
import { secretsOf, type Spec } from "./spec.ts"
import { Tail } from "./text.ts"

/** What a job does when an input or a Sink fails: the cause becomes the failure of its exit; without one it is only ended. */
export type EndBecause<E> = (cause: Cause.Cause<E> | undefined) => Effect.Effect<void>

/** The pipe itself failed, which no child can cause; to be told from the failures of a Sink. */
class Broken {
  readonly error: OutputError
  constructor(error: OutputError) {
    this.error = error
  }
}

/** @internal */
export class JobStdio<E> {
  readonly stdin: Input
  readonly stdout: Output
  readonly stderr: Output
  /** Completes when every Sink is done, and fails with the first of their failures. */
  readonly sinks = new Once<void, E>()
  private readonly plan: Plan
  private readonly end: EndBecause<E>
  private readonly feeds: ReadonlyArray<Input>
  private readonly drains: ReadonlyArray<Output>
  private readonly stderrTails = new Map<number, Tail>()
  private readonly feeding: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
  private readonly draining: Array<Fiber.RuntimeFiber<unknown, unknown>> = []

  constructor(spec: Spec, plan: Plan, running: Pick<EngineJob, "input" | "output">, end: EndBecause<E>) {
    const secrets = secretsOf(spec)
    const command = () => specName(spec)
    const tail = () => new Tail(secrets)
    const failed = Effect.suspend(() => end(undefined))
    this.plan = plan
    this.end = end
    this.stdin = new Input(command, "stdin", plan.stdin === undefined ? undefined : running.input(plan.stdin), failed)
    this.feeds = plan.feeds.map(({ name, pipe }) =>
      pipe === plan.stdin ? this.stdin : new Input(command, name, running.input(pipe), failed)
    )
    const sourceOf = (name: Drain["name"], { pipe, stage }: Source) => {
      const source = { pipe: running.output(pipe), tail: tail() }
      if (name === "stderr") this.stderrTails.set(stage, source.tail)
      return source
    }
    const output = (name: "stdout" | "stderr", planned: ReadonlyArray<Source>) => {
      const sources = planned.map((source) => sourceOf(name, source))
      return new Output(command, name, sources, sources.length === 1 ? sources[0]?.tail ?? tail() : tail())
    }
    this.stdout = output("stdout", plan.stdout)
    this.stderr = output("stderr", plan.stderr)
    this.drains = plan.drains.map((drain) => {
      const source = sourceOf(drain.name, drain)
      return new Output(command, drain.name, [source], source.tail)
    })
    if (this.drains.length === 0) this.sinks.done(Exit.void)
  }

  /** Of what was read of the stderr of one stage. */
  stderrTailOf(stage: number): string {
    return this.stderrTails.get(stage)?.text() ?? ""
  }

  /** Whether a reader of ours left before the end of what a stage wrote. */
  wasAbandoned(stage: number): boolean {
    const { stderr, stdout } = this.plan
    return (this.stdout.abandoned && stdout.some((source) => source.stage === stage)) ||
      (this.stderr.abandoned && stderr.some((source) => source.stage === stage)) ||
      this.drains.some(({ abandoned }, i) => abandoned && this.plan.drains[i]?.stage === stage)
  }

  /** Starts what feeds and drains the job, if anything. Their Streams and Sinks carry the types that `Command` keeps track of. */
  begin<R>(): Effect.Effect<void, never, R> | undefined {
    if (this.feeds.length === 0 && this.drains.length === 0) return undefined
    return Effect.gen(this, function*() {
      for (const [i, input] of this.feeds.entries()) {
        const stream = this.plan.feeds[i]?.stream as Stream.Stream<Uint8Array | string, E, R>
        this.feeding.push(yield* fork(Effect.catchAllCause(input.feed(stream), (cause) => this.end(cause))))
      }
      let left = this.drains.length
      for (const [i, output] of this.drains.entries()) {
        const sink = this.plan.drains[i]?.sink as Sink.Sink<unknown, Uint8Array, unknown, E, R>
        const drained = Effect.map(this.drain(output, sink), () => --left === 0 && this.sinks.done(Exit.void))
        this.draining.push(yield* fork(drained))
      }
    })
  }

  private drain<R>(
    output: Output,
    sink: Sink.Sink<unknown, Uint8Array, unknown, E, R>
  ): Effect.Effect<void, never, R> {
    const bytes = Stream.mapError(output.stream, (error) => new Broken(error))
    return Effect.catchAllCause(Effect.asVoid(Stream.run(bytes, sink)), (cause) => {
      const failure = Cause.failures(cause).pipe((all) => [...all].find((error) => error instanceof Broken))
      if (failure instanceof Broken) {
        return Effect.zipRight(Effect.logError(failure.error.message), this.end(undefined))
      }
      // Only the Sink's are left.
      const own = cause as Cause.Cause<E>
      this.sinks.done(Exit.failCause(own))
      return this.end(own)
    })
  }

  /** Nobody can take any more input. Not before the job has gone: an end of file would say that the input was complete. */
  closeInputs(): void {
    this.stdin.close()
    for (const input of this.feeds) if (input !== this.stdin) input.close()
  }

  interruptFeeds(): void {
    for (const fiber of this.feeding) fiber.unsafeInterruptAsFork(FiberId.none)
  }

  private get outputs(): ReadonlyArray<Output> {
    return this.drains.length === 0 ? [this.stdout, this.stderr] : [this.stdout, this.stderr, ...this.drains]
  }

  get hasEnded(): boolean {
    return this.outputs.every(({ end }) => end.isDone)
  }

  /** Calls back once everything has been read to its end. */
  onEnded(listener: () => void): void {
    const { outputs } = this
    let left = outputs.length
    for (const { end } of outputs) end.onDone(() => --left === 0 && listener())
  }

  /** Nobody can write any more: what the pipes hold is taken, and after it they end. */
  cut(): void {
    for (const output of this.outputs) output.cut()
  }

  /** Those that read them have nothing more to read. */
  closeOutputs(): void {
    for (const output of this.outputs) output.close()
  }

  /** What may still run when the job has gone: Sinks that have not taken all, finalizers of the user's Streams and Sinks. */
  get isRunning(): boolean {
    return [...this.feeding, ...this.draining].some((fiber) => fiber.unsafePoll() === null)
  }

  get sinksEnded(): Effect.Effect<void> {
    return Effect.forEach(this.draining, Fiber.await, { discard: true })
  }

  get interruptAll(): Effect.Effect<void> {
    return Effect.forEach([...this.feeding, ...this.draining], Fiber.interrupt, { discard: true })
  }
}
