import * as childProcess from "node:child_process"
import type { Socket } from "node:net"
import { describe, expect, it } from "vitest"
import { defaultBinary } from "../src/index.ts"
import { encode } from "../src/internal/encode.ts"
import { Kind, version, Writer } from "../src/internal/wire.ts"
import { command } from "../src/Request.ts"

const binary = process.env["SPAWN_SERVER_BINARY"] ?? defaultBinary()
const w = new Writer()
const hello = w.begin(Kind.Hello).u32(version).u32(1000).u32(250).u32(0).end().take()
encode(
  w,
  1,
  command("true", ["a", "b"], { env: { A: "b" }, stdin: "pipe", user: { uid: 1, gid: 1 }, cwd: "/" }),
  { mark: undefined, directory: undefined, encoded: new WeakMap() }
)
const spawn = w.take()

/** A request for a terminal, with one of its 16-bit numbers changed. */
const onTerminal = (at: number, value: number): Buffer => {
  const request = command("true", [], { env: {}, stdin: "pipe", terminal: {} })
  encode(w, 2, request, { mark: undefined, directory: undefined, encoded: new WeakMap() })
  const frame = w.take()
  frame.writeUInt16LE(value, at)
  return frame
}

const flagsAt = 8 + 4 + 8 + 4
/** Behind its two pipes: columns, rows, the pipe that is typed and the one that is shown. */
const terminalAt = flagsAt + 4 + 1 + 1 + 2 + 2 * 5

const badTerminals = [
  ...[0, 3, 4].map((flags) => onTerminal(flagsAt, flags)),
  onTerminal(terminalAt, 0),
  onTerminal(terminalAt + 2, 0),
  ...[1, 2].map((pipe) => onTerminal(terminalAt + 4, pipe)),
  ...[0, 2].map((pipe) => onTerminal(terminalAt + 6, pipe))
]

/** What the server says and how it ends when this is written to it and the socket is kept open. */
const feed = (
  ...frames: ReadonlyArray<Buffer>
): Promise<{ status: number | null; signal: string | null; said: string }> =>
  new Promise((resolve) => {
    const child = childProcess.spawn(binary, [], { stdio: ["ignore", "ignore", "pipe", "pipe"] })
    const socket = child.stdio[3] as Socket
    let said = ""
    child.stderr!.on("data", (chunk: Buffer) => (said += String(chunk)))
    socket.on("error", () => {})
    socket.on("data", () => {})
    child.on("close", (status, signal) => resolve({ status, signal, said }))
    socket.write(Buffer.concat(frames))
  })

const raw = (length: number, kind: number, body: ReadonlyArray<number> = []): Buffer => {
  const head = Buffer.alloc(8)
  head.writeUInt32LE(length, 0)
  head.writeUInt16LE(kind, 4)
  return Buffer.concat([head, Buffer.from(body)])
}

/** xorshift32: the same bytes in every run of one seed. */
const random = (seed: number) => (): number => {
  seed ^= seed << 13
  seed ^= seed >>> 17
  seed ^= seed << 5
  return seed >>> 0
}

describe("43: frames", () => {
  for (
    const [what, frames] of [
      ["of absurd length", [hello, raw(0xffff_ffff, Kind.Spawn)]],
      ["of unknown kind", [hello, raw(0, 99)]],
      ["before the greeting", [spawn]],
      ["with a greeting too short", [raw(4, Kind.Hello, [1, 0, 0, 0])]],
      ["with another version", [w.begin(Kind.Hello).u32(77).u32(1000).u32(250).u32(0).end().take()]],
      ["with reserved bits", [hello, Buffer.from([0, 0, 0, 0, 3, 0, 1, 0])]],
      ["with a spawn cut short", [hello, raw(30, Kind.Spawn, [...spawn.subarray(8, 38)])]],
      ["with a spawn too long", [hello, raw(spawn.length - 8 + 1, Kind.Spawn, [...spawn.subarray(8), 0])]],
      ["with one id twice", [hello, spawn, spawn]]
    ] as const
  ) {
    it(`${what}: the server ends with a message`, async () => {
      const { status, signal, said } = await feed(...frames)
      expect([status, signal]).toEqual([1, null])
      expect(said).toMatch(/^effect-process spawn server: .+\n$/)
    })
  }

  const sizes: Readonly<Record<string, readonly [number, number]>> = {
    Hello: [Kind.Hello, 16],
    Opened: [Kind.Opened, 4],
    Signal: [Kind.Signal, 10],
    Terminate: [Kind.Terminate, 9],
    Kill: [Kind.Kill, 4],
    Extend: [Kind.Extend, 16],
    List: [Kind.List, 8],
    Ping: [Kind.Ping, 4],
    Shutdown: [Kind.Shutdown, 0],
    Resume: [Kind.Resume, 4],
    Grow: [Kind.Grow, 20],
    Resize: [Kind.Resize, 12]
  }

  it("of every kind, too short and too long, end it by a message", async () => {
    for (const [name, [kind, size]] of Object.entries(sizes)) {
      for (const length of [0, size - 1, size + 1, size + 1000]) {
        if (length < 0 || length === size) continue
        const frame = raw(length, kind, Array.from({ length }, () => 0))
        const { said, signal, status } = await feed(hello, frame)
        expect([name, length, status, signal]).toEqual([name, length, 1, null])
        expect(said).toBe(`effect-process spawn server: malformed frame of kind ${kind}\n`)
      }
    }
  })

  it("with a field out of its range end it by a message", async () => {
    const frames = [
      w.begin(Kind.Signal).u32(1).u32(1).u8(65).u8(0).end().take(),
      w.begin(Kind.Signal).u32(1).u32(1).u8(1).u8(2).end().take(),
      w.begin(Kind.Terminate).u32(1).u8(65).u32(0).end().take(),
      w.begin(Kind.Resize).u32(1).u32(1).u16(0).u16(24).end().take(),
      w.begin(Kind.Resize).u32(1).u32(1).u16(80).u16(0).end().take(),
      ...badTerminals,
      // A second greeting, and kinds that only the server uses.
      hello,
      w.begin(Kind.Welcome).u32(1).end().take(),
      w.begin(Kind.Exit).u32(1).end().take()
    ]
    for (const frame of frames) {
      const { said, signal, status } = await feed(hello, frame)
      expect([status, signal]).toEqual([1, null])
      expect(said).toBe(`effect-process spawn server: malformed frame of kind ${frame.readUInt16LE(4)}\n`)
    }
  })

  it("random changes of a good frame never end it otherwise than by a message", async () => {
    const next = random(20_251_121)
    for (let i = 0; i < 60; i++) {
      const frame = Buffer.from(spawn)
      for (let n = 1 + (next() % 4); n > 0; n--) frame[8 + (next() % (frame.length - 8))] = next() & 255
      const { status, signal, said } = await feed(hello, frame, raw(0, 99))
      expect([status, signal]).toEqual([1, null])
      expect(said).toMatch(/^effect-process spawn server: malformed frame of kind (2|99)\n$/)
    }
  })

  it("random bytes end the server by a message, never by a signal", async () => {
    const next = random(7)
    for (let i = 0; i < 20; i++) {
      const { status, signal } = await feed(
        hello,
        Buffer.from(Array.from({ length: 200 }, () => next() & 255)),
        raw(0xffff_ffff, 0)
      )
      expect([status, signal]).toEqual([1, null])
    }
  })
})
