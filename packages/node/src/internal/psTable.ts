/** Rows of the process table where there is no /proc: what ps(1) says. Made for macOS, whose columns procps has as well. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ProcessInfo } from "effect-process"
import { type ProcessState, processStates } from "effect-process/ProcessInfo"
import { execFile, execFileSync } from "node:child_process"

/** Every column is one word, but for the start, which is five, and the arguments, which are the rest. */
const columns = "pid=,ppid=,pgid=,sess=,uid=,user=,state=,rss=,time=,lstart=,args="

/** English month names, and numbers as we read them. */
const env = { ...process.env, LC_ALL: "C", LANG: "C" }

/** Darwin has `U` for an uninterruptible wait, `I` for a long sleep and `?` for what it cannot tell. */
const stateOf = (word: string): ProcessState => {
  const letter = word.charAt(0)
  if (letter === "U") return "D"
  if (letter === "I") return "S"
  return letter in processStates ? letter as ProcessState : "?"
}

/** `[[days-]hours:]minutes:seconds`, the seconds with fractions on macOS. */
const secondsOf = (time: string): number => {
  const [last = "", days = "0"] = time.split("-").toReversed()
  return last.split(":").reduce((sum, part) => sum * 60 + Number(part), 0) + Number(days) * 86_400
}

const line =
  /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\d+)\s+(\S+)\s+(\S+)\s+(\d+)\s+([\d:.-]+)\s+(\S+\s+\S+\s+\d+\s+[\d:]+\s+\d+)\s*(.*)$/

/** @internal */
export const parse = (text: string): ReadonlyArray<ProcessInfo> =>
  text.split("\n").flatMap((one) => {
    const match = line.exec(one)
    if (match === null) return []
    const [, pid, ppid, pgid, sid, uid, user = "", state = "", rss, time = "", started = "", commandLine = ""] = match
    const program = commandLine.split(" ", 1)[0] ?? ""
    return [{
      pid: Number(pid),
      ppid: Number(ppid),
      pgid: Number(pgid),
      // Darwin shows an address, if anything: it does not tell.
      sid: Number(/^\d+$/.test(sid ?? "") ? sid : 0),
      state: stateOf(state),
      name: program.slice(program.lastIndexOf("/") + 1),
      uid: Number(uid),
      user,
      threads: 0,
      rss: 1024 * Number(rss),
      cpuTime: Duration.seconds(secondsOf(time)),
      startTime: Date.parse(started),
      commandLine
    }]
  })

const options = { encoding: "utf8", env, maxBuffer: 256 * 1024 * 1024 } as const

/** At once, for an engine that decides on it; empty when ps cannot be run. */
export const rows = (...which: ReadonlyArray<string>): ReadonlyArray<ProcessInfo> => {
  try {
    const stdio: ["ignore", "pipe", "ignore"] = ["ignore", "pipe", "ignore"]
    return parse(execFileSync("ps", [...which, "-ww", "-o", columns], { ...options, stdio }))
  } catch {
    return []
  }
}

export const snapshot: Effect.Effect<ReadonlyArray<ProcessInfo>> = Effect.async((resume) => {
  const child = execFile(
    "ps",
    ["-A", "-ww", "-o", columns],
    options,
    (_, stdout) => resume(Effect.succeed(parse(stdout)))
  )
  return Effect.sync(() => child.kill())
})
