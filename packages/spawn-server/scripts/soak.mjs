// Spawns, signals and interrupts at random, 50 at once, for the seconds given (default 1200); then looks for what is left:
// processes, descriptors, growth of memory in server and owner. Needs the built client.
import { readdirSync, readFileSync } from "node:fs"
import { command, SpawnServer } from "../dist/index.js"

const seconds = Number(process.argv[2] ?? 1200)
const server = await SpawnServer.start()
const env = server.encodeEnvironment(process.env)
const mark = `${process.pid}.777`
const scripts = [
  "exit 3",
  "echo out; echo err >&2",
  `sleep 9${mark} & exec sleep 9${mark}`,
  `(setsid sleep 9${mark} &); exec sleep 9${mark}`,
  `setsid sleep 9${mark} & exit 0`,
  `trap "" TERM; sleep 9${mark}; :`,
  `kill -STOP $$; sleep 9${mark}`,
  `sh -c 'sh -c "sleep 9${mark}; :" & sleep 9${mark}' & wait`
]
const pick = (n) => Math.floor(Math.random() * n)
const rss = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))[1])
const open = (pid) => readdirSync(`/proc/${pid}/fd`).length
const until = performance.now() + seconds * 1000
let runs = 0
const failures = []
const one = async () => {
  // One pipe for all that is shown; whoever drops it hangs the terminal up.
  const terminal = pick(4) === 0 ? { terminal: {}, stdin: "ignore" } : {}
  const job = await server.spawn(
    command("sh", ["-c", scripts[pick(scripts.length)]], {
      env,
      graceMs: pick(200),
      ...terminal,
      ...(pick(3) === 0 ? { deadlineMs: 1 + pick(100) } : {})
    })
  )
  for (const pipe of "terminal" in terminal ? [0] : [0, 1]) {
    if (pick(4) > 0) job.readable(pipe).resume().on("error", () => {})
  }
  await new Promise((resolve) => setTimeout(resolve, pick(60)))
  if (pick(3) === 0) await job.signal([1, 2, 10, 18][pick(4)], pick(2) === 0 ? "group" : "leader").catch(() => {})
  if (pick(4) === 0) await job.descendants().catch(() => {})
  if (pick(4) === 0) await job.resize(1 + pick(200), 1 + pick(200)).catch(() => {})
  if (pick(200) === 0) {
    try {
      process.kill(job.supervisorPid, "SIGKILL")
    } catch { /* It is over already. */ }
  }
  if (pick(5) === 0) job.kill()
  else job.terminate()
  if (!(await job.empty())) failures.push(job.id)
  job.close()
  runs++
}
const worker = async () => {
  while (performance.now() < until) await one()
}
await Promise.all(Array.from({ length: 10 }, one))
const before = [open("self"), open(server.pid), rss(server.pid), rss("self")]
await Promise.all(Array.from({ length: 50 }, worker))
await new Promise((resolve) => setTimeout(resolve, 1000))
const after = [open("self"), open(server.pid), rss(server.pid), rss("self")]
const left = readdirSync("/proc").filter((name) => {
  try {
    return /^\d+$/.test(name) && Number(name) !== process.pid &&
      readFileSync(`/proc/${name}/cmdline`, "latin1").includes(mark)
  } catch {
    return false
  }
})
console.log(
  JSON.stringify({ runs, failures: failures.length, left: left.length, lost: server.lost?.message, before, after })
)
await server.close()
process.exitCode = failures.length + left.length === 0 && after[0] <= before[0] + 2 && after[1] <= before[1] ? 0 : 1
