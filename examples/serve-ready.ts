// Start an HTTP server, talk to it once it is ready, and have it gone afterwards. One that cannot start says why, at once.
import { NodeProcess } from "@effect-process/node"
import { Console, Duration, Effect, Stream } from "effect"
import { Command, NotReady, Readiness } from "effect-process"

/** Takes half a second to load, and then a port that the system chooses. */
const shop = Command.make(
  "node",
  "-e",
  `
    console.error("loading the catalogue")
    setTimeout(() => {
      const server = require("node:http").createServer((request, response) => {
        console.log(request.method, request.url)
        response.end(JSON.stringify({ path: request.url, items: 3 }))
      })
      server.listen(0, "127.0.0.1", () => console.log("listening on http://127.0.0.1:" + server.address().port))
    }, 500)
  `
)

/** It says where it listens, and answers there. */
const serving = Readiness.line(/listening on (\S+)/).pipe(
  Readiness.flatMap(([, url = ""]) => Readiness.http(`${url}/health`).pipe(Readiness.map(() => url)))
)

const visit = Effect.scoped(Effect.gen(function*() {
  const [started, [server, url]] = yield* Effect.timed(Command.startReady(shop, serving, { timeout: "10 seconds" }))
  yield* Console.log(`pid ${server.pid} serves ${url}, ready after ${Math.round(Duration.toMillis(started))} ms`)
  const answer = yield* Effect.promise(() => fetch(`${url}/orders`).then((response) => response.text()))
  yield* Console.log("answer", answer)
  // What it wrote before it was ready is not lost.
  const log = server.stdout.pipe(Stream.decodeText(), Stream.splitLines, Stream.take(3), Stream.runCollect)
  yield* Console.log("log", [...yield* log])
  return url
})) // here the server is gone

const program = Effect.gen(function*() {
  const url = yield* visit
  yield* Effect.flip(Effect.tryPromise(() => fetch(url)))
  yield* Console.log("afterwards nobody answers")

  const broken = Command.shell`echo 'catalogue.json: No such file' >&2; exit 66`
  const error = yield* Effect.scoped(Effect.flip(Command.startReady(broken, serving)))
  if (!(error instanceof NotReady)) return yield* Effect.dieMessage("it was expected not to become ready")
  yield* Console.log(error.message)
})

await Effect.runPromise(program.pipe(Effect.provide(NodeProcess.layer)))
