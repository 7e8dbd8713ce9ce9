import { describe, expectTypeOf, it, layer, type LayerMethods, leakCheck, type Methods } from "@effect-process/vitest"
import type { Vitest } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Process, ProcessSpawner } from "effect-process"
import { Command } from "effect-process"
import * as V from "vitest"

class Server extends Context.Tag("Server")<Server, Process.Process>() {
  static readonly layer = Layer.scoped(Server, Command.start(Command.make("sleep", "60")))
}

class Client extends Context.Tag("Client")<Client, { readonly pid: number }>() {
  static readonly layer = Layer.effect(Client, Effect.map(Server, ({ pid }) => ({ pid })))
}

describe("types", () => {
  it("it is @effect/vitest's with process", () => {
    expectTypeOf(it).toEqualTypeOf<Methods>()
    expectTypeOf(it).toExtend<Vitest.Methods>()
    expectTypeOf(it.process).toEqualTypeOf<Vitest.Tester<ProcessSpawner | Scope.Scope>>()
    expectTypeOf<Vitest.Methods>().not.toHaveProperty("process")
  })

  it("vitest's own it is left alone", () => {
    V.expect("process" in V.it).toBe(false)
    V.expect("process" in it).toBe(true)
    for (const name of Object.keys(V.it)) V.expect(it).toHaveProperty(name)
  })

  it("a test may ask for what is provided, and for nothing else", () => {
    const check = (tester: typeof it.process) => {
      tester("own", () => Command.run(Command.make("true")))
      tester("scoped", () => Effect.addFinalizer(() => Effect.void))
      // @ts-expect-error Server is not provided
      // @effect-diagnostics-next-line missingEffectContext:off
      tester("other", () => Server)
      tester.each([1, 2])("each", (n) => Effect.succeed(n.toFixed()))
      tester.prop("tuple", [Schema.Int, Schema.String], ([n, text]) => Effect.succeed([n.toFixed(), text.length]))
      tester.prop("record", { n: Schema.Int }, ({ n }) => Effect.succeed(n.toFixed()))
      tester.skipIf(true)("skipped", () => Effect.void, { timeout: 5 })
    }
    expectTypeOf(check).returns.toBeVoid()
  })

  it("a layer may ask for the spawner, and provides itself", () => {
    const check = () => {
      layer(Server.layer)("server", (it) => {
        expectTypeOf(it).toEqualTypeOf<LayerMethods<Server>>()
        expectTypeOf(it.process).toEqualTypeOf<Vitest.Tester<Server | ProcessSpawner | Scope.Scope>>()
        expectTypeOf(it.effect).toEqualTypeOf<Vitest.Tester<Server>>()
        expectTypeOf(it.scoped).toEqualTypeOf<Vitest.Tester<Server | Scope.Scope>>()
        it.layer(Client.layer)("client", (it) => {
          expectTypeOf(it.process).toEqualTypeOf<Vitest.Tester<Server | Client | ProcessSpawner | Scope.Scope>>()
        })
      })
      // @ts-expect-error Server is not there
      // @effect-diagnostics-next-line missingLayerContext:off
      layer(Client.layer)("client", () => undefined)
      layer(Server.layer, { timeout: "5 seconds" })((it) => expectTypeOf(it).toEqualTypeOf<LayerMethods<Server>>())
    }
    expectTypeOf(check).returns.toBeVoid()
  })

  it("leakCheck takes durations and a predicate", () => {
    expectTypeOf(leakCheck).toBeCallableWith({ settle: "1 second", gracePeriod: 5, ignore: ({ pid }) => pid > 1 })
    expectTypeOf(leakCheck).toBeCallableWith()
  })
})
