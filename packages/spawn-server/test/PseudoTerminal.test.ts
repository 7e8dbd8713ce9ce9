import * as fs from "node:fs"
import { afterEach, describe, expect, it } from "vitest"
import { command, type CommandOptions, InvalidRequest, type Job, type SpawnRequest } from "../src/index.ts"
import { Session } from "./session.ts"
import {
  childrenOf,
  exited,
  grace,
  having,
  isDead,
  isRoot,
  killed,
  makeFifo,
  owner,
  signal,
  slack,
  stateOf,
  tag,
  until,
  withServer
} from "./support.ts"

const onTerminal = (script: string, options: CommandOptions = {}): SpawnRequest =>
  command("sh", ["-c", script], { terminal: {}, graceMs: grace, ...options })

/** Clock ticks that it has used. */
const ticks = (pid: number): number => {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1")
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return Number(fields[11]) + Number(fields[12])
}

/** Waiting for something costs it nothing. */
const rests = async (pid: number): Promise<void> => {
  const before = ticks(pid)
  await new Promise((resolve) => setTimeout(resolve, 500))
  expect(ticks(pid) - before).toBeLessThanOrEqual(2)
}

const lastSeen = new Map<number, string>()

/**
 * `head -c SIZE` waits for room: not one call of it has succeeded since it was last asked, and neither it nor the relay has anything to
 * do. One that is only held would be R, or T.
 */
const isStill = ({ pid, supervisorPid }: Job, size: number): boolean => {
  try {
    const calls = fs.readFileSync(`/proc/${pid}/io`, "latin1")
    const isSame = lastSeen.get(pid) === calls
    lastSeen.set(pid, calls)
    return isSame && stateOf(pid) === "S" && stateOf(supervisorPid) === "S" &&
      fs.readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(`head\x00-c\x00${size}\x00`)
  } catch {
    return false
  }
}

