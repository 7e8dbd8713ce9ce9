/** effect-process on an engine that starts nothing: what is left is its own work. */
import { Clock, Effect, Exit, Layer } from "effect"
import { type Engine, ExitStatus, ProcessSpawner } from "effect-process"
import { fromEngine } from "effect-process/ProcessSpawner"
import { noUsage } from "effect-process/ProcessInfo"
import { open as openOn } from "./effectProcess.ts"
import type { Session } from "./Peer.ts"

const hi = new TextEncoder().encode("hi\n")

class Output implements Engine.OutputPipe {
  private left: Uint8Array | null

  constructor(bytes: Uint8Array | null) {
    this.left = bytes
  }

  poll(): Uint8Array | null {
    const bytes = this.left
    this.left = null
    return bytes
  }

  listen(listener: (() => void) | undefined): void {
    listener?.()
  }

  holdsData(): boolean {
    return this.left !== null
  }

  cut(): void {
    // Nobody writes it.
  }

  close(): void {
    this.left = null
  }
}

/** Every command prints `hi` on its stdout and exits at once. */
const job = ({ stages: [stage] }: Engine.SpawnRequest): Engine.EngineJob => ({
  pid: 4242,
  processGroupId: 4242,
  input: () => ({ write: () => Effect.succeed(true), close: () => undefined }),
  output: (pipe) =>
    new Output(
      stage.redirects.some((redirect) => redirect.fd === 1 && redirect.to === "pipe" && redirect.pipe === pipe)
        ? hi
        : null
    ),
  observe: (observer) => {
    const usage = { ...noUsage, maxRss: 3_000_000 }
    observer.exited(Exit.succeed([{ pid: 4242, exit: ExitStatus.exited(0), usage, order: 0 }]))
    observer.emptied(Exit.void)
  },
  signal: () => Effect.void,
  terminate: () => Effect.void,
  kill: Effect.void,
  descendants: Effect.succeed([]),
  survivors: Effect.succeed([]),
  usage: Effect.succeed(noUsage),
  extendDeadline: () => Effect.void
})

const environment = { ...process.env } as Readonly<Record<string, string>>

export const layer: Layer.Layer<ProcessSpawner> = Layer.sync(ProcessSpawner, () =>
  fromEngine({
    guarantees: {
      engine: "none",
      reach: "descendants",
      ownerDeath: "none",
      deadline: "external",
      statuses: "exact",
      usage: "exact",
      backstop: "none"
    },
    clock: Clock.make(),
    environment: Effect.succeed(environment),
    spawn: (request) => Effect.sync(() => job(request)),
    connect: () => Effect.succeed(false)
  }))

export const open = (): Promise<Session> => openOn(layer)
