/** A C program that calls posix_spawnp(3) in a loop; see native/posix_spawn.c. Built when it is first asked for. */
import { execFileSync, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as readline from "node:readline"
import { fileURLToPath } from "node:url"
import type { Session } from "./Peer.ts"

const source = fileURLToPath(new URL("../../native/posix_spawn.c", import.meta.url))
const build = fileURLToPath(new URL("../../build/", import.meta.url))

const compile = (): string => {
  fs.mkdirSync(build, { recursive: true })
  const program = `${build}posix_spawn`
  const warnings = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]
  execFileSync(process.env.CC ?? "cc", [...warnings, "-O2", "-o", program, source], { stdio: ["ignore", 2, 2] })
  return program
}

export const open = async (): Promise<Session> => {
  const child = spawn(compile(), { stdio: ["pipe", "pipe", "inherit"] })
  const ended = new Promise((resolve) => child.on("close", resolve))
  const answers = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    captures: async (count) => {
      child.stdin.write(`${count}\n`)
      const { done } = await answers.next()
      if (done === true) throw new Error("posix_spawn has ended")
    },
    close: async () => {
      child.stdin.end()
      await ended
    }
  }
}