describe.each(["proc", "fifo"] as const)("a pseudo-terminal, our ends opened by way of %s", (pipes) => {
  const { get } = withServer({ pipes })
  const sessions: Array<Session> = []
  afterEach(async () => {
    for (const session of sessions.splice(0)) await session.release(0)
  })
  const start = async (script: string, options?: CommandOptions): Promise<Session> => {
    const session = await Session.start(get(), onTerminal(script, options))
    sessions.push(session)
    return session.read()
  }

  it("is what 0, 1 and 2 are, 80 x 24, the job's own, with the job in the foreground", async () => {
    const s = await start("tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo three; stty -a; exit 7")
    s.endInput()
    expect(await s.exit()).toEqual(exited(7))
    expect(s.text).toMatch(/^\/dev\/pts\/\d+\r\n24 80\r\nthree\r\n/)
    expect(s.text).toMatch(/ icanon/)
    expect(s.text).toMatch(/ iutf8/)
    const ids = await start(`cat /proc/$$/stat`, { terminal: { columns: 132, rows: 50 } })
    ids.endInput()
    await ids.exit()
    const [, , , ppid, pgid, sid, , tpgid] = ids.text.replace("(sh)", "sh").split(" ").map(Number)
    expect([ppid, pgid, sid, tpgid]).toEqual([ids.job.supervisorPid, ids.job.pid, ids.job.supervisorPid, ids.job.pid])
  })

  it("has the size that was asked for, and another one when it is resized", async () => {
    const s = await start(`trap 'stty size; exit 3' WINCH; stty size; while :; do sleep 0.01; done`, {
      terminal: { columns: 132, rows: 50 }
    })
    await s.says("50 132")
    await s.job.resize(65535, 1)
    expect(await s.exit()).toEqual(exited(3))
    expect(s.text).toBe("50 132\r\n1 65535\r\n")
  })

  it("refuses a size that is none, a job without one, and a job that is over", async () => {
    const s = await start("cat")
    for (const [columns, rows] of [[0, 24], [80, 0], [65536, 24], [80.5, 24], [80, NaN]] as const) {
      await expect(s.job.resize(columns, rows)).rejects.toBeInstanceOf(InvalidRequest)
      await expect(get().spawn(onTerminal("exit", { terminal: { columns, rows } }))).rejects.toBeInstanceOf(
        InvalidRequest
      )
    }
    s.endInput()
    await s.exit()
    await s.job.empty()
    await expect(s.job.resize(80, 24)).rejects.toMatchObject({ request: "resize", code: "ESRCH" })
    const plain = await get().spawn(command("sleep", ["10"], { stdout: "ignore", stderr: "ignore" }))
    await expect(plain.resize(80, 24)).rejects.toMatchObject({ request: "resize", code: "ENOTTY" })
    plain.kill()
    await plain.empty()
  })

  it("refuses requests that make no sense", async () => {
    const stage = { file: "true", redirects: [{ fd: 0, kind: "terminal" }] } as const
    const bad: ReadonlyArray<SpawnRequest> = [
      { stages: [stage] },
      { stages: [stage], terminal: {}, foreground: true },
      { stages: [stage], terminal: { input: 0 } },
      { stages: [stage], terminal: { output: 0 }, pipes: [{ owner: "writes" }] },
      { stages: [stage], terminal: { input: 0 }, pipes: [{ owner: "none" }] },
      {
        stages: [{ ...stage, redirects: [{ fd: 0, kind: "read", pipe: 0 }] }],
        terminal: { input: 0 },
        pipes: [{ owner: "writes" }]
      }
    ]
    for (const request of bad) await expect(get().spawn(request)).rejects.toBeInstanceOf(InvalidRequest)
  })

  it("is there for every stage of a pipeline, and for descriptors that are named anew", async () => {
    const t = tag()
    const request: SpawnRequest = {
      stages: [
        {
          file: "sh",
          args: ["-c", "read a; echo $a; echo first >&2"],
          redirects: [{ fd: 0, kind: "terminal" }, { fd: 1, kind: "write", pipe: 2 }, { fd: 2, kind: "terminal" }]
        },
        {
          file: "sh",
          args: ["-c", "read a; read b < /dev/tty; echo $a $b; ps -o pgid= -p $$; exec sleep 0.1"],
          redirects: [
            { fd: 0, kind: "read", pipe: 2 },
            { fd: 1, kind: "terminal" },
            { fd: 7, kind: "terminal" },
            { fd: 2, kind: "dup", of: 7 }
          ]
        },
        { file: "sleep", args: [t], redirects: [{ fd: 0, kind: "null" }, { fd: 1, kind: "terminal" }] }
      ],
      pipes: [{ owner: "writes" }, { owner: "reads" }, { owner: "none" }],
      terminal: { input: 0, output: 1 },
      graceMs: grace
    }
    const session = await Session.start(get(), request)
    sessions.push(session)
    session.read()
    session.type("x\n")
    await session.says("first")
    session.type("y\n")
    await session.says(`x y\r\n`)
    await session.says(String(session.job.pid))
    await until("the first stage has ended", () => session.job.exits[0] !== undefined)
    session.type("\x03")
    expect(await session.exit()).toEqual(exited(0))
    expect(session.job.exits[2]?.exit).toEqual(killed("SIGINT"))
    expect(session.events.some((event) => event.type === "stopped")).toBe(false)
  })

  it("Ctrl-C, Ctrl-\\ and Ctrl-Z signal the foreground", async () => {
    for (const [key, name] of [["\x03", "SIGINT"], ["\x1c", "SIGQUIT"]] as const) {
      const s = await start("ulimit -c 0; echo ready; exec sleep 100")
      await s.says("ready")
      s.type(key)
      expect(await s.exit()).toEqual(killed(name))
    }
    // Not in a loop of programs: a shell that waits for a vfork(2) whose child is stopped is not stopped itself. Not in a read
    // either: SIGCONT just before it would be acted on only after it.
    const s = await start("trap 'kill $!; echo again; exit 4' CONT; sleep 100 & echo ready; wait")
    await s.says("ready")
    s.type("\x1a")
    await until("it has stopped", () => s.events.some((event) => event.type === "stopped"))
    expect(s.events.find((event) => event.type === "stopped")).toMatchObject({
      signal: signal("SIGTSTP"),
      terminal: false
    })
    await s.job.signal(signal("SIGCONT"))
    expect(await s.exit()).toEqual(exited(4))
    expect(s.text).toContain("again")
  })

  it("the end of the input is Ctrl-D, at the beginning of a line, in one, and on a raw terminal", async () => {
    const lines = await start("cat; echo end")
    lines.type("one\n")
    lines.endInput()
    expect(await lines.exit()).toEqual(exited(0))
    expect(lines.text).toBe("one\r\none\r\nend\r\n")
    const partial = await start("cat; echo end")
    partial.type("one")
    partial.endInput()
    expect(await partial.exit()).toEqual(exited(0))
    expect(partial.text).toBe("oneoneend\r\n")
    const own = await start("stty eof ^A; echo ready; cat; echo end")
    await own.says("ready")
    own.type("\x04x")
    own.endInput()
    await own.exit()
    expect(own.text.endsWith("\x04xend\r\n")).toBe(true)
    const raw = await start("stty raw -echo; echo ready; exec head -c 3 | od -An -tx1")
    await raw.says("ready")
    raw.type("ab")
    raw.endInput()
    await raw.exit()
    expect(raw.text).toContain("61 62 04")
    const none = await start("cat; echo end", { stdin: "ignore" })
    expect(await none.exit()).toEqual(exited(0))
    expect(none.text).toBe("end\r\n")
  })

  it("delivers every byte, in order, also to a reader that comes when it is over", async () => {
    const s = await start("seq 100000; stty -onlcr; head -c 1048576 /dev/zero | tr '\\0' x; exit 5")
    s.endInput()
    expect(await s.exit()).toEqual(exited(5))
    const numbers = Array.from({ length: 100_000 }, (_, i) => `${i + 1}\r\n`).join("")
    expect(s.text === numbers + "x".repeat(1048576)).toBe(true)
  })

  it("what its pipe, the relay and the terminal hold is there when the job has gone", async () => {
    let withoutReader = 0
    for (let size = 56 * 1024; size <= 104 * 1024; size += 4 * 1024) {
      const session = await Session.start(get(), onTerminal(`stty -onlcr; exec head -c ${size} /dev/zero`))
      sessions.push(session)
      const ended = () => session.job.isEmpty
      await until("it has ended, or waits for its reader", () => ended() || isStill(session.job, size))
      if (ended()) withoutReader = size
      session.read()
      expect(await session.exit()).toEqual(exited(0))
      expect(session.bytes.length).toBe(size)
    }
    // More than the pipe held before it was made larger.
    expect(withoutReader).toBeGreaterThan(64 * 1024)
  })

  it("output that nobody reads stops the job, and costs nothing", async () => {
    const session = await Session.start(get(), onTerminal("stty -onlcr; exec head -c 10000000 /dev/zero"))
    sessions.push(session)
    const { supervisorPid } = session.job
    await until("it waits", () => isStill(session.job, 10_000_000))
    await rests(supervisorPid)
    session.read()
    expect(await session.exit()).toEqual(exited(0))
    expect(session.bytes.length).toBe(10_000_000)
  })

  it("a terminal that all have closed, with an output that nobody reads, costs nothing", async () => {
    const t = tag()
    const request = onTerminal(`stty -onlcr; (sleep ${t} <&- >&- 2>&- &); head -c 11000 /dev/zero`)
    // One page: what does not fit in it is with the relay and in the terminal.
    const session = await Session.start(get(), {
      ...request,
      pipes: [{ owner: "writes" }, { owner: "reads", size: 4096 }]
    })
    sessions.push(session)
    await session.job.exited()
    await until("it sleeps", () => having(`sleep\0${t}`).length === 1)
    await rests(session.job.supervisorPid)
    session.read()
    // The sleep does not hold it.
    expect(await session.exit()).toEqual(exited(0))
    expect(session.bytes.length).toBe(11_000)
    expect(having(t).length).toBe(1)
  })

  it("input that nobody reads waits, costs nothing, and arrives in full", async () => {
    const { directory, fifo: go } = makeFifo()
    const s = await start(`stty raw -echo; echo ready; read _ < ${go}; head -c 1000000 | md5sum`)
    await s.says("ready")
    s.type(Buffer.alloc(1_000_000, "x"))
    await rests(s.job.supervisorPid)
    fs.writeFileSync(go, "go\n")
    expect(await s.exit()).toEqual(exited(0))
    fs.rmSync(directory, { recursive: true })
    // md5sum of a million x
    expect(s.text).toContain("ec78dbd963d2fc01e51176ed4dec299e")
  })

  it("a terminal that its program closes is there when it is opened again", async () => {
    const s = await start("exec <&- >&- 2>&-; sleep 0.2; { echo who; read a; echo me $a; } < /dev/tty > /dev/tty")
    await s.says("who")
    s.type("x\n")
    expect(await s.exit()).toEqual(exited(0))
    expect(s.text).toContain("me x")
  })

  it("who holds the terminal in the background does not hold the exit, and is ended", async () => {
    const t = tag()
    const s = await start(`sleep ${t} & echo done`)
    expect((await s.job.exited())[0]?.exit).toEqual(exited(0))
    await s.says("done")
    await until("it sleeps", () => having(`sleep\0${t}`).length === 1)
    expect(await s.release()).toBeLessThan(slack)
    expect(having(t)).toEqual([])
    expect(s.events.some((event) => event.type === "left")).toBe(true)
  })

  it("other groups and sessions of the job are ended with it", async () => {
    const t = tag()
    const s = await start(`set -m; sleep ${t} & setsid sleep ${t} & (setsid setsid sleep ${t} &); sleep ${t}`)
    await until("all sleep", () => having(`sleep\0${t}`).filter((pid) => !isDead(pid)).length === 4)
    expect(await s.release()).toBeLessThan(grace + slack)
    expect(having(t)).toEqual([])
  })

  it("when its reader goes, whoever is in the foreground, and its shell, are hung up", async () => {
    const t = tag()
    const hangUp = async (script: string, ready: () => boolean): Promise<unknown> => {
      const session = await Session.start(get(), onTerminal(script))
      sessions.push(session)
      const output = session.job.readable(1)
      output.resume()
      await until("it is ready", ready)
      output.destroy()
      await until("our end has gone", () => output.closed)
      // The echo is what finds that nobody reads: the first one, unless the server, which may be held, has yet to close its own end.
      const typing = setInterval(() => session.type("y\n"), 20)
      await session.job.exited().finally(() => clearInterval(typing))
      return session.job.exits[0]?.exit
    }
    const sleeps = () => having(`sleep\0${t}`).length === 1
    expect(await hangUp(`trap 'exit 9' HUP; sleep ${t}; exit 3`, sleeps)).toEqual(exited(9))
    expect(having(t)).toEqual([])
    // The sleep is a group of its own, and ignores it; its shell does not.
    expect(await hangUp(`set -m; (trap "" HUP; exec sleep ${t})`, sleeps)).toEqual(killed("SIGHUP"))
    expect(await hangUp(`trap "" HUP; set -m; (trap - HUP; exec sleep ${t})`, () => having(`sleep\0${t}`).length === 2))
      .not.toEqual(killed("SIGHUP"))
    expect(having(t).length).toBe(1)
  })

  it("goes with its supervisor when that is killed, and the job with it", async () => {
    const t = tag()
    const s = await start(`trap "" HUP; setsid sleep ${t} & sleep ${t}`)
    await until("all sleep", () => having(`sleep\0${t}`).length >= 2)
    process.kill(s.job.supervisorPid, "SIGKILL")
    expect(await s.job.empty()).toBe(true)
    expect(s.job.lost?.what).toBe("supervisor")
    expect(having(t)).toEqual([])
  })

  it.runIf(isRoot)("belongs to the user of the job", async () => {
    const s = await start("test -O $(tty) && echo mine; echo named > $(tty); id -u", {
      user: { uid: 64_123, gid: 64_123 }
    })
    s.endInput()
    expect(await s.exit()).toEqual(exited(0))
    expect(s.text).toBe("mine\r\nnamed\r\n64123\r\n")
  })

  it("of a program that is not there fails the spawn", async () => {
    await expect(get().spawn(command("/nonexistent", [], { terminal: {} }))).rejects.toMatchObject({
      step: "exec",
      code: "ENOENT"
    })
  })
})

describe("a pseudo-terminal", () => {
  it("15: whose owner is killed: its job ends, escapees too", async () => {
    const t = tag()
    const script = `sleep ${t} & (setsid sleep ${t} &); sleep ${t}`
    const options = { terminal: {}, stdin: "pipe", stdout: "pipe", stderr: "pipe" }
    const { child, said } = owner("wait", [["sh", ["-c", script], options]])
    await until("ready", () => said().includes("ready"), 15_000)
    await until("all sleep", () => having(`sleep\0${t}`).length === 3)
    child.kill("SIGKILL")
    expect(await until("empty", () => having(t).length === 0)).toBeLessThan(grace + slack)
    const pid = Number(/ready (\d+)/.exec(said())?.[1])
    await until("no supervisor", () => childrenOf(pid).length === 0)
  })
})
