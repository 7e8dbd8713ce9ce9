/** zx. Every command of it is a line for a shell, so each starts bash first. It ends trees, by what ps(1) says of them. */
import { $ as shell, type ProcessPromise } from "zx"
import { counted, isGreeting, printing, repeat, type Session, writeAll } from "./Peer.ts"

const $ = shell({ nothrow: true, quiet: true, stdio: ["ignore", "pipe", "pipe"] })

export const open = async (): Promise<Session> => {
  const living: Array<ProcessPromise> = []
  return {
    captures: (count, atOnce) => repeat(count, atOnce, async () => isGreeting((await $`echo hi`).stdout)),
    read: (file, args) => {
      const running = $`${[file, ...args]}`
      return counted(running.stdout, running)
    },
    write: async (file, args, size, count) => {
      const running = $({ stdio: "pipe" })`${[file, ...args]}`
      await writeAll(running.stdin, size, count)
      return (await running).stdout
    },
    pipeline: async ([first, ...rest]) => {
      const start = $`${first!}`
      return (await rest.reduce<ProcessPromise>(
        (left, stage) => left.pipe($({ halt: true, stdio: "pipe" })`${stage}`),
        start
      )).stdout
    },
    interrupt: async (script, settled) => {
      const running = $({ detached: true })`exec sh -c ${script}`
      await printing(running.stdout, running.pid!, settled)
      const began = performance.now()
      await running.kill("SIGTERM")
      await running
      return performance.now() - began
    },
    survive: async (script, { env, timeout, variant }) => {
      const best = variant === "best" ? { detached: true, timeoutSignal: "SIGKILL" as const } : {}
      return $({ env: { ...process.env, ...env }, timeout, ...best })`sh -c ${script}`
    },
    live: (count, file, args) =>
      repeat(count, 16, async () => {
        const running = $`exec ${[file, ...args]}`
        living.push(running)
        await new Promise((resolve) => running.child!.once("spawn", resolve))
      }),
    close: async () => {
      // Not by its own `kill`, which lists all processes for each of them.
      for (const running of living) running.child!.kill("SIGKILL")
      await Promise.all(living)
    }
  }
}
