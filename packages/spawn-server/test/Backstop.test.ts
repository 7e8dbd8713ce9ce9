import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { describe, expect, it } from "vitest"
import { command, SpawnServer } from "../src/index.ts"
import {
  alive,
  busyBelow,
  exited,
  exitOf,
  fixture,
  having,
  isDead,
  isRoot,
  killBound,
  root,
  run,
  sh,
  slack,
  sleeping,
  tag,
  until,
  withServer
} from "./support.ts"

const mounts = fs.readFileSync("/proc/self/mountinfo", "latin1").split("\n")
const mountOf = (pattern: RegExp): string | undefined => mounts.find((line) => pattern.test(line))?.split(" ")[4]
const unified = mountOf(/ - cgroup2 /)
const cgroupOf = (pid: number): string => /^0::(.*)$/m.exec(fs.readFileSync(`/proc/${pid}/cgroup`, "latin1"))?.[1] ?? ""
const directoryOf = (pid: number): string | undefined => {
  const parent = path.join(unified ?? "/nonexistent", cgroupOf(pid))
  const name = fs.existsSync(parent)
    ? fs.readdirSync(parent).find((one) => one.startsWith(`effect-process-${pid}-`))
    : undefined
  return name === undefined ? undefined : path.join(parent, name)
}
/** In a frozen cgroup of version 1 a process does not even take SIGKILL until it is thawed. */
const freezer = mountOf(/ - cgroup .*\bfreezer\b/)
const canFreeze = isRoot && freezer !== undefined

const frozen = async (pid: number, body: () => Promise<void>): Promise<void> => {
  const directory = path.join(freezer!, `ep-test-${process.pid}`)
  fs.mkdirSync(directory, { recursive: true })
  fs.writeFileSync(path.join(directory, "cgroup.procs"), String(pid))
  fs.writeFileSync(path.join(directory, "freezer.state"), "FROZEN")
  try {
    const state = () => fs.readFileSync(path.join(directory, "freezer.state"), "latin1")
    await until("frozen", () => state() === "FROZEN\n")
    await body()
  } finally {
    fs.writeFileSync(path.join(directory, "freezer.state"), "THAWED")
    await until("thawed", () => fs.readFileSync(path.join(directory, "cgroup.procs"), "latin1") === "")
    fs.rmdirSync(directory)
  }
}

