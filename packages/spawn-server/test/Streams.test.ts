import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { describe, expect, it } from "vitest"
import { command, type Job, type PipeReader, type RequestFailure, type SpawnRequest } from "../src/index.ts"
import {
  busyBelow,
  exited,
  exitOf,
  grace,
  having,
  killed,
  linksOf,
  makeFifo,
  release,
  run,
  sh,
  slack,
  stateOf,
  tag,
  until,
  withServer
} from "./support.ts"

const collect = (stream: NodeJS.ReadableStream): Promise<Buffer> => {
  const chunks: Array<Buffer> = []
  stream.on("data", (chunk: Buffer) => chunks.push(chunk))
  return new Promise((resolve) => stream.once("close", () => resolve(Buffer.concat(chunks))))
}

/** It waits, and as it does nothing but write: for room in its pipe. */
const isAsleep = (pid: number): boolean => stateOf(pid) === "S"

describe.each(["proc", "fifo"] as const)("streams, our ends opened by way of %s", (pipes) => {
  const { get } = withServer({ pipes })

  it("21: a member that holds the pipe does not hold the exit", async () => {
    const t = tag()
    const r = await sh(get(), `sleep ${t} & echo done`)
    expect(await exitOf(r)).toEqual(exited(0))
    await release(r)
    expect(r.output()).toBe("done\n")
    expect(having(t)).toEqual([])
  })

  it("22: a child that closes its stdin and leaves: the writer is told EPIPE", async () => {
    const r = await sh(get(), "exec 0<&-; sleep .2; exit 7", { stdin: "pipe" })
    const input = r.job.writable(0)
    const broken = new Promise<string | undefined>((resolve) =>
      input.once("error", (error: NodeJS.ErrnoException) => resolve(error.code))
    )
    input.end(Buffer.alloc(10_000_000))
    expect(await exitOf(r)).toEqual(exited(7))
    expect(await broken).toBe("EPIPE")
    await r.ended
  })

  it("23: a child that never reads", async () => {
    const t = tag()
    const r = await run(get(), "sleep", [t], { stdin: "pipe" })
    const input = r.job.writable(0)
    input.on("error", () => {})
    input.write(Buffer.alloc(1_000_000))
    expect(await release(r)).toBeLessThan(slack)
    input.destroy()
  })

  it("24: output that nobody reads stops the child", async () => {
    const job = await get().spawn(command("head", ["-c", "1G", "/dev/zero"], { stderr: "ignore", graceMs: grace }))
    await until("the pipe is full", () => isAsleep(job.pid))
    const began = performance.now()
    job.terminate()
    await job.empty()
    expect(performance.now() - began).toBeLessThan(slack)
    // What the pipe holds is there to be read afterwards.
    expect((await collect(job.readable(0))).length).toBe(65536)
  })

  it("24: a gigabyte read in full", async () => {
    const job = await get().spawn(command("head", ["-c", "1G", "/dev/zero"], { stderr: "ignore" }))
    let bytes = 0
    const buffer = Buffer.allocUnsafe(1 << 18)
    const stream = job.readable(0, { onread: { buffer, callback: (n) => (bytes += n, true) } })
    await new Promise((resolve) => stream.once("close", resolve))
    expect(bytes).toBe(2 ** 30)
    await job.empty()
  })

  /** Everything that comes, and then the end. */
  const drain = (reader: PipeReader): Promise<string> =>
    new Promise((resolve) => {
      const chunks: Array<Buffer> = []
      const look = (): void => {
        for (let chunk = reader.take(); chunk !== undefined; chunk = reader.take()) chunks.push(chunk)
        if (reader.hasEnded) resolve(String(Buffer.concat(chunks)))
      }
      reader.onReadable = look
      look()
    })

  it("a reader, of jobs that end at once, late, and before it is asked for", async () => {
    const readers = async (script: string): Promise<ReadonlyArray<PipeReader>> => {
      const job = await get().spawn(command("sh", ["-c", script]))
      return [job.reader(0), job.reader(1)]
    }
    for (
      const script of [
        "echo out; echo err >&2",
        "echo out; sleep .05; echo err >&2",
        "(sleep .05; echo err >&2) & echo out"
      ]
    ) {
      expect(await Promise.all((await readers(script)).map(drain))).toEqual(["out\n", "err\n"])
    }
    const job = await get().spawn(command("sh", ["-c", "echo out; echo err >&2"]))
    await job.empty()
    expect(await Promise.all([job.reader(0), job.reader(1)].map(drain))).toEqual(["out\n", "err\n"])
    const large = await get().spawn(command("head", ["-c", "1M", "/dev/zero"], { stderr: "ignore" }))
    expect((await drain(large.reader(0))).length).toBe(1024 * 1024)
  })

  it("a reader that is not asked stops the child, and what it is cut from is not lost", async () => {
    const job = await get().spawn(command("yes", [], { stderr: "ignore", graceMs: grace }))
    const reader = job.reader(0)
    await until("the pipe is full", () => isAsleep(job.pid))
    expect(reader.holdsData()).toBe(true)
    // What it looked at is in memory now, and the pipe fills once more.
    await until("the pipe is full", () => isAsleep(job.pid))
    job.kill()
    await job.empty()
    reader.cut()
    const text = await drain(reader)
    expect([text.length, /^(y\n)+$/.test(text)]).toEqual([2 * 64 * 1024, true])
  })

  it("a pipe that is found full is grown", async () => {
    const job = await get().spawn(command("yes", [], { stderr: "ignore", graceMs: grace }))
    const reader = job.reader(0)
    let atOnce = 0
    // Of one that was grown, more is read ahead.
    while (atOnce < 2 ** 20) {
      // The event loop has to turn for anything to be read.
      await new Promise((resolve) => setImmediate(resolve))
      await until("the pipe is full", () => isAsleep(job.pid))
      atOnce = 0
      for (let chunk = reader.take(); chunk !== undefined; chunk = reader.take()) atOnce += chunk.length
    }
    reader.close()
    expect((await job.exited())[0]!.exit).toEqual(killed("SIGPIPE"))
    await job.empty()
  })

  it("pipes grow within half of the allowance, which comes back with the job", async () => {
    const pages = Number(fs.readFileSync("/proc/sys/fs/pipe-user-pages-soft", "latin1"))
    if (pages === 0 || pages > 100_000) return
    const more = 1024 * 1024 - 64 * 1024
    const count = Math.floor((pages * 4096) / 2 / more)
    const start = (): Promise<Job> => get().spawn(command("sleep", ["99"], { stderr: "ignore" }))
    const jobs = await Promise.all(Array.from({ length: count + 1 }, start))
    const descriptors = jobs.map((job) => job.takeDescriptor(0))
    const grow = (i: number): Promise<string> =>
      get().grow(jobs[i]!, 0, descriptors[i]!, 1024 * 1024).then(() => "grown", (error: RequestFailure) => error.code)
    // Another's pipe is left alone, whatever number the owner says.
    await expect(get().grow(jobs[0]!, 0, descriptors[1]!, 1024 * 1024)).rejects.toMatchObject({ code: "EBADF" })
    for (let i = 0; i < count; i++) expect(await grow(i)).toBe("grown")
    expect(await grow(count)).toBe("EPERM")
    const [first] = jobs
    first!.kill()
    await first!.empty()
    await until("what it had is given back", () => busyBelow(get().pid).length === count)
    expect(await grow(count)).toBe("grown")
    for (const fd of descriptors) fs.closeSync(fd)
    for (const job of jobs) job.kill()
    await Promise.all(jobs.map((job) => job.empty()))
  })

  it("25: cat ends with its stdin although another job was forked meanwhile", async () => {
    const t = tag()
    const [cat, sleep] = await Promise.all([run(get(), "cat", [], { stdin: "pipe" }), run(get(), "sleep", [t])])
    const began = performance.now()
    cat.job.writable(0).end("x")
    expect(await exitOf(cat)).toEqual(exited(0))
    expect(performance.now() - began).toBeLessThan(slack)
    await cat.ended
    expect(cat.output()).toBe("x")
    await release(sleep)
  })

  it("25: yes, closed after a line", async () => {
    const job = await get().spawn(command("yes", [], { stderr: "ignore" }))
    const stream = job.readable(0)
    await new Promise((resolve) => stream.once("data", resolve))
    stream.destroy()
    expect((await job.exited())[0]!.exit).toEqual(killed("SIGPIPE"))
    await job.empty()
  })

  it("only the owner reads an output, soon after the start, although nobody asks for anything more", async () => {
    const job = await get().spawn(command("sleep", ["100"], { stdin: "ignore", graceMs: grace }))
    const outputs = [1, 2].map((fd) => fs.readlinkSync(`/proc/${job.pid}/fd/${fd}`))
    await until("closed", () => !linksOf(get().pid).some((link) => outputs.includes(link)))
    job.terminate()
    expect(await job.empty()).toBe(true)
    job.close()
  })

  it("26: /dev/stdin and its like are real pipes", async () => {
    const r = await sh(get(), "cat /dev/stdin; echo x >/dev/stdout; echo y | tee /dev/stderr", { stdin: "pipe" })
    const input = r.job.writable(0)
    input.write("in\n")
    // open(2) of a FIFO waits for a writer, that of a pipe does not.
    if (pipes === "fifo") await until("it is open", () => r.output() === "in\n")
    input.end()
    expect(await exitOf(r)).toEqual(exited(0))
    await r.ended
    expect([r.output(), r.errors()]).toEqual(["in\nx\ny\n", "y\n"])
  })

  it("28: 2>&1 keeps the order", async () => {
    const r = await sh(get(), "i=0; while [ $i -lt 2000 ]; do printf a; printf b >&2; i=$((i+1)); done", {
      stderr: "stdout"
    })
    await exitOf(r)
    await r.ended
    expect(r.output()).toBe("ab".repeat(2000))
  })

  it("files: written, appended, read", async () => {
    const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "ep-")), "f")
    for (const [mode, text] of [["write", "one\n"], ["append", "two\n"]] as const) {
      const r = await run(get(), "printf", ["%s\n", text.trim()], { stdout: { path: file, mode } })
      expect(await exitOf(r)).toEqual(exited(0))
      await r.ended
    }
    const r = await run(get(), "cat", [], { stdin: { path: file, mode: "read" } })
    await exitOf(r)
    await r.ended
    expect(r.output()).toBe("one\ntwo\n")
    fs.rmSync(path.dirname(file), { recursive: true })
  })

  it("a pipeline of three in one group, with a further descriptor and a shared stderr", async () => {
    const request: SpawnRequest = {
      pipes: [{ owner: "none" }, { owner: "none" }, { owner: "reads" }, { owner: "reads" }, { owner: "writes" }],
      stages: [
        {
          file: "sh",
          args: ["-c", "cat <&9; echo 1 >&2"],
          redirects: [{ fd: 0, kind: "null" }, { fd: 1, kind: "write", pipe: 0 }, { fd: 2, kind: "write", pipe: 3 }, {
            fd: 9,
            kind: "read",
            pipe: 4
          }]
        },
        {
          file: "tr",
          args: ["a-z", "A-Z"],
          redirects: [{ fd: 0, kind: "read", pipe: 0 }, { fd: 1, kind: "write", pipe: 1 }, {
            fd: 2,
            kind: "write",
            pipe: 3
          }]
        },
        {
          file: "sh",
          args: ["-c", "cat; ps -o pgid= -p $$ >&2; exit 3"],
          redirects: [{ fd: 0, kind: "read", pipe: 1 }, { fd: 1, kind: "write", pipe: 2 }, {
            fd: 2,
            kind: "write",
            pipe: 3
          }]
        }
      ]
    }
    const job = await get().spawn(request)
    const [out, err] = [collect(job.readable(2)), collect(job.readable(3))]
    job.writable(4).end("hello\n")
    expect((await job.exited()).map((one) => one.exit)).toEqual([exited(0), exited(0), exited(3)])
    expect(String(await out)).toBe("HELLO\n")
    expect(String(await err).split("\n").map((line) => line.trim())).toEqual(["1", String(job.processGroupId), ""])
    expect(await job.empty()).toBe(true)
  })

  it("a pipe between stages takes more than the usual 64 KiB of a writer that is ahead of its reader", async () => {
    const job = await get().spawn({
      pipes: [{ owner: "none" }, { owner: "reads" }],
      stages: [
        {
          file: "sh",
          args: ["-c", "head -c 200000 /dev/zero; echo written >&2"],
          redirects: [{ fd: 0, kind: "null" }, { fd: 1, kind: "write", pipe: 0 }, { fd: 2, kind: "write", pipe: 1 }]
        },
        {
          file: "sleep",
          args: ["100"],
          redirects: [{ fd: 0, kind: "read", pipe: 0 }, { fd: 1, kind: "null" }, { fd: 2, kind: "null" }]
        }
      ]
    })
    expect(String(await collect(job.readable(1)))).toBe("written\n")
    job.kill()
    expect(await job.empty()).toBe(true)
  })

  it("a writer that dies of SIGPIPE before its reader is executed has died first, and is told of then", async () => {
    const { directory, fifo } = makeFifo()
    const none = [{ fd: 1, kind: "null" }, { fd: 2, kind: "null" }] as const
    const job = await get().spawn({
      pipes: [{ owner: "none" }],
      stages: [
        {
          file: "sh",
          args: ["-c", "kill -PIPE $$"],
          redirects: [{ fd: 0, kind: "null" }, { fd: 1, kind: "write", pipe: 0 }, { fd: 2, kind: "null" }]
        },
        {
          file: "true",
          redirects: [{ fd: 0, kind: "read", pipe: 0 }, ...none, { fd: 3, kind: "file", path: fifo, mode: "read" }]
        }
      ]
    })
    expect(job.pending).toBe(true)
    await until("its end is told", () => job.exits[0] !== undefined)
    expect(job.exits[1]).toBeUndefined()
    fs.writeFileSync(fifo, "")
    expect((await job.exited()).map((one) => one.exit)).toEqual([killed("SIGPIPE"), exited(0)])
    expect(await job.empty()).toBe(true)
    fs.rmSync(directory, { recursive: true })
  })

  it("38: a FIFO that nobody opens does not keep the job from its end", async () => {
    const { directory, fifo } = makeFifo()
    const began = performance.now()
    const r = await run(get(), "cat", [], { stdin: { path: fifo, mode: "read" } })
    expect(r.job.pending).toBe(true)
    expect(performance.now() - began).toBeLessThan(1000 + slack)
    expect(await release(r, 5000)).toBeLessThan(slack)
    const again = await run(get(), "cat", [], { stdin: { path: fifo, mode: "read" }, deadlineMs: 400 })
    expect(await exitOf(again)).toEqual(killed("SIGTERM"))
    expect(performance.now() - began).toBeLessThan(3 * slack + grace)
    await again.ended
    fs.rmSync(directory, { recursive: true })
  })

  it("what was opened has no name left", async () => {
    const r = await run(get(), "cat", [], { stdin: "pipe" })
    // The three of this job: Node's own and the server's are anonymous.
    const named = linksOf("self").filter((name) => name.includes("/effect-process-"))
    expect(named.length).toBe(pipes === "fifo" ? 4 : 0)
    await until("they are unlinked", () => named.every((name) => !fs.existsSync(name)))
    r.job.writable(0).end()
    await r.ended
  })

  it("a start that takes long and fails in the end", async () => {
    const { directory, fifo } = makeFifo()
    const r = await run(get(), "/nonexistent", [], { stdin: { path: fifo, mode: "read" } })
    expect(r.job.pending).toBe(true)
    // Now the stage comes to its exec.
    fs.closeSync(fs.openSync(fifo, "w"))
    await expect(r.job.exited()).rejects.toMatchObject({ name: "SpawnFailure", step: "exec", code: "ENOENT" })
    expect(await r.job.empty()).toBe(true)
    expect(r.events.map((event) => event.type)).toEqual(["failed", "empty"])
    await r.ended
    fs.rmSync(directory, { recursive: true })
  })

  it("a pipeline whose second stage does not start leaves nothing", async () => {
    const t = tag()
    await expect(
      get().spawn({
        stages: [{ file: "sleep", args: [t], redirects: [] }, { file: "/nonexistent", redirects: [] }]
      })
    ).rejects.toMatchObject({ stage: 1, step: "exec", code: "ENOENT" })
    await until("nothing", () => having(t).length === 0, 1)
  })
})
