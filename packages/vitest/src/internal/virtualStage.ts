/** One program of a job without processes: its descriptors, the signals that it gets, and how it ends. */
import type * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import { ExitStatus, type Signal } from "effect-process"
import type { StageRequest } from "effect-process/Engine"
import { bytesOf, concat } from "./bytes.ts"
import type { Target, VirtualFiles } from "./virtualFiles.ts"
import { VirtualPipe } from "./virtualPipe.ts"

/** @internal */
export interface SentSignal {
  readonly signal: Signal.Signal
  /** Milliseconds on the clock of the spawner. */
  readonly at: number
}

const harmless: ReadonlySet<Signal.Signal> = new Set<Signal.Signal>([
  "SIGCHLD",
  "SIGCONT",
  "SIGURG",
  "SIGWINCH",
  "SIGSTOP",
  "SIGTSTP",
  "SIGTTIN",
  "SIGTTOU"
])

/**
 * Whether a program that does not catch a signal dies of it. Source: signal(7). Stopped programs are not played.
 *
 * @internal
 */
export const endsByDefault = (signal: Signal.Signal): boolean => !harmless.has(signal)

const nowhere: Target = { write: () => Effect.succeed(true) }

/** @internal */
export class VirtualStage {
  readonly pid: number
  readonly index: number
  readonly request: StageRequest
  readonly startedAt: number
  readonly signals: Array<SentSignal> = []
  /** All that it wrote to each descriptor, wherever that leads. */
  readonly written = new Map<number, Array<Uint8Array>>()
  status: ExitStatus.ExitStatus | undefined
  endedAt: number | undefined
  order: number | undefined
  /** A process that it left behind holds its outputs. */
  isHeld = false
  /** What it reads, by descriptor. */
  private readonly sources = new Map<number, VirtualPipe>()
  private readonly targets = new Map<number, Target>()
  private readonly outputs: Array<VirtualPipe> = []
  private readonly traps = new Map<Signal.Signal, Effect.Effect<void>>()
  private readonly clock: Clock.Clock
  private readonly onEnd: () => void
  private readonly fibers = new Set<Fiber.RuntimeFiber<unknown, unknown>>()

  constructor(
    pid: number,
    index: number,
    request: StageRequest,
    pipes: ReadonlyArray<VirtualPipe>,
    clock: Clock.Clock,
    files: VirtualFiles | undefined,
    onEnd: () => void
  ) {
    this.pid = pid
    this.index = index
    this.request = request
    this.clock = clock
    this.onEnd = onEnd
    this.startedAt = clock.unsafeCurrentTimeMillis()
    for (const redirect of request.redirects) {
      if (redirect.to === "pipe") {
        const pipe = pipes[redirect.pipe]
        if (pipe === undefined) throw new Error(`there is no pipe ${redirect.pipe}`)
        if (redirect.end === "read") {
          this.sources.set(redirect.fd, pipe)
        } else {
          this.targets.set(redirect.fd, pipe)
          this.outputs.push(pipe)
        }
      } else if (redirect.to === "file" && files !== undefined) {
        if (redirect.mode === "read") this.sources.set(redirect.fd, files.reader(redirect))
        else this.targets.set(redirect.fd, files.writer(redirect))
      }
    }
    for (const redirect of request.redirects) {
      if (redirect.to !== "descriptor") continue
      const target = this.targets.get(redirect.of)
      if (target !== undefined) this.targets.set(redirect.fd, target)
    }
  }

  /** What it reads from a descriptor; at its end where that leads to nothing. */
  source(fd: number): VirtualPipe {
    const known = this.sources.get(fd)
    if (known !== undefined) return known
    const empty = new VirtualPipe()
    empty.end()
    this.sources.set(fd, empty)
    return empty
  }

  /** All that it reads from, each once. */
  get inputs(): ReadonlyArray<VirtualPipe> {
    return [...new Set([this.source(0), ...this.sources.values()])]
  }

  /** What was written to each descriptor that it reads. */
  get received(): ReadonlyMap<number, Uint8Array> {
    return new Map([...this.sources].map(([fd, pipe]) => [fd, concat(pipe.written)]))
  }

  /** False when nobody reads any more. */
  write(fd: number, data: string | Uint8Array): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      const bytes = bytesOf(data)
      return Effect.map((this.targets.get(fd) ?? nowhere).write(bytes), (isTaken) => {
        if (isTaken) {
          const chunks = this.written.get(fd) ?? []
          this.written.set(fd, chunks)
          chunks.push(bytes)
        }
        return isTaken
      })
    })
  }

  /** As `write`, with what becomes of a program that ignores nothing: SIGPIPE. */
  print(fd: number, data: string | Uint8Array): Effect.Effect<void> {
    return Effect.flatMap(this.write(fd, data), (isTaken) => {
      if (isTaken) return Effect.void
      this.end(ExitStatus.killed("SIGPIPE"))
      return Effect.never
    })
  }

  /** Has a handler run in place of the death that a signal brings. */
  trap(signal: Signal.Signal, handler: Effect.Effect<void>): void {
    this.traps.set(signal, handler)
  }

  run(
    program: Effect.Effect<ExitStatus.ExitStatus>,
    onDefect: (cause: Cause.Cause<never>) => void
  ): Effect.Effect<void> {
    const whole = Effect.matchCause(program, {
      onSuccess: (status) => this.end(status),
      onFailure: (cause) => {
        // One that a signal ended was interrupted.
        if (this.status === undefined) onDefect(cause)
      }
    })
    return this.fork(whole)
  }

  /** What it does ends with it. */
  fork(effect: Effect.Effect<unknown>): Effect.Effect<void> {
    return Effect.map(Effect.forkDaemon(Effect.interruptible(Effect.withClock(effect, this.clock))), (fiber) => {
      this.fibers.add(fiber)
      if (this.status !== undefined) fiber.unsafeInterruptAsFork(FiberId.none)
    })
  }

  deliver(signal: Signal.Signal): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.status !== undefined) return Effect.void
      this.signals.push({ signal, at: this.clock.unsafeCurrentTimeMillis() })
      const handler = signal === "SIGKILL" ? undefined : this.traps.get(signal)
      if (handler !== undefined) return this.fork(handler)
      if (endsByDefault(signal)) this.end(ExitStatus.killed(signal))
      return Effect.void
    })
  }

  /** The first end counts. */
  end(status: ExitStatus.ExitStatus): void {
    if (this.status !== undefined) return
    this.status = status
    this.endedAt = this.clock.unsafeCurrentTimeMillis()
    for (const source of this.sources.values()) source.abandon()
    if (!this.isHeld) this.closeOutputs()
    this.onEnd()
    for (const fiber of this.fibers) fiber.unsafeInterruptAsFork(FiberId.none)
  }

  closeOutputs(): void {
    for (const output of this.outputs) output.end()
  }
}
