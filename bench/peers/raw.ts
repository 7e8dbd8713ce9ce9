/** `node:child_process` as it comes, with the stdio of a runner: nothing to read, both outputs piped and read to their end. */
import { type ChildProcessByStdio, spawn, type SpawnOptions } from "node:child_process"
import type { Readable, Writable } from "node:stream"
import { busySince, counted, isGreeting, type Limits, printing, repeat, type Session, writeAll } from "./Peer.ts"

type Child = ChildProcessByStdio<Writable | null, Readable, Readable>

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

/** With no option but `timeout`, which ends the child; or by hand: a group of its own, killed in the end whatever became of it. */
const survive = async (script: string, { env, timeout, variant }: Limits): Promise<unknown> => {
  const everything = { ...process.env, ...env }
  if (variant === "defaults") return output(start("sh", ["-c", script], { env: everything, timeout }))
  const child = start("sh", ["-c", script], { env: everything, detached: true })
  const kill = () => {
    try {
      process.kill(-child.pid!, "SIGKILL")
    } catch {
      // Nothing is left of the group.
    }
  }
  const timer = setTimeout(kill, timeout)
  try {
    return await output(child)
  } finally {
    clearTimeout(timer)
    kill()
  }
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
    read: (file, args) => {
      const child = start(file, args)
      child.stderr.resume()
      return counted(child.stdout, closed(child))
    },
    // By hand: as fast as 'drain' allows.
    through: async (file, size, count) => {
      const child = spawn(file, [], { stdio: ["pipe", "pipe", "inherit"] })
      const ended = new Promise((resolve, reject) => {
        child.on("error", reject)
        child.on("close", resolve)
      })
      const length = counted(child.stdout, ended)
      await writeAll(child.stdin, size, count)
      return length
    },
    write: async (file, args, size, count) => {
      const child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"] })
      const printed = output(child)
      await writeAll(child.stdin, size, count)
      return printed
    },
    // By hand: a group of its own, one signal to it. Every member holds the output, so its end tells that all are gone.
    interrupt: async (script, settled) => {
      const child = start("sh", ["-c", script], { detached: true })
      const end = closed(child)
      child.stderr.resume()
      await printing(child.stdout, child.pid!, settled)
      const began = performance.now()
      process.kill(-child.pid!, "SIGTERM")
      await end
      return performance.now() - began
    },
    survive,
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
