import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import { describe, expect, it } from "vitest"
import { command, SpawnServer } from "../src/index.ts"
import {
  alive,
  atRest,
  binary,
  childrenOf,
  exited,
  exitOf,
  fixture,
  having,
  isDead,
  isRoot,
  isSanitized,
  makeFifo,
  release,
  run,
  sh,
  tag,
  until,
  withServer
} from "./support.ts"

const { get } = withServer()

/** How many supervisors a server keeps at most. */
const most = 16

/** One that is no child of who wants to trace it. See ptrace(2), "ptrace_scope". */
const mayTrace = isRoot || !fs.existsSync("/proc/sys/kernel/yama/ptrace_scope") ||
  fs.readFileSync("/proc/sys/kernel/yama/ptrace_scope", "latin1").startsWith("0")

const parked = (): ReadonlyArray<number> => childrenOf(get().pid)

/** Runs a job that ends by itself, and waits until its supervisor has no job. */
const settle = async (): Promise<number> => {
  const r = await sh(get(), "exit 0")
  await r.job.empty()
  await r.ended
  await atRest(get())
  return r.job.supervisorPid
}

describe("a supervisor whose job has ended by itself", () => {
  it("takes the next one, whatever that asks for", async () => {
    const first = await settle()
    const t = tag()
    const cases: ReadonlyArray<readonly [string, string, Parameters<typeof sh>[2]?]> = [
      ["exit 7", ""],
      ["echo out; echo err >&2", "out\nerr\n"],
      ["ls /proc/self/fd | tr '\\n' ' '", "0 1 2 3 "],
      ["echo $NAME", "value\n", { env: { ...process.env, NAME: "value" } }],
      ["pwd", "/\n", { cwd: "/" }],
      ["umask", "0077\n", { umask: 0o077 }],
      ["ulimit -n", "64\n", { limits: [{ resource: "openFiles", soft: 64, hard: 64 }] }],
      [`: ${t}; tail -c 3`, "end", { stdin: "pipe" }]
    ]
    for (const [script, output, options] of cases) {
      const r = await sh(get(), script, options)
      expect([script, r.job.supervisorPid]).toEqual([script, first])
      if (options?.stdin === "pipe") r.job.writable(0).end("the end")
      expect(await exitOf(r)).toEqual(exited(script === "exit 7" ? 7 : 0))
      await r.job.empty()
      await r.ended
      expect([script, r.output() + r.errors()]).toEqual([script, output])
      await atRest(get())
    }
  })

  it("gives inherited descriptors to the stages and keeps none", async () => {
    await settle()
    const links = (pid: number | "self") => [0, 1, 2].map((fd) => fs.readlinkSync(`/proc/${pid}/fd/${fd}`))
    const t = tag()
    const job = await get().spawn(
      command("sh", ["-c", `exec sleep 100 # ${t}`], { stdin: "inherit", stdout: "inherit", stderr: "inherit" })
    )
    expect(links(job.pid)).toEqual(links(get().pid))
    expect(links(job.supervisorPid)).toEqual(["/dev/null", "/dev/null", "/dev/null"])
    job.kill()
    await job.empty()
  })

  it("enforces the deadline and the grace period of each", async () => {
    const first = await settle()
    const t = tag()
    const r = await sh(get(), `trap "" TERM; : ${t}; while :; do sleep 1; done`, { deadlineMs: 100, graceMs: 100 })
    expect(r.job.supervisorPid).toBe(first)
    await r.job.empty()
    await r.ended
    expect(r.events.map(({ type }) => type)).toContain("deadline")
    expect(having(t)).toEqual([])
    // What had to be ended may have left something that a next job would meet.
    await until("ended", () => !parked().includes(first))
  })

  it("reaches what leaves the group of a later job", async () => {
    const first = await settle()
    const t = tag()
    const r = await sh(get(), `setsid sleep ${t} & exec sleep ${t}`)
    expect(r.job.supervisorPid).toBe(first)
    await alive(t, 2)
    await release(r)
    expect(having(t)).toEqual([])
  })

  it("is kept with a few others, not with two hundred", async () => {
    await Promise.all(Array.from({ length: 200 }, async () => {
      const r = await run(get(), "true", [])
      await r.job.empty()
      await r.ended
    }))
    await atRest(get())
    await until("the others have gone", () => parked().length <= most)
    expect(parked().length).toBeGreaterThan(0)
  })

  for (
    const [file, outcome] of [
      ["true", [exited(5), exited(0)]],
      ["effect-process-no-such-command", { step: "exec", code: "ENOENT", stage: 1 }]
    ] as const
  ) {
    it.runIf(mayTrace)(`tells of a start before the end, whenever it gets the processor: ${file}`, async () => {
      const pid = await settle()
      const { directory, fifo } = makeFifo()
      const stall = spawn(fixture("stall"), [String(pid), fifo], { stdio: ["ignore", "pipe", "inherit"] })
      let said = ""
      stall.stdout.on("data", (chunk: Buffer) => (said += String(chunk)))
      await until("it holds the supervisor", () => said === "ready\n")
      const none = [{ fd: 1, kind: "null" }, { fd: 2, kind: "null" }] as const
      const spawned = get().spawn({
        pipes: [],
        stages: [
          { file: "sh", args: ["-c", "exit 5"], redirects: [{ fd: 0, kind: "null" }, ...none] },
          { file, redirects: [{ fd: 0, kind: "file", path: fifo, mode: "read" }, ...none] }
        ]
      })
      const seen = spawned.then(async (job) => {
        const ends = await job.exited()
        await job.empty()
        return ends.map(({ exit }) => exit)
      }, (error: unknown) => error)
      const [status] = await once(stall, "close")
      expect([status, said]).toEqual([0, "ready\nheld\n"])
      expect(await seen).toMatchObject(outcome)
      fs.rmSync(directory, { recursive: true })
    })
  }

  it("is not needed for a request that is too large for a packet", async () => {
    await settle()
    const r = await run(get(), "printenv", ["BIG"], { env: { ...process.env, BIG: "x".repeat(100_000) } })
    expect(await exitOf(r)).toEqual(exited(0))
    await r.job.empty()
    await r.ended
    expect(r.output().length).toBe(100_001)
  })

  for (const [what, signal] of [["killed", "SIGKILL"], ["stopped", "SIGSTOP"]] as const) {
    it(`does no harm when it is ${what} while it has none`, async () => {
      await settle()
      const pids = parked()
      for (const pid of pids) process.kill(pid, signal)
      if (signal === "SIGKILL") await until("they are gone", () => pids.every(isDead))
      const r = await sh(get(), "echo on")
      expect(await exitOf(r)).toEqual(exited(0))
      await r.job.empty()
      await r.ended
      expect(r.output()).toBe("on\n")
    })
  }

  it("ends with its server, closed or killed", async () => {
    for (const end of ["close", "kill"] as const) {
      const server = await SpawnServer.start(binary)
      const job = await server.spawn(command("true", [], { stdout: "ignore", stderr: "ignore" }))
      await job.empty()
      const [pid = 0] = childrenOf(server.pid)
      expect(pid).toBe(job.supervisorPid)
      if (end === "close") await server.close()
      else process.kill(server.pid, "SIGKILL")
      await until(`${end}: gone`, () => isDead(pid))
    }
  })

  // AddressSanitizer keeps what was freed.
  it.skipIf(isSanitized)("serves a thousand jobs without growing", async () => {
    const first = await settle()
    const size = () => Number(/^RssAnon:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${first}/status`, "latin1"))?.[1])
    const before = size()
    for (let i = 0; i < 1000; i++) {
      const job = await get().spawn(command("true", [], { stdout: "ignore", stderr: "ignore" }))
      await job.empty()
    }
    expect(childrenOf(get().pid)).toContain(first)
    expect(size() - before).toBeLessThan(64)
  })
})
