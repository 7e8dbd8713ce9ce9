/** What a child can do to the server and to its supervisor: see SECURITY.md. */
import * as fs from "node:fs"
import { describe, expect, it } from "vitest"
import { SpawnServer } from "../src/index.ts"
import {
  alive,
  binary,
  childrenOf,
  exited,
  exitOf,
  faults,
  fixture,
  grace,
  having,
  isDead,
  killed,
  linksOf,
  release,
  run,
  sh,
  signal,
  slack,
  tag,
  until,
  withServer
} from "./support.ts"

const socketsOf = (pid: number): ReadonlyArray<string> =>
  linksOf(pid).flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? [])

const nameOf = (pid: number): string => fs.readFileSync(`/proc/${pid}/comm`, "latin1").trim()

describe("a hostile child", () => {
  const { get } = withServer({ cgroup: false, slackMs: 100 })

  it("finds no socket of the server's that has an address", async () => {
    const t = tag()
    const r = await sh(get(), `exec sleep ${t}`)
    await alive(t)
    const ours = new Set([get().pid, ...childrenOf(get().pid)].flatMap(socketsOf))
    expect(ours.size).toBeGreaterThan(1)
    // A line of /proc/net/unix: the seventh field is the inode, an eighth the address, where there is one.
    const lines = fs.readFileSync("/proc/net/unix", "latin1").trim().split("\n").map((line) => line.split(/\s+/))
    const seen = lines.filter((fields) => ours.has(fields[6] ?? ""))
    expect(seen.length).toBe(ours.size)
    expect(seen.filter((fields) => fields.length > 7)).toEqual([])
    expect(socketsOf(having(t)[0]!)).toEqual([])
    await release(r)
  })

  it("leaves nothing in the supervisor for the one that comes after it", async () => {
    const list = async (): Promise<readonly [number, string]> => {
      const r = await run(get(), fixture("hostile"), ["descriptors"], { stdin: "pipe" })
      await r.job.empty()
      await r.ended
      r.job.close()
      return [r.job.supervisorPid, r.output()]
    }
    const [first, second] = [await list(), await list()]
    expect(second[0]).toBe(first[0])
    const [of1, of2] = [first, second].map(([, text]) => text.trim().split("\n"))
    const kinds = (lines: ReadonlyArray<string>) => lines.map((line) => line.split(" ").slice(0, 3).join(" "))
    expect(kinds(of1!)).toEqual(["0 pipe read", "1 pipe write", "2 pipe write"])
    expect(kinds(of2!)).toEqual(kinds(of1!))
    expect(of2!.filter((line) => of1!.includes(line))).toEqual([])
  })

  it("cannot disturb its supervisor by any signal but SIGKILL and SIGSTOP, nor keep it from the deadline", async () => {
    const t = tag()
    const other = await sh(get(), `exec sleep ${t}`)
    const r = await sh(get(), `"$HOSTILE" signals $PPID ${faults.join(" ")}; exec sleep ${t}`, {
      env: { ...process.env, HOSTILE: fixture("hostile") },
      deadlineMs: 2000
    })
    const began = performance.now()
    await until("sent", () => r.output() !== "")
    expect(r.output()).toBe("0 refused\n")
    expect(await r.job.empty()).toBe(true)
    expect(performance.now() - began).toBeLessThan(2000 + slack)
    expect(r.job.lost).toBeUndefined()
    expect(await exitOf(r)).toEqual(killed("SIGTERM"))
    await r.ended
    expect(having(t).length).toBe(1)
    await release(other)
  })

  it("cannot disturb the server by any signal but those that end it", async () => {
    const ends = new Set([
      ...faults,
      ...["SIGKILL", "SIGSTOP", "SIGTERM", "SIGINT", "SIGHUP"].map((name) => signal(name as "SIGHUP"))
    ])
    for (let signo = 1; signo <= 64; signo++) {
      // Those that libc keeps for itself can be sent all the same.
      if (!ends.has(signo)) process.kill(get().pid, signo)
    }
    const r = await sh(get(), "exit 7")
    expect(await exitOf(r)).toEqual(exited(7))
    await r.job.empty()
    await r.ended
    expect(get().lost).toBeUndefined()
  })

  for (const name of ["SIGTERM", "SIGKILL"] as const) {
    it(`that sends ${name} to the server ends all jobs with it, its own too, and the owner is told`, async () => {
      const server = await SpawnServer.start({ ...binary, cgroup: false })
      const t = tag()
      const sibling = await sh(server, `trap "" TERM; while :; do sleep ${t}; done`)
      await alive(`sleep\0${t}`)
      // The supervisor's parent, once the owner knows the job: what is lost before is a failed spawn, not an ended job.
      const script = `read -r _; read -r _ _ _ up _ </proc/$PPID/stat; kill -${name.slice(3)} $up; exec sleep ${t}`
      const r = await sh(server, script, { stdin: "pipe" })
      const began = performance.now()
      r.job.writable(0).on("error", () => {}).end("now\n")
      await Promise.all([sibling.job.empty(), r.job.empty()])
      expect(performance.now() - began).toBeLessThan(grace + slack)
      expect(having(t)).toEqual([])
      await until("lost", () => server.lost !== undefined)
      await Promise.all([sibling.ended, r.ended])
      await server.close()
    })
  }

  for (const name of ["ep-server", "ep-supervisor", "ep-parked"]) {
    it(`that calls itself ${name} is ended as any`, async () => {
      const t = tag()
      const script = `printf ${name} >/proc/$$/comm; trap "" TERM; sleep ${t} & setsid sleep ${t} & wait; wait`
      const r = await sh(get(), script)
      await alive(`sleep\0${t}`, 2)
      expect(nameOf(r.job.pid)).toBe(name)
      expect(await release(r)).toBeLessThan(grace + slack)
    })
  }
})

describe("server and supervisor killed together", () => {
  const { get, restart } = withServer({ cgroup: false, slackMs: 100 })

  it("what is below a child that calls itself a supervisor is ended with the rest", async () => {
    const t = tag()
    const r = await sh(get(), `setsid sh -c 'printf ep-supervisor >/proc/$$/comm; sleep ${t} & wait' & exec sleep ${t}`)
    await alive(`sleep\0${t}`, 2)
    const pretender = having(t).find((pid) => nameOf(pid) === "ep-supervisor")!
    process.kill(get().pid, "SIGSTOP")
    process.kill(r.job.supervisorPid, "SIGKILL")
    process.kill(get().pid, "SIGKILL")
    expect(await r.job.empty()).toBe(true)
    expect(having(t)).toEqual([])
    expect(isDead(pretender)).toBe(true)
    await r.ended
    await restart()
  })
})
