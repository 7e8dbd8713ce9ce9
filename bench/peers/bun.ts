/** `Bun.spawn`. Runs under Bun only, and so does the worker. */
import { isGreeting, type Limits, repeat, type Session } from "./Peer.ts"

interface Subprocess {
  readonly pid: number
  readonly stdin: {
    readonly write: (piece: Uint8Array) => unknown
    readonly flush: () => unknown
    readonly end: () => unknown
  }
  readonly stdout: ReadableStream<Uint8Array>
  readonly exited: Promise<number>
  readonly kill: (signal?: string) => void
}

interface Options {
  readonly stdin?: "ignore" | "pipe" | ReadableStream<Uint8Array>
  readonly stdout?: "pipe"
  readonly stderr?: "pipe" | "ignore"
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly timeout?: number
  readonly killSignal?: string
  readonly detached?: boolean
}

interface Bun {
  readonly spawn: (command: ReadonlyArray<string>, options: Options) => Subprocess
}

/** Nothing to read, both outputs piped. */
const stdio = { stdin: "ignore", stdout: "pipe", stderr: "pipe" } as const

const textOf = (process: Subprocess): Promise<string> => new Response(process.stdout).text()

/** Of its own options for ending what it runs there is the signal. */
const optionsOf = ({ env, timeout, variant }: Limits): Options => ({
  ...stdio,
  env: { ...process.env, ...env },
  timeout,
  ...(variant === "best" ? { killSignal: "SIGKILL" } : {})
})

export const open = async (): Promise<Session> => {
  const { Bun } = globalThis as unknown as { readonly Bun: Bun }
  const output = async (child: Subprocess): Promise<string> => {
    const [text] = await Promise.all([textOf(child), child.exited])
    return text
  }
  const living: Array<Subprocess> = []
  return {
    captures: (count, atOnce) =>
      repeat(count, atOnce, async () => isGreeting(await output(Bun.spawn(["echo", "hi"], stdio)))),
    read: async (file, args) => {
      const child = Bun.spawn([file, ...args], stdio)
      let length = 0
      const reader = child.stdout.getReader()
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) length += piece.value.length
      await child.exited
      return length
    },
    write: async (file, args, size, count) => {
      const child = Bun.spawn([file, ...args], { ...stdio, stdin: "pipe" })
      const piece = new Uint8Array(size)
      for (let i = 0; i < count; i++) {
        child.stdin.write(piece)
        await child.stdin.flush()
      }
      await child.stdin.end()
      return output(child)
    },
    pipeline: async ([first, ...rest]) => {
      const start = Bun.spawn(first!, { stdin: "ignore", stdout: "pipe", stderr: "ignore" })
      return output(
        rest.reduce((left, stage) => Bun.spawn(stage, { stdin: left.stdout, stdout: "pipe", stderr: "ignore" }), start)
      )
    },
    // By hand, as for node:child_process.
    interrupt: async (script, settled) => {
      const child = Bun.spawn(["sh", "-c", script], { ...stdio, detached: true })
      const reader = child.stdout.getReader()
      await reader.read()
      await settled(child.pid)
      const began = performance.now()
      process.kill(-child.pid, "SIGTERM")
      let piece = await reader.read()
      while (!piece.done) piece = await reader.read()
      await child.exited
      return performance.now() - began
    },
    survive: (script, limits) => output(Bun.spawn(["sh", "-c", script], optionsOf(limits))),
    live: async (count, file, args) => {
      for (let i = 0; i < count; i++) {
        living.push(Bun.spawn([file, ...args], stdio))
        // It has no event of a start; without this it would start all within one turn of its loop.
        if (i % 16 === 15) await new Promise((resolve) => setImmediate(resolve))
      }
    },
    close: async () => {
      for (const child of living) child.kill("SIGKILL")
      await Promise.all(living.map((child) => child.exited))
    }
  }
}
