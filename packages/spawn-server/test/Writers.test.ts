import { describe, expect, it } from "vitest"
import type { PipeWriter } from "../src/index.ts"
import { exited, exitOf, run, sh, stateOf, until, withServer } from "./support.ts"

/** Settles with the error's code, or `undefined`. */
const write = (writer: PipeWriter, bytes: Uint8Array): Promise<string | undefined> =>
  new Promise((resolve) => {
    if (writer.write(bytes, (error) => resolve(error?.code))) resolve(undefined)
  })

describe.each(["proc", "fifo"] as const)("writers, our ends opened by way of %s", (pipes) => {
  const { get } = withServer({ pipes })

  it("what fits is in the pipe at once, and what does not follows, in order", async () => {
    const r = await run(get(), "cat", [], { stdin: "pipe" })
    const writer = r.job.writer(0)
    expect(writer.write(Buffer.from("first\n"), () => {})).toBe(true)
    const much = Buffer.from(Array.from({ length: 500_000 }, (_, i) => `${i}\n`).join(""))
    const late = new Promise<unknown>((resolve) => {
      expect(writer.write(much, resolve)).toBe(false)
    })
    expect(await late).toBe(undefined)
    expect(writer.write(Buffer.from("last\n"), () => {})).toBe(true)
    writer.close()
    expect(await exitOf(r)).toEqual(exited(0))
    await r.ended
    expect(r.output() === `first\n${String(much)}last\n`).toBe(true)
  })

  it("a pipe that is found full again and again is made larger", async () => {
    const r = await run(get(), "cat", [], { stdin: "pipe", stdout: "ignore" })
    const writer = r.job.writer(0)
    // Four times the usual, for a child that reads nothing meanwhile.
    const takesMuch = async (): Promise<boolean> => {
      expect(await write(writer, Buffer.alloc(1_000_000))).toBe(undefined)
      await until("cat has read all", () => stateOf(r.job.pid) === "S")
      process.kill(r.job.pid, "SIGSTOP")
      await until("cat has stopped", () => stateOf(r.job.pid) === "T")
      let taken = false
      const last = new Promise<unknown>((resolve) => {
        taken = writer.write(Buffer.alloc(256 * 1024), resolve)
        if (taken) resolve(undefined)
      })
      process.kill(r.job.pid, "SIGCONT")
      expect(await last).toBe(undefined)
      return taken
    }
    while (!await takesMuch()) { /* The server is asked while we write. */ }
    writer.close()
    expect(await exitOf(r)).toEqual(exited(0))
    await r.ended
  })

  it("a child that closes its stdin: each write is told EPIPE, the one that waits too", async () => {
    const r = await sh(get(), "exec 0<&-; echo closed; exec sleep 100", { stdin: "pipe" })
    const writer = r.job.writer(0)
    const waiting = write(writer, Buffer.alloc(10_000_000))
    expect(await waiting).toBe("EPIPE")
    expect(await write(writer, Buffer.from("more"))).toBe("EPIPE")
    writer.close()
    r.job.kill()
    await r.ended
  })

  it("closed while a write waits: the child has what was taken, and its end", async () => {
    const r = await sh(get(), "kill -STOP $$; wc -c", { stdin: "pipe" })
    const writer = r.job.writer(0)
    await until("it has stopped", () => stateOf(r.job.pid) === "T")
    const waiting = write(writer, Buffer.alloc(10_000_000))
    writer.close()
    writer.close()
    expect(await waiting).toBe("EPIPE")
    expect(await write(writer, Buffer.from("more"))).toBe("EPIPE")
    process.kill(r.job.pid, "SIGCONT")
    r.job.resume()
    expect(await exitOf(r)).toEqual(exited(0))
    await r.ended
    expect(Number(r.output())).toBe(65536)
  })
})
