/** `it` and `layer`: what surrounds their tests. */
import * as EffectVitest from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { ProcessSpawner } from "effect-process/ProcessSpawner"
import * as V from "vitest"
import type { LayerMethods, Methods } from "../TestApi.ts"
import { Harness } from "./harness.ts"
import { prepare } from "./prepare.ts"
import * as serverExits from "./serverExits.ts"
import { type Around, makeTester, releaseBound } from "./tester.ts"

/** `describe > describe > test`, without the file, which a report names anyway. */
const nameOf = (task: V.RunnerTask): string =>
  task.suite === undefined || task.suite.name === "" ? task.name : `${nameOf(task.suite)} > ${task.name}`

const isConcurrent = ({ concurrent, suite }: V.RunnerTask): boolean =>
  concurrent === true || (suite !== undefined && isConcurrent(suite))

/** A suite that has a layer: what it provides, and the servers that its tests are raced with. */
interface Provided<R> {
  readonly context: () => Context.Context<R>
  readonly exits: serverExits.ServerExits
}

const printLogs = async (exits: serverExits.ServerExits): Promise<void> => {
  for (const { log, name } of await Effect.runPromise(exits.takeLogs)) {
    console.error(`log of the server ${name}:\n${log.trimEnd().replaceAll(/^/gm, "    ")}`)
  }
}

/** With a spawner, and under the leak check. */
const processAround = <R>(provided?: Provided<R>): Around<R | ProcessSpawner | Scope.Scope> => ({
  begin: async ({ task }) => {
    const name = nameOf(task)
    const harness = Harness.of(task.file)
    const spawner = await harness.spawner(name)
    const check = harness.watch(name, isConcurrent(task))
    return {
      provide: (self) =>
        raced(
          Effect.provideService(Effect.scoped(self), ProcessSpawner, spawner) as Effect.Effect<never, never, R>,
          provided
        ) as Effect.Effect<never>,
      finish: async (exit) => {
        try {
          await tellOf(exit, provided)
        } finally {
          await check()
        }
      }
    }
  }
})

const raced = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  provided: Provided<R> | undefined
): Effect.Effect<A, E | serverExits.ServerDied> =>
  provided === undefined
    ? self as Effect.Effect<A, E>
    : serverExits.guard(Effect.provide(self, provided.context()), provided.exits)

const tellOf = async (
  exit: Exit.Exit<unknown, unknown> | undefined,
  provided: Provided<never> | undefined
): Promise<void> => {
  if (provided !== undefined && (exit === undefined || Exit.isFailure(exit))) await printLogs(provided.exits)
}

/** Only what a layer provides. */
const layerAround = <R>(provided: Provided<R>, isScoped: boolean): Around<R | Scope.Scope> => ({
  begin: () =>
    Promise.resolve({
      provide: (self) =>
        raced((isScoped ? Effect.scoped(self) : self) as Effect.Effect<never, never, R>, provided) as Effect.Effect<
          never
        >,
      finish: (exit) => tellOf(exit, provided as Provided<never>)
    })
})

/** As vitest's own, and not that one: what is put on it must not be seen by others. */
const copyOf = <F extends (...args: Array<never>) => unknown>(original: F): F => {
  const copy = (...args: Array<never>) => original(...args)
  const { length: _length, name: _name, prototype: _prototype, ...properties } = Object.getOwnPropertyDescriptors(
    original
  ) as
    & Record<string, PropertyDescriptor>
    & { readonly prototype?: PropertyDescriptor }
  return Object.defineProperties(copy, properties) as unknown as F
}

const collected = <R>(tester: EffectVitest.Vitest.Tester<R>): EffectVitest.Vitest.Tester<R> => {
  prepare()
  return tester
}

/** @internal */
export const makeIt = (): Methods =>
  Object.assign(copyOf(EffectVitest.it), { process: collected(makeTester(processAround<never>())) })

const methodsOf = <R>(provided: Provided<R>): LayerMethods<R> =>
  Object.assign(copyOf(EffectVitest.it), {
    effect: makeTester<R>(layerAround(provided, false)),
    scoped: makeTester<R | Scope.Scope>(layerAround(provided, true)),
    process: makeTester<R | ProcessSpawner | Scope.Scope>(processAround(provided)),
    layer: <R2, E>(
      nested: Layer.Layer<R2, E, R | ProcessSpawner>,
      options?: Options
    ) =>
      suiteOf<R | R2, E>(
        // The context is there when the suite begins, which is after the one around it has begun.
        Layer.suspend(() => Layer.provideMerge(nested, Layer.succeedContext(provided.context()))),
        provided.exits,
        options
      )
  })

interface Options {
  readonly timeout?: Duration.DurationInput
  readonly memoMap?: Layer.MemoMap
}

const failureOf = (cause: Cause.Cause<unknown>): unknown => Cause.prettyErrors(cause)[0] ?? new Error("interrupted")

/** The layer of one suite, from the hook before its tests to the one after them. */
const hooks = <R, E>(
  layer: Layer.Layer<R, E, ProcessSpawner>,
  exits: serverExits.ServerExits,
  { memoMap, timeout }: Options
): Provided<R> => {
  let context: Context.Context<R> | undefined
  let scope: Scope.CloseableScope | undefined
  let building: Fiber.RuntimeFiber<Context.Context<R>, E> | undefined
  let harness: Harness | undefined
  const bound = timeout === undefined ? releaseBound : Duration.toMillis(timeout)
  V.beforeAll(async (suite) => {
    harness = Harness.of("filepath" in suite ? suite : suite.file)
    harness.hold()
    const spawner = await harness.spawner(suite.name)
    scope = Effect.runSync(Scope.make())
    const map = memoMap ?? Effect.runSync(Layer.makeMemoMap)
    const whole = Layer.provide(serverExits.provide(layer, exits), Layer.succeed(ProcessSpawner, spawner))
    building = Effect.runFork(Layer.buildWithMemoMap(whole, map, scope))
    const exit = await Effect.runPromise(Fiber.await(building))
    if (Exit.isSuccess(exit)) context = exit.value
    else throw failureOf(exit.cause)
  }, bound)
  V.afterAll(async () => {
    try {
      if (building !== undefined) await Effect.runPromise(Fiber.interrupt(building))
      // The log of a server that did not become ready is in its failure.
      const exit = scope === undefined ? Exit.void : await Effect.runPromiseExit(Scope.close(scope, Exit.void))
      if (Exit.isFailure(exit)) throw failureOf(exit.cause)
    } finally {
      await harness?.letGo()
    }
  }, bound)
  return {
    context: () => {
      if (context === undefined) throw new Error("the layer of this suite is not there")
      return context
    },
    exits
  }
}

const suiteOf = <R, E>(
  layer: Layer.Layer<R, E, ProcessSpawner>,
  exits: serverExits.ServerExits,
  options: Options = {}
) =>
(...args: [f: (it: LayerMethods<R>) => void] | [name: string, f: (it: LayerMethods<R>) => void]): void => {
  prepare()
  if (args.length === 1) return args[0](methodsOf(hooks(layer, exits, options)))
  const [name, f] = args
  V.describe(name, () => f(methodsOf(hooks(layer, exits, options))))
}

/** @internal */
export const layer = <R, E>(layer: Layer.Layer<R, E, ProcessSpawner>, options?: Options) =>
  suiteOf(layer, serverExits.make(), options)
