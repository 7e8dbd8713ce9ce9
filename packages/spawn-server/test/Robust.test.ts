/** What breaks around the server and below it: signals at every moment, resources that are used up, lies from a supervisor. */
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import type { Socket } from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { command, defaultBinary, type Job, ServerLost, SpawnServer } from "../src/index.ts"
import { Frames, Kind, version, Writer } from "../src/internal/wire.ts"
import {
  alive,
  binary,
  busyBelow,
  exited,
  exitOf,
  fixture,
  grace,
  having,
  isDead,
  isRoot,
  isSanitized,
  killBound,
  root,
  sh,
  signal,
  slack,
  tag,
  until,
  withServer
} from "./support.ts"

const directory = fs.mkdtempSync(path.join(os.tmpdir(), "ep-"))
afterAll(() => fs.rmSync(directory, { recursive: true }))
const quiet = { stdout: "ignore", stderr: "ignore" } as const
const file = binary.binary ?? defaultBinary()

/** The server below limits of its own. */
const wrapped = (name: string, limit: string): string => {
  const wrapper = path.join(directory, name)
  fs.writeFileSync(wrapper, `#!/bin/sh\n${limit}\nexec "${file}"\n`, { mode: 0o755 })
  return wrapper
}

/** Signals children of a server the moment they are seen. */
const hunt = async (
  server: number,
  signo: number,
  every: number,
  delayMicros: number
): Promise<() => Promise<void>> => {
  const child = childProcess.spawn(fixture("hunter"), [server, signo, every, delayMicros].map(String), {
    stdio: ["pipe", "pipe", "inherit"]
  })
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  await new Promise((resolve) => child.stdout.once("data", resolve))
  return () => {
    child.stdin.end()
    return gone
  }
}

