/** nano-spawn. It ends the process that it started and nothing below it, so an interrupt of a tree is not among its abilities. */
import spawn, { type Subprocess } from "nano-spawn"
import type { ChildProcess } from "node:child_process"
import { counted, isGreeting, printing, repeat, type Session, writeAll } from "./Peer.ts"

const stdio = { stdin: "ignore" } as const

const settledOf = (running: PromiseLike<unknown>): PromiseLike<unknown> =>
  running.then(() => undefined, () => undefined)

export const open = async (): Promise<Session> => {
  const living: Array<ChildProcess> = []
  const ends: Array<PromiseLike<unknown>> = []
  return {
    captures: (count, atOnce) =>
      repeat(count, atOnce, async () => {
        // It takes the newline away.
        isGreeting(`${(await spawn("echo", ["hi"], stdio)).stdout}\n`)
      }),
    // It always collects what comes, unless it is read as lines; so its child's stream is not its own.
    write: async (file, args, size, count) => {
      const running = spawn(file, args)
      const child = await running.nodeChildProcess
      await writeAll(child.stdin!, size, count)
      return (await running).stdout
    },
    read: async (file, args) => {
      const running = spawn(file, args, { ...stdio, stderr: "ignore" })
      const child = await running.nodeChildProcess
      return counted(child.stdout!, running)
    },
    pipeline: async ([first, ...rest]) => {
      const start = spawn(first![0], first!.slice(1), stdio)
      return (await rest.reduce<Subprocess>((left, [file, ...args]) => left.pipe(file, args), start)).stdout
    },
    interrupt: async (script, settled) => {
      const canceller = new AbortController()
      const running = spawn("sh", ["-c", script], { ...stdio, signal: canceller.signal })
      const child = await running.nodeChildProcess
      await printing(child.stdout!, child.pid!, settled)
      const began = performance.now()
      canceller.abort()
      await settledOf(running)
      return performance.now() - began
    },
    survive: async (script, { env, timeout, variant }) =>
      spawn("sh", ["-c", script], { ...stdio, env, timeout, ...(variant === "best" ? { killSignal: "SIGKILL" } : {}) }),
    live: (count, file, args) =>
      repeat(count, 16, async () => {
        const running = spawn(file, args, stdio)
        ends.push(settledOf(running))
        living.push(await running.nodeChildProcess)
      }),
    close: async () => {
      for (const child of living) child.kill("SIGKILL")
      await Promise.all(ends)
    }
  }
}
