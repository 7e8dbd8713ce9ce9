/** The types of a server's layer; `tsc -b` checks them. */
import * as Context from "effect/Context"
import type * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import {
  Command,
  type NotReady,
  type ProcessSpawner,
  Readiness,
  type SpawnError,
  type SpawnServerLost
} from "effect-process"
import { describe, expectTypeOf, it } from "vitest"
import * as ServerFixture from "../src/ServerFixture.ts"

class Web extends Context.Tag("Web")<Web, ServerFixture.Server>() {}
class Matched extends Context.Tag("Matched")<Matched, ServerFixture.Server<RegExpExecArray>>() {}
class Url extends Context.Tag("Url")<Url, string>() {}

type Start = SpawnError | SpawnServerLost | NotReady
type Plain<I> = Layer.Layer<I, Start, ProcessSpawner>

describe("ServerFixture.layer", () => {
  it("takes commands and readiness as they are, or as functions of a port, with and without options", () => {
    const command = Command.make("x")
    expectTypeOf(ServerFixture.layer(Web, command, Readiness.line(/x/))).toEqualTypeOf<Plain<Web>>()
    expectTypeOf(
      ServerFixture.layer(
        Web,
        (port) => Command.make("x", `${port}`).pipe(Command.env({ A: "1" })),
        (port) => Readiness.port(port),
        { name: "x" }
      )
    ).toEqualTypeOf<Plain<Web>>()
    expectTypeOf(
      ServerFixture.layer(
        Url,
        (port) => Command.make("x", `${port}`).pipe(Command.env({ A: "1" })),
        () => Readiness.all(Readiness.line(/x/)),
        { make: ({ port, ready: [[line]] }) => `${line.trim()} ${port.toFixed()}` }
      )
    ).toEqualTypeOf<Plain<Url>>()
  })

  it("gives services that are servers of what was found", () => {
    const command = () => Command.make("x")
    expectTypeOf(ServerFixture.layer(Matched, command, Readiness.line(/x/))).toEqualTypeOf<Plain<Matched>>()
    expectTypeOf(ServerFixture.layer(Matched, command, (port) => Readiness.port(port))).not.toExtend<Plain<Matched>>()
    expectTypeOf(ServerFixture.layer(Url, command, Readiness.line(/x/))).not.toExtend<Plain<Url>>()
  })

  it("keeps what the command and the readiness need, and how the latter fails", () => {
    const fed = Command.make("x").pipe(Command.stdin(Stream.empty as Stream.Stream<string, "broken", Url>))
    const probe = Command.make("x").pipe(Command.stdin(Stream.empty as Stream.Stream<string, "failing", Matched>))
    const made = ServerFixture.layer(Web, () => fed, () => Readiness.command(probe), {
      make: (server) => ({ ...server, process: server.process as never })
    })
    expectTypeOf(made).toEqualTypeOf<Layer.Layer<Web, Start | "failing", ProcessSpawner | Url | Matched>>()
  })
})