describe("supervisors", () => {
  const { get, restart } = withServer({ slackMs: 100 })

  const works = async (): Promise<void> => {
    const r = await sh(get(), "exit 7")
    expect(await exitOf(r)).toEqual(exited(7))
    await r.ended
  }

  for (
    const [what, signo] of [["killed", signal("SIGKILL")], ["stopped", signal("SIGSTOP")], ["held", 0]] as const
  ) {
    for (const delay of [0, 100, 1_000, 5_000]) {
      it(`${what} ${delay} us after they were forked: every spawn is answered, nothing is left`, async () => {
        const t = tag()
        const jobs = what === "held" ? 6 : 40
        const stop = await hunt(get().pid, signo, what === "held" ? 3 : 2, delay)
        const script = `sleep ${t} & (setsid sleep ${t} &); exec sleep ${t}`
        const outcomes = await Promise.all(Array.from({ length: jobs }, async () => {
          const job = await get().spawn(command("sh", ["-c", script], { ...quiet, graceMs: 100 })).catch((
            error: unknown
          ) => error instanceof ServerLost && error.what === "supervisor" ? undefined : Promise.reject(error))
          if (job === undefined) return "lost"
          job.terminate()
          // The bounds of a supervisor that hangs, twice: before its first word, and at the end.
          const late = new Promise((resolve) =>
            setTimeout(() => resolve("late"), 100 + 4 * killBound + 8 * 100 + slack)
          )
          return Promise.race([job.empty(), late])
        }))
        await stop()
        expect(new Set(outcomes.filter((one) => one !== "lost" && one !== true))).toEqual(new Set())
        await until("nothing is left", () => having(t).length === 0)
        expect(get().lost).toBeUndefined()
        await until("no supervisor is left", () => busyBelow(get().pid).length === 0)
        await works()
      }, 60_000)
    }
  }

  for (const [what, name] of [["killed", "SIGKILL"], ["stopped", "SIGSTOP"]] as const) {
    it(`${what} while an exec takes long`, async () => {
      const fifo = path.join(directory, `fifo-${what}`)
      childProcess.execFileSync("mkfifo", [fifo])
      const t = tag()
      const job = await get().spawn({
        stages: [{
          file: "sleep",
          args: [t],
          redirects: [{ fd: 0, kind: "file", path: fifo, mode: "read" }, { fd: 1, kind: "null" }]
        }],
        graceMs: 100
      })
      expect(job.pending).toBe(true)
      process.kill(job.supervisorPid, name)
      job.terminate()
      expect(await job.empty()).toBe(true)
      await until("gone", () => isDead(job.pid) && isDead(job.supervisorPid))
      await works()
    })

    it(`${what} during a termination`, async () => {
      for (const wait of [0, 50, grace + 5]) {
        const t = tag()
        const r = await sh(
          get(),
          `trap "" TERM; (trap "" TERM; setsid sleep ${t} &); echo; while :; do sleep ${t}; done`
        )
        await until("ready", () => r.output() === "\n")
        r.job.terminate()
        await new Promise((resolve) => setTimeout(resolve, wait))
        try {
          process.kill(r.job.supervisorPid, name)
        } catch {
          // It was done before.
        }
        const began = performance.now()
        expect(await r.job.empty()).toBe(true)
        expect(performance.now() - began).toBeLessThan(grace + killBound + slack)
        expect(having(t)).toEqual([])
        await r.ended
      }
      await works()
    })
  }

  it("a request that crosses the end of its job does not cost the supervisor's last words", async () => {
    for (let round = 0; round < 10; round++) {
      const all = Array.from({ length: 40 }, async (_, i) => {
        const job = await get().spawn(command("true", [], quiet))
        // Some find it alive, some find its socket closed with the request unread.
        for (let n = 0; n < 10 && !job.isEmpty; n++) {
          if (i % 2 === 0) job.terminate()
          else await job.signal(signal("SIGCONT")).catch(() => undefined)
          await new Promise((resolve) => setImmediate(resolve))
        }
        expect(await job.empty()).toBe(true)
        return job.lost
      })
      expect((await Promise.all(all)).filter((lost) => lost !== undefined)).toEqual([])
    }
  })

  it("kill -9 of the server at any moment: every promise is kept, nothing is left", async () => {
    for (let round = 0; round < 12; round++) {
      const t = tag()
      const server = get()
      const scripts = [
        `trap "" TERM; sleep ${t} & while :; do sleep ${t}; done`,
        `(setsid sleep ${t} &); exec sleep ${t}`,
        "exit 0",
        `setsid sleep ${t} & exit 3`
      ]
      const all = Array.from({ length: 16 }, async (_, i) => {
        const job = await server.spawn(command("sh", ["-c", scripts[i % 4]!], { ...quiet, graceMs: 100 })).catch(() =>
          undefined
        )
        if (job === undefined) return true
        if (i % 3 === 0) job.terminate()
        return job.empty()
      })
      await new Promise((resolve) => setTimeout(resolve, round * 3))
      process.kill(server.pid, "SIGKILL")
      const began = performance.now()
      expect(new Set(await Promise.all(all))).toEqual(new Set([true]))
      await until("nothing is left", () => having(t).length === 0)
      expect(performance.now() - began).toBeLessThan(100 + killBound + 2 * 100 + slack)
      await restart()
    }
    await works()
  }, 60_000)
})

describe("a server that is stopped", () => {
  for (const isBusy of [false, true]) {
    it(`${isBusy ? "with a job" : "at rest"} is closed in bounded time, and its jobs with it`, async () => {
      const server = await SpawnServer.start({ ...binary, hangMs: 300, killBoundMs: 500, slackMs: 100 })
      const t = tag()
      if (isBusy) await server.spawn(command("sleep", [t], { ...quiet, graceMs: grace }))
      process.kill(server.pid, "SIGSTOP")
      const began = performance.now()
      await server.close()
      expect(performance.now() - began).toBeLessThan(2 * grace + 1000 + slack)
      expect(isDead(server.pid)).toBe(true)
      await until("nothing is left", () => having(t).length === 0)
    })
  }
})

