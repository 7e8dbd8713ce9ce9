// Compress a download on the fly: a command as an operator on the Stream of an HTTP response.
import { NodeProcess } from "@effect-process/node"
import { Console, Data, Effect, Stream } from "effect"
import { Command, Stdio } from "effect-process"
import { createHash, type Hash } from "node:crypto"
import * as fs from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as path from "node:path"
import { temporaryDirectory } from "./support/example.ts"

class DownloadFailed extends Data.TaggedError("DownloadFailed")<{ readonly cause: unknown }> {}

const pieces = 400
const piece = Buffer.from("what compresses well, compresses well. ".repeat(1_000))

/** Serves 15 MB at /all, and breaks off in the middle at /half. */
const server = Effect.acquireRelease(
  Effect.async<http.Server>((resume) => {
    const listener = http.createServer(async (request, response) => {
      for (let i = 0; i < pieces; i++) {
        if (request.url === "/half" && i === pieces / 2) break
        if (!response.write(piece)) await new Promise((resolve) => response.once("drain", resolve))
      }
      if (request.url === "/half") response.destroy()
      else response.end()
    }).listen(0, "127.0.0.1", () => resume(Effect.succeed(listener)))
  }),
  (listener) => Effect.sync(() => void listener.close())
)

const download = (url: string): Stream.Stream<Uint8Array, DownloadFailed> =>
  Stream.unwrap(
    Effect.tryPromise({ try: () => fetch(url), catch: (cause) => new DownloadFailed({ cause }) }).pipe(
      Effect.map((response) =>
        Stream.fromReadableStream(() => response.body!, (cause) => new DownloadFailed({ cause }))
      )
    )
  )

const hashing = (hash: Hash) => <E, R>(bytes: Stream.Stream<Uint8Array, E, R>) =>
  Stream.tap(bytes, (chunk) => Effect.sync(() => void hash.update(chunk)))

const program = Effect.gen(function*() {
  const directory = yield* temporaryDirectory
  const { port } = (yield* server).address() as AddressInfo
  const file = path.join(directory, "download.gz")
  const received = createHash("sha256")

  // download -> sha256 of what came -> gzip -> file
  const compressed = yield* Stream.runFold(
    download(`http://127.0.0.1:${port}/all`).pipe(
      hashing(received),
      Command.through(Command.make("gzip", "-c")),
      Stream.tap((bytes) => Effect.sync(() => fs.appendFileSync(file, bytes)))
    ),
    0,
    (sum, bytes) => sum + bytes.length
  )
  yield* Console.log(`${pieces * piece.length} bytes became ${compressed}`)

  // file -> gunzip -> sha256sum
  const checksum = yield* Command.make("gunzip", "-c").pipe(
    Command.stdin(Stdio.file(file)),
    Command.pipeTo(Command.make("sha256sum")),
    Command.string
  )
  const expected = received.digest("hex")
  if (!checksum.startsWith(expected)) return yield* Effect.dieMessage(`${checksum} is not ${expected}`)
  yield* Console.log(`sha256 ${expected}`)

  // gzip never sees the end of a download that broke off: what fails is the download, with its own error.
  const error = yield* download(`http://127.0.0.1:${port}/half`).pipe(
    Command.through(Command.make("gzip", "-c")),
    Stream.runDrain,
    Effect.flip
  )
  if (error._tag !== "DownloadFailed") return yield* error
  yield* Console.log("the download that broke off failed:", error._tag)
})

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(NodeProcess.layer)))
