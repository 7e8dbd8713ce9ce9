/**
 * An HTTP server as a suite's layer: started once on a free port, ready when the first test begins, gone with the suite. When a test
 * fails its log is printed, and if it dies the tests fail with its last words.
 */
import { expect, layer, ServerFixture } from "@effect-process/vitest"
import { Context, Effect } from "effect"
import { Command, Readiness } from "effect-process"

/** Counts its visitors, and says so in its log. */
const program = `
  let visits = 0
  require("node:http").createServer((request, response) => {
    if (request.url === "/health") return response.end("ok")
    console.log("visit", ++visits)
    response.end(String(visits))
  }).listen(Number(process.env.PORT))
`

class Counter extends Context.Tag("Counter")<Counter, ServerFixture.Server>() {
  static readonly layer = ServerFixture.layer(
    Counter,
    (port) => Command.make(process.execPath, "-e", program).pipe(Command.env({ PORT: `${port}` })),
    (port) => Readiness.http(`http://localhost:${port}/health`)
  )
}

const visit = Effect.flatMap(
  Counter,
  ({ url }) => Effect.promise(() => fetch(url).then((response) => response.text()))
)

layer(Counter.layer)("the counter", (it) => {
  it.effect("counts", () =>
    Effect.gen(function*() {
      expect([yield* visit, yield* visit]).toEqual(["1", "2"])
    }))

  it.process("is the same one for every test, beside what a test starts itself", () =>
    Effect.gen(function*() {
      const { url } = yield* Counter
      const get = `fetch(process.argv[1]).then((response) => response.text()).then(console.log)`
      expect(yield* Command.string(Command.make(process.execPath, "-e", get, url))).toBe("3\n")
    }))

  it.effect("keeps a log", () =>
    Effect.gen(function*() {
      const { log } = yield* Counter
      expect(yield* log).toContain("visit 3")
    }))
})
