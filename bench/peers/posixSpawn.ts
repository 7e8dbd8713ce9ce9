/** A C program that calls posix_spawnp(3) in a loop; see native/posix_spawn.c. */
import { spawn } from "node:child_process"
import * as readline from "node:readline"
import { compile } from "../support/native.ts"
import type { Session } from "./Peer.ts"

export const open = async (): Promise<Session> => {
  const child = spawn(compile("posix_spawn"), { stdio: ["pipe", "pipe", "inherit"] })
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
