// What a run left behind: processes that are alive, were not there before, and come from the run, by ancestry (below the
// subreaper) or by environment (they carry its mark). Waits a little for what is about to end, prints the rest, ends it.
//
//     node leftovers.mjs before FILE
//     node leftovers.mjs after FILE SUBREAPER_PID MARK
import * as fs from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"

/** How long something may take to end once the run is over, in milliseconds. */
const patience = 10_000

const read = (file) => {
  try {
    return fs.readFileSync(file, "latin1")
  } catch {
    return "" // The process ended meanwhile, or belongs to another user.
  }
}

/** Every living process. A process whose main thread has exited shows Z and lives on in its other threads. */
const table = () =>
  fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    const stat = read(`/proc/${name}/stat`)
    if (stat === "") return []
    const [state, ppid, pgid, sid, ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return [{ pid: Number(name), ppid: Number(ppid), pgid, sid, state, started: rest[15] }]
  })

const key = ({ pid, started }) => `${pid}:${started}`

const commandLine = (pid) =>
  read(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim() || read(`/proc/${pid}/comm`).trim()

const leftovers = (before, reaper, mark) => {
  const rows = table()
  const parent = new Map(rows.map(({ pid, ppid }) => [pid, ppid]))
  const above = function*(pid) {
    for (let at = parent.get(pid); at !== undefined && at > 0; at = parent.get(at)) yield at
  }
  // This script and the shell that runs it are part of the run.
  const own = new Set([process.pid, ...above(process.pid)])
  return rows.filter((row) =>
    !before.has(key(row)) && !own.has(row.pid) &&
    ([...above(row.pid)].includes(reaper) || read(`/proc/${row.pid}/environ`).includes(mark))
  )
}

const [when, file, reaper, mark] = process.argv.slice(2)

if (when === "before") {
  fs.writeFileSync(file, table().map(key).join("\n"))
} else {
  const before = new Set(fs.readFileSync(file, "latin1").split("\n"))
  const find = () => leftovers(before, Number(reaper), mark)
  const until = Date.now() + patience
  let left = find()
  while (left.length > 0 && Date.now() < until) {
    await sleep(100)
    left = find()
  }
  if (left.length > 0) {
    console.error(`${left.length} processes of this run are still alive ${patience / 1000} s after its end:`)
    for (const { pgid, pid, ppid, sid, state } of left) {
      console.error(`  pid ${pid} ppid ${ppid} pgid ${pgid} sid ${sid} ${state} ${commandLine(pid)}`)
    }
    for (let round = 0; left.length > 0 && round < 50; round++) {
      for (const { pid } of left) {
        try {
          process.kill(pid, "SIGKILL")
        } catch {
          // It ended meanwhile.
        }
      }
      await sleep(20)
      left = find()
    }
    process.exit(1)
  }
  console.log("no process of this run is left")
}