describe.each([["with a cgroup", true], ["without a cgroup", false]] as const)("%s", (_, cgroup) => {
  const { get, restart } = withServer({ cgroup, slackMs: 100 })
  const hasCgroup = (): boolean => get().features.cgroup

  it("jobs are in it, the server is not, and the owner is told the truth", async () => {
    const t = tag()
    const r = await sh(get(), `setsid sleep ${t} & exec sleep ${t}`)
    await alive(t, 2)
    expect(hasCgroup()).toBe(cgroup && directoryOf(get().pid) !== undefined)
    const own = cgroupOf(get().pid)
    expect(own).toBe(cgroupOf(process.pid))
    for (const pid of [r.job.supervisorPid, ...having(t)]) expect(cgroupOf(pid) === own).toBe(!hasCgroup())
    r.job.terminate()
    await r.job.empty()
    await r.ended
  })

  it("it goes with the server, however that ends", async () => {
    const other = await SpawnServer.start({ cgroup })
    const directory = directoryOf(other.pid)
    expect(directory !== undefined).toBe(other.features.cgroup)
    await other.close()
    expect(directory === undefined || !fs.existsSync(directory)).toBe(true)
    const killed = await SpawnServer.start({ cgroup })
    const second = directoryOf(killed.pid)
    process.kill(killed.pid, "SIGKILL")
    await until("removed", () => second === undefined || !fs.existsSync(second))
  })

  it("one whose server and owner were both killed is removed by the next server", async () => {
    const script = `
      import { SpawnServer } from ${JSON.stringify(path.join(root, "dist/index.js"))}
      const server = await SpawnServer.start({ cgroup: ${cgroup} })
      console.log(server.pid)
      setInterval(() => {}, 1000)
      process.kill(server.pid, "SIGKILL")
      process.kill(process.pid, "SIGKILL")`
    const parent = path.join(unified ?? "/nonexistent", cgroupOf(process.pid))
    let pid = 0
    const left = () =>
      fs.existsSync(parent) && fs.readdirSync(parent).some((name) => name.startsWith(`effect-process-${pid}-`))
    // Any server removes it, so also one that another file's tests start before we look.
    for (let tries = 0; tries < 10; tries++) {
      pid = Number(spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" }).stdout)
      expect(pid).toBeGreaterThan(1)
      // It was killed before its owner, and need not have ended before it: the next one asks whether it lives.
      await until("the server has ended", () => isDead(pid))
      if (left() === hasCgroup()) break
    }
    expect(left()).toBe(hasCgroup())
    const other = await SpawnServer.start({ cgroup })
    expect(left()).toBe(false)
    await other.close()
  })

  it("12: server and supervisor killed together: nothing is left, marked or not", async () => {
    const t = tag()
    // Without its environment it has no mark: only the cgroup knows it.
    const r = await sh(get(), `env -i setsid sleep ${t} & (trap "" TERM; exec sleep ${t}) & exec sleep ${t}`)
    await until("all sleep", () => sleeping(t).length === 3)
    const unmarked = having(t).filter((pid) => fs.readFileSync(`/proc/${pid}/environ`).length === 0)
    const had = hasCgroup()
    expect(unmarked.length).toBe(1)
    process.kill(get().pid, "SIGSTOP")
    process.kill(r.job.supervisorPid, "SIGKILL")
    process.kill(get().pid, "SIGKILL")
    expect(await r.job.empty()).toBe(true)
    expect(having(t)).toEqual(had ? [] : unmarked)
    if (!had) { for (const pid of unmarked) process.kill(pid, "SIGKILL") }
    await until("gone", () => having(t).length === 0)
    await r.ended
    await restart()
  })

  it("12: the server killed, a supervisor stopped", async () => {
    const t = tag()
    const r = await sh(get(), `setsid sleep ${t} & exec sleep ${t}`, { graceMs: 100 })
    await alive(t, 2)
    process.kill(get().pid, "SIGSTOP")
    process.kill(r.job.supervisorPid, "SIGSTOP")
    const began = performance.now()
    process.kill(get().pid, "SIGKILL")
    expect(await r.job.empty()).toBe(true)
    expect(performance.now() - began).toBeLessThan(100 + killBound + 200 + slack)
    expect(having(t)).toEqual([])
    await until("its supervisor is gone", () => isDead(r.job.supervisorPid))
    await r.ended
    await restart()
  })

  it.runIf(canFreeze)("what cannot be killed after both were lost is listed", async () => {
    const t = tag()
    const r = await sh(get(), `exec sleep ${t}`)
    await until("it sleeps", () => sleeping(t).length === 1)
    await frozen(r.job.pid, async () => {
      process.kill(get().pid, "SIGSTOP")
      process.kill(r.job.supervisorPid, "SIGKILL")
      process.kill(get().pid, "SIGKILL")
      expect(await r.job.empty()).toBe(false)
      const event = r.events.find(({ type }) => type === "unkillable")
      expect(event?.type === "unkillable" && event.processes).toMatchObject([
        { pid: r.job.pid, state: "D", command: `sleep ${t}`, denied: false }
      ])
    })
    await until("gone", () => having(t).length === 0)
    await restart()
  })

  it.runIf(canFreeze)("what cannot be killed is listed, whoever is lost, and its end is told", async () => {
    for (const who of ["nobody", "supervisor"]) {
      const t = tag()
      const r = await sh(get(), `exec sleep ${t}`, { graceMs: 100 })
      await until("it sleeps", () => sleeping(t).length === 1)
      await frozen(r.job.pid, async () => {
        const began = performance.now()
        if (who === "nobody") r.job.terminate()
        else process.kill(r.job.supervisorPid, "SIGKILL")
        expect(await r.job.empty()).toBe(false)
        expect(performance.now() - began).toBeLessThan(100 + killBound + slack)
        const event = r.events.find(({ type }) => type === "unkillable")
        expect(event?.type === "unkillable" && event.processes.map(({ pid, state }) => [pid, state])).toEqual([
          [r.job.pid, "D"]
        ])
      })
      await until("told", () => r.events.some(({ type }) => type === "empty"))
      await r.ended
    }
  })
})

describe("while orphans are swept", () => {
  const { get } = withServer()

  it.runIf(isRoot)("others are started, also while a bomb has lost its supervisor", async () => {
    const t = tag()
    const uid = 55_000 + (process.pid % 1000)
    const bomb = await run(get(), fixture("bomb"), [t, "setsid"], {
      user: { uid, gid: uid },
      limits: [{ resource: "processes", soft: 200, hard: 200 }],
      stdout: "ignore",
      stderr: "ignore"
    })
    await until("many", () => having(t).length > 100, 40_000)
    const waits: Array<number> = []
    process.kill(bomb.job.supervisorPid, "SIGKILL")
    const swept = bomb.job.empty()
    do {
      const began = performance.now()
      const job = await get().spawn(command("true", [], { stdout: "ignore", stderr: "ignore" }))
      waits.push(performance.now() - began)
      await job.empty()
    } while (!bomb.events.some(({ type }) => type === "empty" || type === "unkillable"))
    expect(await swept).toBe(true)
    expect(having(t)).toEqual([])
    // Bounded by the machine's load and not by the sweep.
    expect(Math.max(...waits)).toBeLessThan(250 + slack)
    await until("no children", () => busyBelow(get().pid).length === 0)
    expect(await exitOf(await sh(get(), "exit 4"))).toEqual(exited(4))
  }, 60_000)

  it.runIf(canFreeze)("others are started, also while one of them cannot be killed", async () => {
    const t = tag()
    const r = await sh(get(), `exec sleep ${t}`)
    await until("it sleeps", () => sleeping(t).length === 1)
    await frozen(r.job.pid, async () => {
      process.kill(r.job.supervisorPid, "SIGKILL")
      // By then the backstop was tried, as no supervisor lives: it must not reach those that are started later.
      expect(await r.job.empty()).toBe(false)
      let worst = 0
      for (const until = performance.now() + 1500; performance.now() < until;) {
        const began = performance.now()
        const job = await get().spawn(command("true", [], { stdout: "ignore", stderr: "ignore" }))
        worst = Math.max(worst, performance.now() - began)
        await job.empty()
      }
      expect(worst).toBeLessThan(100 + slack)
    })
    await until("told", () => r.events.some(({ type }) => type === "empty"))
    await r.ended
  })
})
