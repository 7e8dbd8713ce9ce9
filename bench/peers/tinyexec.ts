/** tinyexec. It ends the process that it started and nothing below it. */
import { type Result, x } from "tinyexec"
import { counted, isGreeting, printing, repeat, type Session, writeAll } from "./Peer.ts"

const nodeOptions = { stdio: ["ignore", "pipe", "pipe"] } as const

export const open = async (): Promise<Session> => {
  const living: Array<Result> = []
  return {
    captures: (count, atOnce) =>
      repeat(
        count,
        atOnce,
        async () => isGreeting((await x("echo", ["hi"], { nodeOptions: { stdio: [...nodeOptions.stdio] } })).stdout)
      ),
    write: async (file, args, size, count) => {
      const running = x(file, args)
      await writeAll(running.process!.stdin!, size, count)
      return (await running).stdout
    },
    read: async (file, args) => {
      const running = x(file, args, { nodeOptions: { stdio: [...nodeOptions.stdio] } })
      const child = running.process!
      child.stderr!.resume()
      return counted(child.stdout!, new Promise((resolve) => child.once("close", resolve)))
    },
    pipeline: async ([first, ...rest]) => {
      const start = x(first![0], first!.slice(1))
      return (await rest.reduce<Result>((left, [file, ...args]) => left.pipe(file, args), start)).stdout
    },
    interrupt: async (script, settled) => {
      const canceller = new AbortController()
      const running = x("sh", ["-c", script], { signal: canceller.signal })
      const end = new Promise((resolve) => running.process!.once("close", resolve))
      await printing(running.process!.stdout!, running.pid!, settled)
      const began = performance.now()
      canceller.abort()
      await end
      return performance.now() - began
    },
    survive: async (script, { env, timeout, variant }) =>
      x("sh", ["-c", script], {
        timeout,
        nodeOptions: {
          env: { ...process.env, ...env },
          ...(variant === "best" ? { killSignal: "SIGKILL" as const } : {})
        }
      }),
    live: (count, file, args) =>
      repeat(count, 16, async () => {
        const running = x(file, args)
        living.push(running)
        await new Promise((resolve) => running.process!.once("spawn", resolve))
      }),
    close: async () => {
      const ends = living.map((running) => new Promise((resolve) => running.process!.once("close", resolve)))
      for (const running of living) running.kill("SIGKILL")
      await Promise.all(ends)
    }
  }
}
