import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { spawnSync } from "node:child_process"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { command, ownEnvironment, type Redirect, SpawnServer, type SpawnRequest } from "../src/index.ts"
import {
  atRest,
  binary,
  descriptorCount,
  exited,
  exitOf,
  isRoot,
  release,
  run,
  sh,
  signal,
  tag,
  withServer
} from "./support.ts"

const { get } = withServer()

/** Then a dump goes to a program of the system's, and limits do not hold for it (core(5)). */
const dumpsToProgram = fs.readFileSync("/proc/sys/kernel/core_pattern", "latin1").startsWith("|")

let directory = ""
const at = (name: string): string => path.join(directory, name)

beforeAll(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "ep-"))
  fs.chmodSync(directory, 0o755)
  fs.writeFileSync(at("plain"), "not to be run", { mode: 0o644 })
  fs.writeFileSync(at("interpreter"), "#!/nonexistent/interpreter\n", { mode: 0o755 })
  fs.writeFileSync(at("script"), "echo no interpreter line\n", { mode: 0o755 })
  fs.writeFileSync(at("elf"), "\x7fELF and nothing more", { mode: 0o755 })
  fs.symlinkSync("loop", at("loop"))
  fs.mkdirSync(at("bin1/tool"), { recursive: true })
  fs.mkdirSync(at("bin2"))
  fs.mkdirSync(at("bin0"))
  fs.writeFileSync(at("bin0/tool"), "#!/nonexistent/interpreter\n", { mode: 0o755 })
  fs.mkdirSync(at("closed"), { mode: 0o700 })
  fs.writeFileSync(at("bin2/tool"), "#!/bin/sh\necho found\n", { mode: 0o755 })
})
afterAll(() => fs.rmSync(directory, { recursive: true }))

const failure = (file: string, args: ReadonlyArray<string> = [], options = {}): Promise<unknown> =>
  get().spawn(command(file, args, options)).then(() => "started", (error: unknown) => error)

