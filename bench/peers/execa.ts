/** execa, with the stdio of a runner: nothing to read, both outputs piped. */
import { execa } from "execa"
import { counted, grace, isGreeting, type Limits, printing, repeat, type Session, writeAll } from "./Peer.ts"

const stdio = { stdin: "ignore" } as const

/** Without `buffer`, which would keep all of it; what comes on stderr is dropped. */
const streaming = { buffer: false, stderr: "ignore" } as const

const survive = (script: string, { env, timeout, variant }: Limits): PromiseLike<unknown> =>
  variant === "defaults"
    ? execa("sh", ["-c", script], { ...stdio, env, timeout })
    : execa("sh", ["-c", script], {
      ...stdio,
      cleanup: true,
      env,
      forceKillAfterDelay: grace,
      killDescendants: true,
      timeout
    })

export const open = async (): Promise<Session> => {
  const living: Array<{ readonly kill: (signal: "SIGKILL") => boolean }> = []
  const ends: Array<Promise<unknown>> = []
  return {
    captures: (count, atOnce) =>
      repeat(
        count,
        atOnce,
        async () => isGreeting((await execa("echo", ["hi"], { ...stdio, stripFinalNewline: false })).stdout)
      ),
    read: (file, args) => {
      const running = execa(file, args, { ...stdio, ...streaming })
      return counted(running.stdout, running)
    },
    write: async (file, args, size, count) => {
      const running = execa(file, args)
      await writeAll(running.stdin, size, count)
      return (await running).stdout
    },
    pipeline: async ([first, ...rest]) => {
      // Only of the last is anything kept: what goes on to the next one would soon be more than execa keeps.
      const start = execa(first![0], first!.slice(1), { ...stdio, buffer: rest.length === 0 })
      const { stdout } = await rest.reduce<PromiseLike<{ readonly stdout: unknown }> & Pick<typeof start, "pipe">>(
        (left, [file, ...args], i) => left.pipe(file, args, { buffer: i === rest.length - 1 }),
        start
      )
      return String(stdout)
    },
    interrupt: async (script, settled) => {
      const canceller = new AbortController()
      const running = execa("sh", ["-c", script], {
        ...stdio,
        cancelSignal: canceller.signal,
        killDescendants: true,
        reject: false
      })
      await printing(running.stdout, running.pid!, settled)
      const began = performance.now()
      canceller.abort()
      await running
      return performance.now() - began
    },
    survive: async (script, limits) => survive(script, limits),
    live: (count, file, args) =>
      repeat(count, 16, async () => {
        const running = execa(file, args, { ...stdio, reject: false })
        living.push(running)
        ends.push(running)
        await new Promise((resolve) => running.nodeChildProcess.once("spawn", resolve))
      }),
    close: async () => {
      for (const running of living) running.kill("SIGKILL")
      await Promise.all(ends)
    }
  }
}
