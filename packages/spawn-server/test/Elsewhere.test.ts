import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Worker } from "node:worker_threads"
import { describe, expect, it } from "vitest"
import { defaultBinary } from "../src/index.ts"
import { alive, exitOf, having, isRoot, killed, release, root, run, tag, until, withServer } from "./support.ts"

const { get } = withServer()
const client = path.join(root, "dist/index.js")

describe("elsewhere", () => {
  it("19: a worker_thread that is terminated takes its own jobs only", async () => {
    const [t, u] = [tag(), tag()]
    const r = await run(get(), "sleep", [u])
    const code = `import(${JSON.stringify(client)}).then(async ({ SpawnServer, command }) => {
      const server = await SpawnServer.start()
      await server.spawn(command("sleep", [${JSON.stringify(t)}], { graceMs: 300, stdout: "ignore", stderr: "ignore" }))
      require("node:worker_threads").parentPort.postMessage("ready")
    })`
    const worker = new Worker(code, { eval: true })
    await new Promise((resolve) => worker.once("message", resolve))
    await alive(t)
    await worker.terminate()
    await until("the worker's job is gone", () => having(t).length === 0)
    expect(having(u).length).toBe(1)
    await release(r)
    expect(await exitOf(r)).toEqual(killed("SIGTERM"))
  })

  it("a worker_thread that does not track descriptors closes none of ours when it ends", async () => {
    const code = `import(${JSON.stringify(client)}).then(async ({ SpawnServer, command }) => {
      const { parentPort } = require("node:worker_threads")
      const server = await SpawnServer.start()
      const job = await server.spawn(command("sh", ["-c", "sleep 0.1; echo hi"]))
      const read = [0, 1].map((n) => new Promise((resolve) => job.readable(n).on("close", resolve).resume()))
      await Promise.all([job.empty(), ...read])
      parentPort.once("message", () => server.close())
      parentPort.postMessage("ran")
    })`
    const worker = new Worker(code, { eval: true, trackUnmanagedFds: false })
    await new Promise((resolve) => worker.once("message", resolve))
    // They get the numbers that the pipes of the job had.
    const ours = Array.from({ length: 20 }, () => fs.openSync("/dev/null", "r"))
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has none, windows have
    worker.postMessage("end")
    await new Promise((resolve) => worker.once("exit", resolve))
    expect(() => ours.forEach((fd) => fs.closeSync(fd))).not.toThrow()
  })

  it.runIf(isRoot)("as a user without privileges", () => {
    const script = `
      import { SpawnServer, command } from ${JSON.stringify(client)}
      const server = await SpawnServer.start()
      const job = await server.spawn(command("sh", ["-c", "setsid sleep 300 & (setsid sh -c 'sleep 300' &); id -u"], { graceMs: 300 }))
      let text = ""
      const ended = new Promise((resolve) => job.readable(0).on("data", (chunk) => (text += chunk)).on("close", resolve))
      job.close()
      await job.exited()
      job.terminate()
      const empty = await job.empty()
      // The end of the pipe and the word of the server come in any order.
      await ended
      console.log(JSON.stringify([text.trim(), empty]))
      await server.spawn(command("true", [], { user: { uid: 0, gid: 0 } })).catch((error) => console.log(error.step, error.code))
      await server.close()`
    const result = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
      uid: 65534,
      gid: 65534,
      cwd: "/",
      encoding: "utf8"
    })
    expect(result.stdout).toBe(`["65534",true]\nuser EPERM\n`)
  })

  it.runIf(isRoot)("with /proc mounted hidepid=2, without privileges", () => {
    const script = `
      import { SpawnServer, command } from ${JSON.stringify(client)}
      const server = await SpawnServer.start()
      const job = await server.spawn(command("sh", ["-c", "setsid sleep 300 & exec sleep 300"], { graceMs: 300, stdout: "ignore", stderr: "ignore" }))
      job.terminate()
      console.log(await job.empty())
      await server.close()`
    // A mount namespace of its own, so that nobody else's /proc changes.
    const result = spawnSync("unshare", [
      "-m",
      "sh",
      "-c",
      "mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$0\" --input-type=module -e \"$1\"",
      process.execPath,
      script
    ], { cwd: "/", encoding: "utf8" })
    expect(result.stdout).toBe("true\n")
  })

  it.runIf(isRoot)("a server whose descriptors are closed to its owner", () => {
    const script = `
      import { readdirSync } from "node:fs"
      import { SpawnServer, command } from ${JSON.stringify(client)}
      const [binary] = process.argv.slice(1)
      await SpawnServer.start({ binary, pipes: "proc" }).catch((error) => console.log(error.name, /EACCES/.test(error.message)))
      const server = await SpawnServer.start({ binary })
      const job = await server.spawn(command("cat", [], { stdin: "pipe" }))
      job.writable(0).end("through a FIFO")
      const text = (await job.readable(1).toArray()).join("")
      job.close()
      await job.empty()
      console.log(text)
      await server.close()
      console.log(readdirSync(process.env.TMPDIR).length)
      process.env.TMPDIR = "/proc"
      await SpawnServer.start({ binary }).catch((error) => console.log(error.name, /EACCES.*no directory for FIFOs/.test(error.message)))`
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "ep-"))
    fs.chmodSync(directory, 0o777)
    // A program that may be run and not be read makes a process that others cannot look into; see PR_SET_DUMPABLE.
    const binary = `${directory}.server`
    fs.copyFileSync(process.env["SPAWN_SERVER_BINARY"] ?? defaultBinary(), binary)
    fs.chmodSync(binary, 0o711)
    const result = spawnSync(process.execPath, ["--input-type=module", "-e", script, binary], {
      uid: 65534,
      gid: 65534,
      cwd: "/",
      env: { ...process.env, TMPDIR: directory },
      encoding: "utf8"
    })
    fs.rmSync(binary)
    fs.rmSync(directory, { recursive: true })
    expect(result.stdout).toBe("Unavailable true\nthrough a FIFO\n0\nUnavailable true\n")
  })

  it.runIf(isRoot)("as PID 1 of a namespace", () => {
    const script = `
      import * as fs from "node:fs"
      import { SpawnServer, command } from ${JSON.stringify(client)}
      const server = await SpawnServer.start()
      const job = await server.spawn(command("sh", ["-c", "setsid sleep 300 & exec sleep 300"], { graceMs: 300, stdout: "ignore", stderr: "ignore" }))
      job.terminate()
      console.log(process.pid, await job.empty())
      const other = await server.spawn(command("sh", ["-c", "setsid sleep 300 & exec sleep 300"], { graceMs: 300, stdout: "ignore", stderr: "ignore" }))
      process.kill(server.pid, "SIGKILL")
      console.log(await other.empty())
      const last = await SpawnServer.start({ cgroup: false })
      const left = await last.spawn(command("sh", ["-c", "setsid sleep 301 & exec sleep 301"], { stdout: "ignore", stderr: "ignore" }))
      const living = () => fs.readdirSync("/proc").filter((pid) => /^\\d+$/.test(pid) &&
        fs.readFileSync("/proc/" + pid + "/cmdline", "latin1") === "sleep\\0" + "301\\0")
      while (living().length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
      // It must not hear of the supervisor's end: both are killed at once, and what they leave comes to us.
      process.kill(last.pid, "SIGSTOP")
      process.kill(left.supervisorPid, "SIGKILL")
      process.kill(last.pid, "SIGKILL")
      console.log(await left.empty(), living().length)`
    const result = spawnSync("unshare", [
      "--pid",
      "--fork",
      "--mount-proc",
      process.execPath,
      "--input-type=module",
      "-e",
      script
    ], { cwd: "/", encoding: "utf8" })
    expect(result.stdout).toBe("1 true\ntrue\ntrue 0\n")
  })

  it.runIf(isRoot)("13: a descendant that may not be signalled is reported within the bound", () => {
    const script = `
      import { SpawnServer, command } from ${JSON.stringify(client)}
      const server = await SpawnServer.start()
      const job = await server.spawn(command(process.argv[1], [], { graceMs: 300, stdout: "ignore", stderr: "ignore" }))
      await job.exited()
      const began = performance.now()
      let rows
      job.listen((event) => event.type === "unkillable" && (rows = event.processes))
      job.terminate()
      const empty = await job.empty()
      console.log(empty, performance.now() - began < 300 + 1000 + 1500, rows.length, rows[0].denied)
      await server.close()`
    // A program that is another user's by its set-user-ID bit, and outlives its parent.
    const file = path.join(root, "build", "fixtures", "suid")
    spawnSync("cp", [path.join(root, "build", "fixtures", "daemon"), file])
    spawnSync("chown", ["root", file])
    spawnSync("chmod", ["4755", file])
    const result = spawnSync(process.execPath, ["--input-type=module", "-e", script, file], {
      uid: 65534,
      gid: 65534,
      cwd: "/",
      encoding: "utf8"
    })
    spawnSync("rm", [file])
    for (const pid of having(file)) process.kill(pid, "SIGKILL")
    expect(result.stdout).toBe("false true 1 true\n")
  })
})
