import { describe, expect, it } from "vitest"
import { command, InvalidRequest } from "../src/index.ts"
import {
  alive,
  childrenOf,
  exitOf,
  grace,
  having,
  killed,
  owner,
  release,
  run,
  sh,
  slack,
  tag,
  until,
  withServer
} from "./support.ts"

const { get } = withServer()

const jobs = (t: string): ReadonlyArray<unknown> => [
  ["sh", ["-c", `sleep ${t} & exec sleep ${t}`]],
  ["sh", ["-c", `(setsid sleep ${t} &); exec sleep ${t}`]],
  ["sh", ["-c", `trap "" TERM; sleep ${t} & while :; do sleep ${t}; done`]]
]

const serverGone = (said: string): boolean => {
  const pid = Number(/ready (\d+)/.exec(said)?.[1])
  return pid > 0 && childrenOf(pid).length === 0
}

describe("an owner", () => {
  it("15: that is killed: its jobs end, escapees and the deaf too, and no supervisor is left", async () => {
    const t = tag()
    const { child, said } = owner("wait", jobs(t))
    await until("ready", () => said().includes("ready"), 15_000)
    await until("all sleep", () => having(`sleep\0${t}`).length === 6)
    child.kill("SIGKILL")
    expect(await until("empty", () => having(t).length === 0)).toBeLessThan(grace + slack)
    await until("no supervisor", () => serverGone(said()))
  })

  it("16: of which there are two: the death of one leaves the jobs of the other alone", async () => {
    const [t, u] = [tag(), tag()]
    const a = owner("wait", jobs(t))
    const b = owner("wait", jobs(u))
    await until("ready", () => a.said().includes("ready") && b.said().includes("ready"), 15_000)
    await until("all sleep", () => having(`sleep\0${t}`).length === 6 && having(`sleep\0${u}`).length === 6)
    a.child.kill("SIGKILL")
    await until("empty", () => having(t).length === 0)
    expect(having(`sleep\0${u}`).length).toBe(6)
    b.child.kill("SIGTERM")
    await until("the other too", () => having(u).length === 0)
  })

  it("17: a deadline fires while the event loop is blocked", async () => {
    const t = tag()
    const began = performance.now()
    const { child, said } = owner("block", [["sleep", [t], { deadlineMs: 1500 }]])
    await until("ready", () => having(`sleep\0${t}`).length === 1, 10_000)
    const from = performance.now()
    await until("ended", () => having(`sleep\0${t}`).length === 0)
    expect(performance.now() - from).toBeLessThan(1500 + slack)
    expect(performance.now() - began).toBeGreaterThan(1000)
    expect(said()).not.toContain("empty")
    child.kill("SIGKILL")
    await until("the owner too", () => having(t).length === 0)
  })

  for (
    const [name, mode, end] of [
      ["process.exit", "exit", undefined],
      ["an uncaught exception", "throw", undefined],
      ["SIGTERM", "wait", "SIGTERM"],
      ["SIGHUP", "wait", "SIGHUP"],
      ["SIGINT", "wait", "SIGINT"]
    ] as const
  ) {
    it(`18: that ends by ${name}: its jobs end with it`, async () => {
      const t = tag()
      const { child, said } = owner(mode, jobs(t))
      await until("ready", () => said().includes("ready"), 15_000)
      await until("all sleep", () => having(`sleep\0${t}`).length === 6)
      if (end === undefined) child.stdin!.write("now\n")
      else child.kill(end)
      expect(await until("empty", () => having(t).length === 0)).toBeLessThan(grace + slack + 500)
    })
  }

  it("17: a deadline that passes before the exec is told, of a job that the owner has by then", async () => {
    for (let i = 0; i < 300; i++) {
      const job = await get().spawn(command("sleep", ["100"], { deadlineMs: 1 + (i % 3), graceMs: 200 }))
      const events: Array<string> = []
      job.listen(({ type }) => events.push(type))
      expect(await job.empty()).toBe(true)
      job.close()
      expect(events).toContain("deadline")
    }
  })

  it("20: a deadline that is extended fires at its new time", async () => {
    const t = tag()
    const began = performance.now()
    const r = await run(get(), "sleep", [t], { deadlineMs: 1600 })
    // At once: each is added to the deadline there is, whenever it comes.
    for (let i = 0; i < 5; i++) await r.job.extendDeadline(100)
    await alive(t)
    expect(await exitOf(r)).toEqual(killed("SIGTERM"))
    const took = performance.now() - began
    expect(took).toBeGreaterThanOrEqual(2090)
    expect(took).toBeLessThan(2100 + slack)
    expect(r.events.map((event) => event.type)).toEqual(["deadline", "terminating", "exit", "empty"])
    await r.ended
  })

  it("a deadline that is taken away", async () => {
    const r = await run(get(), "sleep", [tag()], { deadlineMs: 1500 })
    await r.job.extendDeadline(Infinity)
    const began = performance.now()
    await until("the deadline would have passed", () => performance.now() - began > 1800)
    expect(r.job.hasExited).toBe(false)
    await r.job.extendDeadline(1)
    await release(r)
  })

  it("what is no signal and no time is refused, and the server lives on", async () => {
    const r = await run(get(), "sleep", [tag()])
    for (const signo of [-1, 65, 999, 1.5, Number.NaN]) {
      await expect(r.job.signal(signo)).rejects.toBeInstanceOf(InvalidRequest)
      expect(() => r.job.terminate(signo)).toThrow(InvalidRequest)
    }
    for (const ms of [-1, 2 ** 32, Number.NaN]) expect(() => r.job.terminate(15, ms)).toThrow(InvalidRequest)
    await expect(r.job.extendDeadline(Number.NaN)).rejects.toBeInstanceOf(InvalidRequest)
    expect(() => get().terminateId(r.job.id, 65)).toThrow(InvalidRequest)
    await r.job.signal(0)
    expect(get().lost).toBe(undefined)
    expect(r.job.hasExited).toBe(false)
    await release(r)
  })

  it("a request about a job that is over is refused", async () => {
    const r = await sh(get(), "exit 0")
    await r.job.empty()
    await r.ended
    await expect(r.job.signal(15)).rejects.toMatchObject({ code: "ESRCH" })
    expect(await r.job.descendants()).toEqual([])
  })

  it("signals: the group or the leader", async () => {
    const t = tag()
    const r = await sh(
      get(),
      `trap "echo leader" USR1; (trap "echo member; exit" USR1; echo ready; while :; do sleep 0.05; done) & while :; do sleep 0.05; done # ${t}`
    )
    await until("ready", () => r.output().includes("ready"))
    await r.job.signal(10, "leader")
    await until("leader", () => r.output() === "ready\nleader\n")
    await r.job.signal(10)
    await until("both", () => r.output().includes("member") && r.output().split("leader").length === 3)
    expect(r.output()).toContain("leader")
    await release(r)
  })
})
