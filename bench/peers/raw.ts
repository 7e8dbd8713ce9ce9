/** `node:child_process` as it comes, with the stdio of a runner: nothing to read, both outputs piped and read to their end. */
import { type ChildProcessByStdio, spawn, type SpawnOptions } from "node:child_process"
import type { Readable } from "node:stream"
import { busySince, isGreeting, repeat, type Session } from "./Peer.ts"

type Child = ChildProcessByStdio<null, Readable, Readable>

const start = (file: string, args: ReadonlyArray<string>, options: SpawnOptions = {}): Child =>
  spawn(file, args, { ...options, stdio: ["ignore", "pipe", "pipe"] })

/** Exited, and both outputs at their end. */
const closed = (child: Child): Promise<number | null> =>
  new Promise((resolve, reject) => {
    child.on("error", reject)
    child.on("close", resolve)
  })

const output = async (child: Child): Promise<string> => {
  const chunks: Array<Buffer> = []
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk))
  child.stderr.resume()
  const code = await closed(child)
  if (code !== 0) throw new Error(`exit code ${code}`)
  return Buffer.concat(chunks).toString()
}

export const open = async (): Promise<Session> => {
  const living: Array<Child> = []
  return {
    captures: (count, atOnce) => repeat(count, atOnce, async () => isGreeting(await output(start("echo", ["hi"])))),
    handles: async (count) => {
      const times: Array<number> = []
      await repeat(count, 1, async () => {
        const busy = busySince()
        const child = start("echo", ["hi"])
        times.push(busy())
        isGreeting(await output(child))
      })
      return times
    },
    read: async (file, args) => {
      const child = start(file, args)
      let length = 0
      child.stdout.on("data", (chunk: Buffer) => {
        length += chunk.length
      })
      child.stderr.resume()
      await closed(child)
      return length
    },
    // By hand: as fast as 'drain' allows.
    through: async (file, size, count) => {
      const child = spawn(file, [], { stdio: ["pipe", "pipe", "inherit"] })
      const piece = new Uint8Array(size)
      let length = 0
      child.stdout.on("data", (chunk: Buffer) => {
        length += chunk.length
      })
      const ended = new Promise((resolve, reject) => {
        child.on("error", reject)
        child.on("close", resolve)
      })
      for (let i = 0; i < count; i++) {
        if (!child.stdin.write(piece)) await new Promise((resolve) => child.stdin.once("drain", resolve))
      }
      child.stdin.end()
      await ended
      return length
    },
    // By hand: a group of its own, one signal to it. Every member holds the output, so its end tells that all are gone.
    interrupt: async (script, settled) => {
      const child = start("sh", ["-c", script], { detached: true })
      const end = closed(child)
      child.stderr.resume()
      await new Promise((resolve) => child.stdout.once("data", resolve))
      await settled(child.pid!)
      const began = performance.now()
      process.kill(-child.pid!, "SIGTERM")
      await end
      return performance.now() - began
    },
    live: (count, file, args) =>
      repeat(count, 16, async () => {
        const child = start(file, args)
        child.stdout.resume()
        child.stderr.resume()
        await new Promise((resolve, reject) => {
          child.on("spawn", resolve)
          child.on("error", reject)
        })
        living.push(child)
      }),
    close: async () => {
      const ends = living.map(closed)
      for (const child of living) child.kill("SIGKILL")
      await Promise.all(ends)
    }
  }
}
