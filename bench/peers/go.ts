/** `os/exec` of Go, in a program of its own; see native/os_exec.go. Built when it is first asked for, where Go is installed. */
import { execFileSync, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as readline from "node:readline"
import { fileURLToPath } from "node:url"
import type { Session } from "./Peer.ts"

const source = fileURLToPath(new URL("../../native/os_exec.go", import.meta.url))
const build = fileURLToPath(new URL("../../build/", import.meta.url))

const compile = (): string => {
  fs.mkdirSync(build, { recursive: true })
  const program = `${build}os_exec`
  execFileSync("go", ["build", "-o", program, source], {
    env: { ...process.env, GOCACHE: `${build}go`, GOFLAGS: "-mod=mod", GO111MODULE: "off" },
    stdio: ["ignore", 2, 2]
  })
  return program
}

interface Answer {
  readonly id: number
  readonly problem?: string
  readonly value?: number
  readonly text?: string
}

export const open = async (): Promise<Session> => {
  const child = spawn(compile(), { stdio: ["pipe", "pipe", "inherit"] })
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()))
  // It may be killed, which is a case.
  child.stdin.on("error", () => undefined)
  const waiting = new Map<number, (answer: Answer) => void>()
  readline.createInterface({ input: child.stdout }).on("line", (line) => {
    const answer = JSON.parse(line) as Answer
    waiting.get(answer.id)?.(answer)
    waiting.delete(answer.id)
  })
  let last = 0
  const ask = async (task: string, input: Readonly<Record<string, unknown>>): Promise<Answer> => {
    const id = ++last
    const answer = new Promise<Answer>((resolve, reject) => {
      waiting.set(id, resolve)
      void ended.then(() => reject(new Error("os_exec has ended")))
    })
    child.stdin.write(`${JSON.stringify({ id, task, ...input })}\n`)
    const { problem, ...rest } = await answer
    if (problem !== undefined && problem !== "") throw new Error(problem)
    return { ...rest }
  }
  return {
    owner: child.pid!,
    hold: async (mebibytes) => void await ask("hold", { count: mebibytes }),
    captures: async (count, atOnce) => void await ask("captures", { count, atOnce }),
    read: async (file, args) => (await ask("read", { words: [file, ...args] })).value ?? 0,
    write: async (file, args, size, count) => (await ask("write", { words: [file, ...args], size, count })).text ?? "",
    pipeline: async (stages) => (await ask("pipeline", { stages })).text ?? "",
    interrupt: async (script, settled) => {
      const { value = 0 } = await ask("begin", { script })
      await settled(value)
      return (await ask("interrupt", {})).value ?? 0
    },
    survive: (script, { env, timeout, variant }) =>
      ask("survive", {
        script,
        env: Object.entries(env).map((entry) => entry.join("=")),
        timeout,
        best: variant === "best"
      }),
    live: async (count, file, args) => void await ask("live", { count, words: [file, ...args] }),
    close: async () => {
      child.stdin.end()
      await ended
    }
  }
}
