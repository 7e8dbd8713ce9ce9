/** The same line in a shell, which is all that it does. */
import { spawn } from "node:child_process"
import type { Session } from "./Peer.ts"

const line = (script: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn("sh", ["-c", script], { stdio: ["ignore", "pipe", "inherit"] })
    let output = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text
    })
    child.on("error", reject)
    child.on("close", () => resolve(output))
  })

export const open = async (): Promise<Session> => ({
  captures: async () => {
    throw new Error("sh runs pipelines only")
  },
  pipeline: (stages) => line(stages.map((words) => words.map((word) => `'${word}'`).join(" ")).join(" | ")),
  close: async () => {
    // Nothing is open.
  }
})
