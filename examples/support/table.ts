/**
 * The process table as the system tells it: from /proc, or from ps(1) where there is none (macOS). The examples judge by
 * this and not by the library, which could be wrong about itself.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"

/** `start` is the start time in whatever unit the system gives; with the pid it names one process for good. */
export interface Row {
  readonly pid: number
  readonly ppid: number
  readonly pgid: number
  readonly sid: number
  readonly state: string
  readonly start: string
  readonly name: string
  readonly seconds: number
  readonly command: string
}

export const hasProc = fs.existsSync("/proc/self/stat")

const read = (file: string): string => {
  try {
    return fs.readFileSync(file, "utf8")
  } catch {
    return "" // it has ended meanwhile
  }
}

const list = (directory: string): ReadonlyArray<string> => {
  try {
    return fs.readdirSync(directory)
  } catch {
    return []
  }
}

/** Source: proc_pid_stat(5). The name may hold spaces and parentheses, so the fields are counted from the last one. */
const statOf = (file: string): { readonly name: string; readonly fields: ReadonlyArray<string> } => {
  const text = read(file)
  const end = text.lastIndexOf(")")
  return { name: text.slice(text.indexOf("(") + 1, end), fields: text.slice(end + 2).split(" ") }
}

const rowFromProc = (pid: number): ReadonlyArray<Row> => {
  const { fields, name } = statOf(`/proc/${pid}/stat`)
  if (fields.length < 20) return []
  const words = read(`/proc/${pid}/cmdline`).split("\0").slice(0, -1)
  return [{
    pid,
    ppid: Number(fields[1]),
    pgid: Number(fields[2]),
    sid: Number(fields[3]),
    state: fields[0] ?? "?",
    start: fields[19] ?? "",
    // Node names its threads; the first of them is the program.
    name: name.endsWith("MainThread") ? path.basename(words[0] ?? name) : name,
    seconds: (Number(fields[11]) + Number(fields[12])) / 100,
    command: words.length === 0 ? `[${name}] <defunct>` : words.join(" ")
  }]
}

const rowFromPs = (line: string): ReadonlyArray<Row> => {
  const [pid, ppid, pgid, sid, state = "?", ...rest] = line.trim().split(/\s+/)
  const [start, time, words] = [rest.slice(0, 5).join(" "), rest[5] ?? "0", rest.slice(6)]
  return pid === undefined || pid === "" ? [] : [{
    pid: Number(pid),
    ppid: Number(ppid),
    pgid: Number(pgid),
    sid: Number(sid),
    state: state.charAt(0),
    start,
    name: path.basename(words[0] ?? "?"),
    seconds: time.split(/[:-]/).reduce((sum, part) => sum * 60 + Number(part), 0),
    command: words.join(" ")
  }]
}

const ps = ["-A", "-ww", "-o", "pid=,ppid=,pgid=,sess=,state=,lstart=,time=,args="]

/** Every process there is, zombies too. */
export const table = (): ReadonlyArray<Row> =>
  hasProc
    ? list("/proc").filter((name) => /^\d+$/.test(name)).flatMap((name) => rowFromProc(Number(name)))
    : execFileSync("ps", ps, { encoding: "utf8" }).split("\n").flatMap(rowFromPs)
      .filter((row) => row.command !== ["ps", ...ps].join(" "))

export const rowOf = (pid: number): Row | undefined => table().find((row) => row.pid === pid)

const deadState = (state: string | undefined): boolean => state === "Z" || state === "X"

/**
 * A zombie is a row that its parent has not read. Ours we must read ourselves, so one that is left counts as left; that of
 * another parent (init, after its own has gone) has ended. A process lives while one of its threads does.
 */
const isAlive = (row: Row): boolean =>
  !deadState(row.state) || row.ppid === process.pid ||
  list(`/proc/${row.pid}/task`).some((tid) => {
    const { fields } = statOf(`/proc/${row.pid}/task/${tid}/stat`)
    return fields.length > 1 && !deadState(fields[0])
  })

/** What descends from a process by the parent column, itself not among it. */
export const below = (pid: number): ReadonlyArray<Row> => {
  const all = table()
  const from = (parent: number): ReadonlyArray<Row> =>
    all.filter((row) => row.ppid === parent).flatMap((row) => [row, ...from(row.pid)])
  return from(pid).filter(isAlive)
}

/** What belongs to a job: its process group, its session, and what descends from its leader. */
export const job = (leader: number): ReadonlyArray<Row> => {
  const descendants = new Set(below(leader).map((row) => row.pid))
  return table().filter((row) =>
    (row.pid === leader || row.pgid === leader || row.sid === leader || descendants.has(row.pid)) && isAlive(row)
  )
}

/** The job that runs a certain command line below this program; empty until it does. */
export const jobRunning = (command: string): ReadonlyArray<Row> => {
  const found = below(process.pid).find((row) => row.command === command)
  return found === undefined ? [] : job(found.pgid)
}

/** Which of these processes are still there. */
export const stillThere = (rows: ReadonlyArray<Row>): ReadonlyArray<Row> => {
  const now = table()
  return rows.flatMap(({ pid, start }) => now.filter((row) => row.pid === pid && row.start === start && isAlive(row)))
}

/** What carries the mark that the library gives to the children of this program (nothing where there is no /proc). */
export const marked = (): ReadonlyArray<Row> => {
  const mark = `EFFECT_PROCESS_OWNER=${process.pid}:`
  return hasProc
    ? table().filter((row) => read(`/proc/${row.pid}/environ`).split("\0").some((entry) => entry.startsWith(mark)))
    : []
}