describe("lies from a supervisor", () => {
  const { get } = withServer()
  const w = new Writer()
  const frame = (kind: number, id: number, ...bytes: ReadonlyArray<number>): Buffer =>
    w.begin(kind).u32(id).bytes(Uint8Array.from(bytes)).end().take()
  const many = Array.from({ length: 300 }, (_, i) => i & 255)
  const raw = (length: number, kind: number): Buffer => {
    const head = Buffer.alloc(8)
    head.writeUInt32LE(length, 0)
    head.writeUInt16LE(kind, 4)
    return head
  }
  const kinds = {
    started: Kind.Started,
    failed: Kind.Failed,
    exit: Kind.Exit,
    stopped: Kind.Stopped,
    continued: Kind.Continued,
    deadline: Kind.Deadline,
    left: Kind.Left,
    empty: Kind.Empty,
    unkillable: Kind.Unkillable,
    processes: Kind.Processes,
    result: Kind.Result,
    terminating: Kind.Terminating,
    paused: Kind.Terminating + 1
  }
  const cases: Array<readonly [string, (id: number) => Buffer]> = [
    ["of absurd length", () => raw(0xffff_ffff, Kind.Exit)],
    ["cut short", () => raw(100, Kind.Exit)],
    ["of unknown kind", (id) => frame(99, id)],
    ["of the owner's", (id) => frame(Kind.Terminate, id, 9, 0, 0, 0, 0)],
    ["only the server's", (id) => frame(Kind.Lost, id, 1)],
    ["of five bytes", () => Buffer.from([1, 2, 3, 4, 5])],
    ["about a stage that is not there", (id) => frame(Kind.Exit, id, 9, ...Array.from({ length: 62 }, () => 0))],
    ["that would stop the owner", (id) => frame(Kind.Stopped, id, 0, 20, 0, 0, 0, 1)],
    ...Object.entries(kinds).flatMap(([name, kind]) => [
      [`${name}: too long`, (id: number) => frame(kind, id, ...many)] as const,
      ...(["deadline", "empty", "terminating"].includes(name)
        ? []
        : [[`${name}: too short`, (id: number) => frame(kind, id)] as const]),
      [`${name}: of another job`, (id: number) => frame(kind, id + 1)] as const
    ])
  ]

  it.runIf(isRoot)("each costs it its job and nobody else anything", async () => {
    const t = tag()
    const other = await sh(get(), `exec sleep ${t}`)
    for (const [what, make] of cases) {
      const u = tag()
      const r = await sh(get(), `(setsid sleep ${u} &); exec sleep ${u}`)
      await alive(u, 2)
      const injected = childProcess.spawnSync(
        fixture("inject"),
        [String(r.job.supervisorPid), make(r.job.id).toString("hex")],
        { encoding: "utf8" }
      )
      expect([what, injected.stdout]).toEqual([what, "1\n"])
      expect([what, await r.job.empty()]).toEqual([what, true])
      expect([what, r.job.lost?.what]).toEqual([what, "supervisor"])
      expect([what, having(u)]).toEqual([what, []])
      await r.ended
    }
    expect(having(t).length).toBe(1)
    other.job.kill()
    await other.job.empty()
    await other.ended
  }, 60_000)
})

