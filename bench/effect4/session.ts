/** `ChildProcess` of Effect 4 with the spawner for Node.js. What it returns is a `Session` of ../peers/Peer.ts. */
import * as NodeChildProcessSpawner from "@effect/platform-node-shared/NodeChildProcessSpawner"
import * as NodeFileSystem from "@effect/platform-node-shared/NodeFileSystem"
import * as NodePath from "@effect/platform-node-shared/NodePath"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

const layer = NodeChildProcessSpawner.layer.pipe(Layer.provide(Layer.merge(NodeFileSystem.layer, NodePath.layer)))

const string = (command: ChildProcess.Command) =>
  Effect.flatMap(Effect.service(ChildProcessSpawner), (spawner) => spawner.string(command))

const ignoring = { stdin: "ignore" } as const

const greet = Effect.map(string(ChildProcess.make("echo", ["hi"], ignoring)), (output) => {
  if (output !== "hi\n") throw new Error(`echo hi printed ${JSON.stringify(output)}`)
})

const interrupt = (script: string, settled: (pid: number) => Promise<void>) =>
  Effect.gen(function*() {
    const running = yield* Deferred.make<number>()
    const fiber = yield* Effect.forkChild(Effect.scoped(Effect.gen(function*() {
      const process = yield* ChildProcess.make("sh", ["-c", script], ignoring)
      yield* Stream.runForEach(process.stdout, () => Deferred.succeed(running, process.pid))
    })))
    const pid = yield* Deferred.await(running)
    yield* Effect.promise(() => settled(pid))
    const began = performance.now()
    yield* Fiber.interrupt(fiber)
    return performance.now() - began
  })

interface Limits {
  readonly variant: "defaults" | "best"
  readonly timeout: number
  readonly env: Readonly<Record<string, string>>
}

const survive = (script: string, { env, timeout, variant }: Limits) =>
  Effect.timeout(
    string(ChildProcess.make("sh", ["-c", script], {
      ...ignoring,
      env,
      extendEnv: true,
      ...(variant === "best" ? { forceKillAfter: 500 } : {})
    })),
    timeout
  )

type Stages = ReadonlyArray<readonly [string, ...ReadonlyArray<string>]>

export const open = async () => {
  const runtime = ManagedRuntime.make(layer)
  await runtime.runPromise(Effect.void)
  const lives = await Effect.runPromise(Scope.make("parallel"))
  return {
    captures: (count: number, atOnce: number) =>
      runtime.runPromise(
        Effect.forEach(Array.from({ length: count }), () => greet, { concurrency: atOnce, discard: true })
      ),
    read: (file: string, args: ReadonlyArray<string>) =>
      runtime.runPromise(Effect.scoped(Effect.gen(function*() {
        const process = yield* ChildProcess.make(file, args, { ...ignoring, stderr: "ignore" })
        return yield* Stream.runFold(process.stdout, () => 0, (length, chunk) => length + chunk.length)
      }))),
    write: (file: string, args: ReadonlyArray<string>, size: number, count: number) => {
      const stdin = Stream.fromIterable(Array.from({ length: count }, () => new Uint8Array(size)))
      return runtime.runPromise(string(ChildProcess.make(file, args, { stdin })))
    },
    pipeline: (stages: Stages) => {
      const [first, ...rest] = stages.map(([file, ...args]) => ChildProcess.make(file, args))
      return runtime.runPromise(
        string(rest.reduce<ChildProcess.Command>((left, right) => ChildProcess.pipeTo(left, right), first!))
      )
    },
    interrupt: (script: string, settled: (pid: number) => Promise<void>) =>
      runtime.runPromise(interrupt(script, settled)),
    survive: (script: string, limits: Limits) => runtime.runPromiseExit(survive(script, limits)),
    live: (count: number, file: string, args: ReadonlyArray<string>) => {
      const start = Scope.provide(ChildProcess.make(file, args, ignoring), lives)
      return runtime.runPromise(
        Effect.forEach(Array.from({ length: count }), () => start, { concurrency: 16, discard: true })
      )
    },
    close: async () => {
      await Effect.runPromise(Scope.close(lives, Exit.void))
      await runtime.dispose()
    }
  }
}
