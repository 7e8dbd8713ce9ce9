import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import { describe, expect, it } from "vitest"
import { SpawnServer } from "../src/index.ts"
import {
  alive,
  childrenOf,
  exited,
  exitOf,
  fixture,
  grace,
  having,
  isDead,
  isRoot,
  killBound,
  killed,
  release,
  run,
  sh,
  slack,
  sleeping,
  stateOf,
  tag,
  until,
  withServer
} from "./support.ts"

const byNumber = (a: number, b: number) => a - b

/** Once more as on a kernel without CONFIG_PROC_CHILDREN: by the ppid column of every /proc/PID/stat. */
describe.each([["tree", true], ["tree, found by parent", false]] as const)("%s", (_, childrenFiles) => {
  const { get, restart } = withServer({ childrenFiles })

  it("the server says how it finds children", () => {
    expect(get().features.childrenFiles).toBe(childrenFiles)
  })

  it("1: ends politely without waiting out the grace period", async () => {
    const t = tag()
    const r = await sh(get(), `sleep ${t} & exec sleep ${t}`, { graceMs: 5000 })
    await alive(t, 2)
    expect(await release(r, 5000)).toBeLessThan(slack)
    expect(await exitOf(r)).toEqual(killed("SIGTERM"))
    expect(having(t)).toEqual([])
  })

  it("2: a member that ignores TERM is killed after the grace period", async () => {
    const t = tag()
    const r = await sh(get(), `(trap "" TERM; echo ready; exec sleep ${t}) & exec sleep ${t}`)
    await until("ready", () => r.output() === "ready\n")
    await until("both are sleep", () => having(`sleep\0${t}`).length === 2)
    const took = await release(r)
    expect(took).toBeGreaterThanOrEqual(grace - 5)
    expect(took).toBeLessThan(grace + slack)
    expect(await exitOf(r)).toEqual(killed("SIGTERM"))
  })

  it("3: a leader that ignores TERM is killed", async () => {
    const t = tag()
    const r = await sh(get(), `trap "" TERM; echo ready; while :; do sleep 1; done # ${t}`)
    await until("ready", () => r.output() === "ready\n")
    const took = await release(r)
    expect(took).toBeGreaterThanOrEqual(grace - 5)
    expect(took).toBeLessThan(grace + slack)
    expect(await exitOf(r)).toEqual(killed("SIGKILL"))
  })

  it("4: an escapee by setsid is found and ended", async () => {
    const t = tag()
    const r = await sh(get(), `(setsid sleep ${t} &); sleep ${t}`)
    await alive(t, 3)
    expect(await release(r)).toBeLessThan(grace + slack)
    expect(having(t)).toEqual([])
  })

  for (
    const [n, line] of [[5, "setsid sleep T & exit 0"], [6, "nohup sleep T >/dev/null 2>&1 & exit 0"], [
      7,
      `${fixture("daemon")} T`
    ]] as const
  ) {
    it(`${n}: what outlives the leader is named and ended`, async () => {
      const t = tag()
      const r = await sh(get(), line.replace("T", t))
      expect(await exitOf(r)).toEqual(exited(0))
      await until("only the survivor", () => having(t).length === 1)
      await release(r)
      expect(having(t)).toEqual([])
      const left = r.events.find((event) => event.type === "left")
      expect(left?.type === "left" && left.processes.map((row) => row.command.includes(t))).toEqual([true])
    })
  }

  it("7b: a process whose main thread has exited, and what its other thread started", async () => {
    const t = tag()
    const r = await run(get(), fixture("threads"), [t])
    await until("the main thread has exited", () => stateOf(r.job.pid) === "Z")
    // Its own command line went with its main thread.
    await until("the other's child sleeps", () => sleeping(t).length === 1)
    expect(isDead(r.job.pid)).toBe(false)
    expect((await r.job.descendants()).map((row) => row.pid).sort(byNumber)).toEqual(
      [r.job.pid, ...having(t)].sort(byNumber)
    )
    await release(r)
    expect(having(t)).toEqual([])
  })

  it("8: a tree of 31 processes", async () => {
    const t = tag()
    const script = `n() { if [ $1 -gt 0 ]; then n $(($1-1)) & n $(($1-1)) & wait; else exec sleep ${t}; fi; }; n 4`
    const r = await sh(get(), script)
    await until("16 leaves", () => having(t).length >= 31)
    expect(await release(r, 5000)).toBeLessThan(slack)
    expect(having(t)).toEqual([])
  })

  for (const kind of ["", "setsid"]) {
    it.runIf(isRoot)(`9: a fork bomb ${kind}`, async () => {
      const t = tag()
      const uid = 54_000 + (process.pid % 1000)
      const r = await run(get(), fixture("bomb"), kind === "" ? [t] : [t, kind], {
        user: { uid, gid: uid },
        limits: [{ resource: "processes", soft: 200, hard: 200 }],
        stdout: "ignore",
        stderr: "ignore"
      })
      await until("many", () => having(t).length > 150, 40_000)
      const took = await release(r)
      expect(having(t)).toEqual([])
      expect(took).toBeGreaterThanOrEqual(grace - 5)
      expect(took).toBeLessThan(grace + (kind === "" ? 100 : 500) + slack)
    }, 60_000)
  }

  it("10: the leader killed from outside while a grandchild lives", async () => {
    const t = tag()
    const r = await sh(get(), `sh -c 'sleep ${t}; :' ; :`)
    await until("grandchild", () => having(t).length === 3)
    process.kill(r.job.pid, "SIGKILL")
    expect(await exitOf(r)).toEqual(killed("SIGKILL"))
    // The leader's zombie holds the group's number until the job is empty.
    expect(isDead(r.job.pid)).toBe(true)
    expect((await r.job.descendants()).filter((row) => row.command.includes(t)).length).toBe(2)
    await release(r)
    expect(having(t)).toEqual([])
  })

  it("11: a stopped leader dies of TERM", async () => {
    const t = tag()
    const r = await sh(get(), `kill -STOP $$; sleep ${t}`, { graceMs: 5000 })
    await until("stopped", () => r.events.some((event) => event.type === "stopped"))
    expect(await release(r, 5000)).toBeLessThan(slack)
    expect(await exitOf(r)).toEqual(killed("SIGTERM"))
  })

  it("12: kill 0 reaches the job only", async () => {
    const r = await sh(get(), "kill -KILL 0")
    expect(await exitOf(r)).toEqual(killed("SIGKILL"))
    expect(await r.job.empty()).toBe(true)
    await r.ended
    expect((await exitOf(await sh(get(), "exit 3"))) as object).toEqual(exited(3))
  })

  it("12: a supervisor that is killed by its job: all of it ends, and the owner is told", async () => {
    const t = tag()
    const script = `(setsid sleep ${t} &); (trap "" TERM; sleep ${t}) & read -r _; kill -KILL $PPID; sleep ${t}`
    const r = await sh(get(), script, { stdin: "pipe" })
    await until("both sleep", () => sleeping(t).length === 2)
    // Once the owner knows the job: what is lost before is a failed spawn, not an ended job.
    r.job.writable(0).on("error", () => {}).end("now\n")
    await expect(r.job.exited()).rejects.toMatchObject({ name: "ServerLost", what: "supervisor" })
    expect(await r.job.empty()).toBe(true)
    expect(having(t)).toEqual([])
    await r.ended
    expect(await exitOf(await sh(get(), "exit 4"))).toEqual(exited(4))
  })

  it("12: a stopped supervisor goes on, and so do deadlines", async () => {
    const t = tag()
    const began = performance.now()
    const script = `sleep ${t} & read -r _; kill -STOP $PPID; exec sleep ${t}`
    const r = await sh(get(), script, { stdin: "pipe", deadlineMs: 1500 })
    // Not before it has said that the job runs: that would be told late.
    r.job.writable(0).end("now\n")
    await alive(t, 2)
    expect(await r.job.empty()).toBe(true)
    expect(performance.now() - began).toBeLessThan(1500 + killBound + slack)
    expect(r.events.some((event) => event.type === "deadline")).toBe(true)
    await r.ended
  })

  it("12: the server killed with 50 jobs that ignore TERM takes them along", async () => {
    const t = tag()
    const all = await Promise.all(
      Array.from({ length: 50 }, () => sh(get(), `trap "" TERM; echo; while :; do sleep ${t}; done`))
    )
    await until("all ready", () => all.every((r) => r.output() === "\n"), 20_000)
    const began = performance.now()
    process.kill(get().pid, "SIGKILL")
    await Promise.all(all.map((r) => expect(r.job.exited()).rejects.toMatchObject({ what: "server" })))
    expect(await Promise.all(all.map((r) => r.job.empty()))).toEqual(all.map(() => true))
    expect(performance.now() - began).toBeLessThan(grace + 2 * slack)
    expect(having(t)).toEqual([])
    await Promise.all(all.map((r) => r.ended))
    await restart()
    expect(await exitOf(await sh(get(), "exit 5"))).toEqual(exited(5))
  })

  it("12: server and supervisor killed together leave nothing", async () => {
    const t = tag()
    const r = await sh(get(), `setsid sleep ${t} & (trap "" TERM; exec sleep ${t}) & exec sleep ${t}`)
    await alive(t, 3)
    // Stopped first, so that it cannot see the supervisor's end.
    process.kill(get().pid, "SIGSTOP")
    process.kill(r.job.supervisorPid, "SIGKILL")
    process.kill(get().pid, "SIGKILL")
    expect(await r.job.empty()).toBe(true)
    expect(having(t)).toEqual([])
    await r.ended
    await restart()
  })

  it("12: two layers in one owner, one of which is lost with its supervisor", async () => {
    const [t, u, v] = [tag(), tag(), tag()]
    const marks = (word: string): ReadonlyArray<string> =>
      having(word).map((pid) =>
        /EFFECT_PROCESS_OWNER=([^\0]*)/.exec(fs.readFileSync(`/proc/${pid}/environ`, "latin1"))?.[1] ?? ""
      )
    const other = await SpawnServer.start()
    const theirs = await sh(other, `setsid sleep ${u} & exec sleep ${u}`)
    const ours = await sh(get(), `setsid sleep ${t} & exec sleep ${t}`)
    await alive(`sleep\0${u}`, 2)
    await alive(`sleep\0${t}`, 2)
    const [mark = ""] = marks(t)
    expect(mark).toMatch(new RegExp(`^${process.pid}:\\d+:[-0-9a-f]*:\\d+:[-0-9a-f]{36}$`))
    expect(marks(u)[0]!.split(":").slice(0, 4)).toEqual(mark.split(":").slice(0, 4))
    // A layer without supervisors: what left its group has nobody above it, and the same owner's mark.
    childProcess.spawnSync("sh", ["-c", `setsid sleep ${v} & exit`], {
      env: { ...process.env, EFFECT_PROCESS_OWNER: mark.replace(/[^:]*$/, "another") },
      stdio: "ignore"
    })
    await alive(`sleep\0${v}`)
    process.kill(get().pid, "SIGSTOP")
    process.kill(ours.job.supervisorPid, "SIGKILL")
    process.kill(get().pid, "SIGKILL")
    expect(await ours.job.empty()).toBe(true)
    expect([t, u, v].map((word) => having(`sleep\0${word}`).length)).toEqual([0, 2, 1])
    for (const pid of having(v)) process.kill(pid, "SIGKILL")
    await until("the escapee is gone", () => having(v).length === 0)
    await ours.ended
    await release(theirs)
    await other.close()
    await restart()
  })

  it("12: a stopped server is found out and its jobs end", async () => {
    const t = tag()
    const r = await sh(get(), `sleep ${t} & exec sleep ${t}`)
    await alive(t, 2)
    process.kill(get().pid, "SIGSTOP")
    expect(await r.job.empty()).toBe(true)
    expect(get().lost?.message).toMatch(/did not answer/)
    expect(having(t)).toEqual([])
    await r.ended
    await restart()
  })

  it("14: a sibling of the owner is never touched", async () => {
    const t = tag()
    const sibling = childProcess.spawn("sleep", [t], { stdio: "ignore" })
    const r = await sh(get(), `(setsid sleep 1${t} &); sleep 1${t}`)
    await alive(`1${t}`, 3)
    await release(r, 0)
    expect(isDead(sibling.pid!)).toBe(false)
    expect(childrenOf(process.pid)).toContain(sibling.pid)
    sibling.kill("SIGKILL")
    await until("sibling gone", () => isDead(sibling.pid!))
  })
})