describe("used up", () => {
  it("descriptors: refused with EMFILE, what runs goes on and is ended, also by a sweep; then it serves again", async () => {
    const server = await SpawnServer.start({ binary: wrapped("files", "ulimit -n 40"), cgroup: false })
    try {
      const t = tag()
      const jobs: Array<Job> = []
      const errors: Array<unknown> = []
      for (let i = 0; i < 60 && errors.length === 0; i++) {
        const spawned = server.spawn(
          command("sh", ["-c", `setsid sleep ${t} & exec sleep ${t}`], { ...quiet, graceMs: 100 })
        )
        await spawned.then((job) => jobs.push(job), (reason: unknown) => errors.push(reason))
      }
      expect(errors).toMatchObject([{ name: "SpawnFailure", code: "EMFILE" }])
      expect(jobs.length).toBeGreaterThan(5)
      await alive(t, 2 * jobs.length)
      process.kill(jobs[0]!.supervisorPid, "SIGKILL")
      expect(await jobs[0]!.empty()).toBe(true)
      expect(jobs[0]!.lost?.what).toBe("supervisor")
      expect(having(t).length).toBe(2 * jobs.length - 2)
      for (const job of jobs) job.terminate()
      expect(new Set(await Promise.all(jobs.map((job) => job.empty())))).toEqual(new Set([true]))
      const again = await server.spawn(command("true", [], quiet))
      expect((await again.exited())[0]!.exit).toEqual(exited(0))
      await again.empty()
    } finally {
      await server.close()
    }
  })

  it.runIf(isRoot)(
    "processes: refused with EAGAIN, by the server's fork or the supervisor's; then it serves again",
    () => {
      const uid = 56_000 + (process.pid % 1000)
      const script = `
      import { SpawnServer, command } from ${JSON.stringify(path.join(root, "dist/index.js"))}
      const server = await SpawnServer.start({ binary: process.argv[1], cgroup: false })
      const quiet = { stdout: "ignore", stderr: "ignore", graceMs: 100 }
      const jobs = [], codes = new Set()
      for (let i = 0; i < 40; i++) await server.spawn(command("sleep", ["300"], quiet)).then((job) => jobs.push(job), (e) => codes.add(e.step + " " + e.code))
      for (const job of jobs) job.terminate()
      const empty = await Promise.all(jobs.map((job) => job.empty()))
      const again = await server.spawn(command("true", [], quiet))
      const [{ exit }] = await again.exited()
      await again.empty()
      await server.close()
      console.log(JSON.stringify([[...codes], empty.every((one) => one), exit.code, jobs.length > 2, server.lost.message]))`
      fs.chmodSync(directory, 0o755)
      // Odd and even, so that now the server and now a supervisor is the one to be refused.
      for (const limit of [24, 25]) {
        const result = childProcess.spawnSync(
          process.execPath,
          [
            "--input-type=module",
            "-e",
            script,
            wrapped(`processes-${limit}`, `ulimit -u ${limit} 2>/dev/null || ulimit -p ${limit}`)
          ],
          { uid, gid: uid, cwd: "/", encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }
        )
        expect(JSON.parse(result.stdout)).toEqual([
          ["fork EAGAIN"],
          true,
          0,
          true,
          "the spawn server was lost: it was closed"
        ])
      }
    }
  )

  it("an owner that does not read: memory is bounded, and everything arrives in order when it does", async () => {
    const child = childProcess.spawn(file, [], { stdio: ["ignore", "ignore", "inherit", "pipe"] })
    const socket = child.stdio[3] as Socket
    const w = new Writer()
    const seen: Array<number> = []
    let welcomed = false
    const frames = new Frames((kind, body) => {
      if (kind === Kind.Welcome) welcomed = true
      if (kind === Kind.Pong) seen.push(body.u32())
    })
    socket.on("data", (chunk: Buffer) => frames.push(chunk))
    socket.write(w.begin(Kind.Hello).u32(version).u32(1000).u32(250).u32(0).end().take())
    await until("welcome", () => welcomed)
    socket.pause()
    const rss = (): number => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${child.pid}/status`, "latin1"))![1])
    const before = rss()
    const count = 1_000_000
    const pings = Buffer.alloc(count * 12)
    for (let i = 0; i < count; i++) {
      pings.writeUInt32LE(4, i * 12)
      pings.writeUInt16LE(Kind.Ping, i * 12 + 4)
      pings.writeUInt32LE(i, i * 12 + 8)
    }
    socket.write(pings)
    let last = -1
    await until("it stops listening", () => {
      const written = socket.bytesWritten - socket.writableLength
      const same = written === last
      last = written
      return same && written > 0
    })
    await new Promise((resolve) => setTimeout(resolve, 300))
    // One MiB of answers, what was read and not yet looked at, and the sanitizer's own where it is that.
    expect(rss() - before).toBeLessThan(isSanitized ? 64_000 : 4_000)
    socket.resume()
    await until("all answers", () => seen.length === count, 20_000)
    expect(seen.every((value, i) => value === i)).toBe(true)
    const gone = new Promise((resolve) => child.once("exit", resolve))
    socket.destroy()
    expect(await gone).toBe(0)
  })
})