describe("spawn errors", () => {
  it("31: name the step, the errno and the path of each way to fail", async () => {
    expect(await failure("effect-process-no-such-command")).toMatchObject({
      step: "exec",
      code: "ENOENT",
      exists: false
    })
    expect(await failure(at("missing"))).toMatchObject({ step: "exec", code: "ENOENT", exists: false })
    expect(await failure(at("plain"))).toMatchObject({ step: "exec", code: "EACCES" })
    expect(await failure(directory)).toMatchObject({ step: "exec", code: "EACCES" })
    expect(await failure(at("interpreter"))).toMatchObject({
      step: "exec",
      code: "ENOENT",
      exists: true,
      path: at("interpreter")
    })
    expect(await failure(at("script"))).toMatchObject({ step: "exec", code: "ENOEXEC" })
    expect(await failure(at("elf"))).toMatchObject({ step: "exec", code: "ENOEXEC" })
    expect(await failure(at("loop"))).toMatchObject({ step: "exec", code: "ELOOP" })
    expect(await failure("x".repeat(300))).toMatchObject({ step: "exec", code: "ENAMETOOLONG" })
    expect(await failure(`/${"x".repeat(300)}`)).toMatchObject({ step: "exec", code: "ENAMETOOLONG" })
  })

  it("are told as such when it takes long to find out, as on a busy machine", async () => {
    const server = await SpawnServer.start({ ...binary, killBoundMs: 20_000 })
    try {
      // The system's answer to each entry takes about a microsecond.
      const env = { PATH: "x:".repeat(600_000) }
      const began = performance.now()
      await expect(server.spawn(command("effect-process-no-such-command", [], { env }))).rejects.toMatchObject({
        step: "exec",
        code: "ENOENT"
      })
      // Until then it would be taken for one that is kept waiting, by a FIFO say.
      expect(performance.now() - began).toBeGreaterThan(100)
    } finally {
      await server.close()
    }
  })

  it("PATH is walked as execvp(3) does", async () => {
    const PATH = `${at("missing")}:${at("bin1")}:${at("bin2")}`
    const r = await run(get(), "tool", [], { env: { PATH } })
    await exitOf(r)
    await r.ended
    expect(r.output()).toBe("found\n")

    // One whose interpreter is missing does not hide a later one, and is named where there is none.
    const broken = { env: { PATH: `${at("missing")}:${at("bin0")}` } }
    expect(await failure("tool", [], broken)).toMatchObject({ code: "ENOENT", exists: true, path: at("bin0/tool") })
    const later = await run(get(), "tool", [], { env: { PATH: `${at("bin0")}:${at("bin2")}` } })
    await exitOf(later)
    await later.ended
    expect(later.output()).toBe("found\n")
    // A directory is no program, and the word for it is not "not found".
    expect(await failure("tool", [], { env: { PATH: at("bin1") } })).toMatchObject({ code: "EACCES" })
    // An empty entry is the working directory.
    const here = await run(get(), "tool", [], { env: { PATH: "/nonexistent:" }, cwd: at("bin2") })
    expect(await exitOf(here)).toEqual(exited(0))
    await here.ended
    expect(await failure("script", [], { env: { PATH: directory } })).toMatchObject({
      code: "ENOEXEC",
      path: at("script")
    })
  })

  it("32: a working directory that is missing, or is none, fails at its step", async () => {
    expect(await failure("true", [], { cwd: at("missing") })).toMatchObject({
      step: "chdir",
      code: "ENOENT",
      path: at("missing")
    })
    expect(await failure("true", [], { cwd: at("plain") })).toMatchObject({ step: "chdir", code: "ENOTDIR" })
  })

  it.runIf(isRoot)("32: a working directory that the user may not enter fails at its step", async () => {
    expect(await failure("true", [], { cwd: at("closed"), user: { uid: 65534, gid: 65534 } })).toMatchObject({
      step: "chdir",
      code: "EACCES"
    })
  })

  it("files that cannot be opened", async () => {
    expect(await failure("cat", [], { stdin: { path: at("missing"), mode: "read" } })).toMatchObject({
      step: "open",
      code: "ENOENT",
      path: at("missing")
    })
    expect(await failure("cat", [], { stdout: { path: directory, mode: "write" } })).toMatchObject({
      step: "open",
      code: "EISDIR"
    })
  })

  it("33: what is too long is refused", async () => {
    expect(await failure("true", ["x".repeat(128 * 1024)])).toMatchObject({ step: "exec", code: "E2BIG" })
    expect(await failure("true", Array.from({ length: 80 }, () => "x".repeat(100_000)))).toMatchObject({
      step: "exec",
      code: "E2BIG"
    })
    expect(await failure("true", Array.from({ length: 200 }, () => "x".repeat(100_000)))).toMatchObject({
      step: "exec",
      code: "E2BIG"
    })
    expect(await failure("true", [], { env: { X: "x".repeat(200_000) } })).toMatchObject({
      step: "exec",
      code: "E2BIG"
    })
  })

  it("34: what makes no sense is refused before anything is sent", async () => {
    for (
      const promise of [
        failure(""),
        failure("a\0b"),
        failure("true", ["\0"]),
        failure("true", [], { env: { A: "\0" } }),
        failure("true", [], { cwd: "\0" })
      ]
    ) {
      expect(await promise).toMatchObject({ name: "InvalidRequest" })
    }
  })

  it("34: what would be a malformed frame, which ends the server", async () => {
    const quiet = { stdout: "ignore", stderr: "ignore" } as const
    const stage = (redirect: Redirect) => ({ file: "true", redirects: [redirect] })
    const bad: ReadonlyArray<SpawnRequest> = [
      { stages: [stage({ fd: 1, kind: "write", pipe: 0 })] },
      { stages: [stage({ fd: 1, kind: "write", pipe: 1 })], pipes: [{ owner: "reads" }] },
      { stages: [stage({ fd: 1, kind: "write", pipe: -1 })], pipes: [{ owner: "reads" }] },
      { stages: [stage({ fd: 1, kind: "write", pipe: 0 })], pipes: [{ owner: "writes" }] },
      { stages: [stage({ fd: 0, kind: "read", pipe: 0 })], pipes: [{ owner: "reads" }] },
      command("true", [], { ...quiet, deadlineMs: Number.NaN }),
      command("true", [], { ...quiet, graceMs: 2 ** 32 }),
      command("true", [], { ...quiet, killSignal: 65 })
    ]
    for (const request of bad) {
      expect(await get().spawn(request).catch((error: unknown) => error)).toMatchObject({ name: "InvalidRequest" })
    }
    // By an answer of the server's own. A job that ends by itself would leave a supervisor to the tests that count descriptors.
    await release(await run(get(), "sleep", [tag()]))
  })

  it("35: out of descriptors, and the server serves on", async () => {
    await atRest(get())
    const before = descriptorCount(get().pid)
    const limit = (n: number | string): void => {
      expect(spawnSync("prlimit", ["--pid", String(get().pid), `--nofile=${n}:`]).status).toBe(0)
    }
    limit(before + 3)
    expect(await failure("true")).toMatchObject({ step: "fork", code: "EMFILE" })
    limit(1024)
    expect(descriptorCount(get().pid)).toBe(before)
    const r = await sh(get(), "exit 6")
    expect(await exitOf(r)).toEqual(exited(6))
    await r.ended
  })

  it.runIf(isRoot)("35: a user who may have no more processes is told EAGAIN", async () => {
    const t = tag()
    const user = { uid: 53_000 + (process.pid % 1000), gid: 53_000 }
    const r = await run(get(), "sleep", [t], { user })
    expect(await failure("true", [], { user, limits: [{ resource: "processes", soft: 0, hard: 0 }] })).toMatchObject({
      code: "EAGAIN"
    })
    await release(r)
  })

  it("36: every exit code arrives as it is", async () => {
    for (let base = 0; base < 256; base += 32) {
      const codes = Array.from({ length: 32 }, (_, i) => base + i)
      const seen = await Promise.all(codes.map(async (code) => {
        const job = await get().spawn(command("sh", ["-c", `exit ${code}`], { stdout: "ignore", stderr: "ignore" }))
        return (await job.exited())[0]!.exit
      }))
      expect(seen).toEqual(codes.map((code) => exited(code)))
    }
  })

  it("36: every signal that kills is told as such", async () => {
    const harmless = new Set([
      "SIGCHLD",
      "SIGCONT",
      "SIGSTOP",
      "SIGTSTP",
      "SIGTTIN",
      "SIGTTOU",
      "SIGURG",
      "SIGWINCH",
      "SIGCLD"
    ])
    for (const [name, number] of [...Object.entries(os.constants.signals), ["RT", 64] as const, ["RT", 34] as const]) {
      if (harmless.has(name)) continue
      const job = await get().spawn(command("sh", ["-c", `kill -${number} $$`], { stdout: "ignore", stderr: "ignore" }))
      expect((await job.exited())[0]!.exit).toMatchObject({ kind: "killed", signal: number })
    }
  })

  it.skipIf(dumpsToProgram)("36: a core dump is told", async () => {
    const r = await sh(get(), "kill -QUIT $$", {
      cwd: directory,
      limits: [{ resource: "core", soft: undefined, hard: undefined }]
    })
    expect(await exitOf(r)).toEqual({ kind: "killed", signal: signal("SIGQUIT"), coreDumped: true })
    await r.ended
  })

  it("settings reach the child", async () => {
    const r = await run(get(), "sh", ["-c", "umask; nice; ulimit -n; pwd; echo $0 $X"], {
      umask: 0o27,
      nice: 5,
      cwd: "/usr",
      argv0: "other",
      env: { PATH: process.env["PATH"], X: "€" },
      limits: [{ resource: "openFiles", soft: 77, hard: 99 }]
    })
    await exitOf(r)
    await r.ended
    expect(r.output()).toBe("0027\n5\n77\n/usr\nother €\n")
    if (!isRoot) return
    const u = await run(get(), "id", [], { user: { uid: 12, gid: 34, groups: [56] } })
    await exitOf(u)
    await u.ended
    expect(u.output()).toMatch(/^uid=12\b.* gid=34\b.* groups=34\b.*,56\b/)
  })

  it("the owner's environment is read at each spawn", async () => {
    const name = "EFFECT_PROCESS_TEST_VARIABLE"
    const seen = async (): Promise<string> => {
      const r = await run(get(), "sh", ["-c", `echo "\${${name}-none}"`])
      await r.job.empty()
      await r.ended
      return r.output().trim()
    }
    const values: Array<string> = []
    for (const value of [undefined, "one", "one", "two", "", undefined]) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
      values.push(await seen())
    }
    expect(values).toEqual(["none", "one", "one", "two", "", "none"])
    const before = ownEnvironment()
    expect(before).toEqual({ ...process.env })
    expect(ownEnvironment()).toBe(before)
  })

  it("signal mask and dispositions are default, 1 to 64", async () => {
    const r = await run(get(), "cat", ["/proc/self/status"])
    await exitOf(r)
    await r.ended
    for (const field of ["SigBlk", "SigIgn", "SigCgt"]) expect(r.output()).toMatch(new RegExp(`${field}:\\s0{16}\\n`))
  })

  it("42: a server that cannot be started is Unavailable", async () => {
    await expect(SpawnServer.start({ binary: at("missing") })).rejects.toMatchObject({ name: "Unavailable" })
    await expect(SpawnServer.start({ binary: at("plain") })).rejects.toMatchObject({ name: "Unavailable" })
    await expect(SpawnServer.start({ binary: at("elf") })).rejects.toMatchObject({ name: "Unavailable" })
    await expect(SpawnServer.start({ binary: "/bin/true" })).rejects.toMatchObject({ name: "Unavailable" })
  })
})
