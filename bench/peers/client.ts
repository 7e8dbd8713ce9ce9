/** The plain client of the spawn server, without Effect. Its stdio is that of the C loop: only stdout is a pipe. */
import { command, SpawnServer } from "@effect-process/spawn-server"
import { busySince, isGreeting, repeat, type Session } from "./Peer.ts"

export const open = async (): Promise<Session> => {
  const server = await SpawnServer.start()
  const env = server.encodeEnvironment(process.env)
  const echo = command("echo", ["hi"], { env, stderr: "inherit" })
  const output = async (job: Awaited<ReturnType<SpawnServer["spawn"]>>): Promise<string> => {
    const chunks: Array<Buffer> = []
    const stdout = job.reader(0)
    const ended = new Promise<void>((resolve, reject) => {
      const pump = () => {
        for (let chunk = stdout.take(); chunk !== undefined; chunk = stdout.take()) chunks.push(chunk)
        if (stdout.error !== undefined) reject(stdout.error)
        else if (stdout.hasEnded) resolve()
      }
      stdout.onReadable = pump
      pump()
    })
    await Promise.all([ended, job.empty()])
    return Buffer.concat(chunks).toString()
  }
  return {
    captures: (count, atOnce) => repeat(count, atOnce, async () => isGreeting(await output(await server.spawn(echo)))),
    handles: async (count) => {
      const times: Array<number> = []
      await repeat(count, 1, async () => {
        const busy = busySince()
        const job = await server.spawn(echo)
        const end = output(job)
        times.push(busy())
        isGreeting(await end)
      })
      return times
    },
    close: () => server.close()
  }
}
