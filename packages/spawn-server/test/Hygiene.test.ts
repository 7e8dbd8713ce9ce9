import { spawnSync } from "node:child_process"
import * as path from "node:path"
import { describe, expect, it } from "vitest"
import { command } from "../src/index.ts"
import {
  atRest,
  busyBelow,
  childrenOf,
  descriptorCount,
  exited,
  isSanitized,
  root,
  sh,
  until,
  withServer
} from "./support.ts"

const { get } = withServer()
const quiet = { stdout: "ignore", stderr: "ignore" } as const

describe("hygiene", () => {
  it("37: a child sees 0 to 2 only, whatever the owner has open", () => {
    const script = `exec 9</dev/null 21</dev/null 1000</dev/null; exec ${process.execPath} ${
      path.join(root, "test/fixtures/owner.mjs")
    } descriptors '[]'`
    const result = spawnSync("bash", ["-c", script], { stdio: ["ignore", "pipe", "inherit"], encoding: "utf8" })
    // ls has the directory open as 3.
    expect(result.stdout.replace(/ready \d+\n/, "").trim().split("\n").sort()).toEqual(["0", "1", "2", "3"])
  })

  it("37: descriptors are as before after runs, errors and interruptions", async () => {
    await atRest(get())
    // A supervisor that waits for a further job has a socket there.
    const ofServer = () => descriptorCount(get().pid) - childrenOf(get().pid).length
    const before = [descriptorCount(), ofServer()]
    for (let i = 0; i < 25; i++) {
      await Promise.all(Array.from({ length: 20 }, async () => {
        const r = await sh(get(), "echo out; echo err >&2")
        await r.job.empty()
        await r.ended
        expect(r.output() + r.errors()).toBe("out\nerr\n")
      }))
    }
    await Promise.all(
      Array.from(
        { length: 64 },
        () => expect(get().spawn(command("/nonexistent"))).rejects.toMatchObject({ code: "ENOENT" })
      )
    )
    await Promise.all(Array.from({ length: 200 }, async () => {
      const job = await get().spawn(command("sleep", ["99"], { stdin: "pipe" }))
      job.terminate()
      await job.empty()
      job.close()
    }))
    await until("as before", () => descriptorCount() === before[0] && ofServer() === before[1])
  })

  it("38: handles that nobody waits for leave nothing", async () => {
    await Promise.all(Array.from({ length: 100 }, () => get().spawn(command("true", [], quiet))))
    expect(await until("no child, no zombie", () => busyBelow(get().pid).length === 0, 3000)).toBeLessThan(3000)
  })

  it("39: 2,000 jobs, 200 at once, all end as they should", async () => {
    let left = isSanitized ? 400 : 2000
    const worker = async (): Promise<void> => {
      while (left-- > 0) {
        const job = await get().spawn(command("true", [], quiet))
        expect((await job.exited())[0]!.exit).toEqual(exited(0))
        await job.empty()
      }
    }
    await Promise.all(Array.from({ length: 200 }, worker))
  })

  it("39: 500 jobs that exit at once are all told", async () => {
    const count = isSanitized ? 100 : 500
    const jobs = await Promise.all(
      Array.from({ length: count }, () => get().spawn(command("cat", [], { ...quiet, stdin: "pipe" })))
    )
    expect(busyBelow(get().pid).length).toBe(count)
    for (const job of jobs) job.close()
    const exits = await Promise.all(jobs.map((job) => job.exited()))
    expect(exits.map((stages) => stages[0]!.exit)).toEqual(jobs.map(() => exited(0)))
    await Promise.all(jobs.map((job) => job.empty()))
  })
})
