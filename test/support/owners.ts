/** Owners that scenarios kill: programs by themselves, on the engine that is put to the test. */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as fixtures from "./fixtures.ts"
import * as observer from "./observer.ts"
import { type Scenario, timed, until } from "./scenario.ts"

/** `mode`: which jobs it has, in `fixtures/owner.ts`. */
export const start = (t: Scenario, mode: string, token = t.token) =>
  fixtures.start(process.execPath, [fixtures.script("owner"), t.engine, mode, token], {
    env: { ...process.env, HOSTILE: fixtures.program("hostile") }
  })

/** Until it says that its jobs have begun. */
export const ready = (owner: fixtures.Owner) =>
  until("ready", () => owner.lines.some((line) => line.startsWith("ready")) || undefined)

export const startReady = (t: Scenario, mode: string, token?: string) => Effect.tap(start(t, mode, token), ready)

/** Milliseconds until nothing that bears the token is left, neither jobs nor what looked after them. */
export const gone = (token: string): Effect.Effect<number> =>
  Effect.map(timed(until("empty", () => observer.alive(token).length === 0 || undefined)), ([elapsed]) => elapsed)

/**
 * Kills an owner: as `gone`, counted from after the kill, for what may not take longer, and from before it, for what may not take less.
 */
export const kill = (owner: fixtures.Owner, token: string) =>
  Effect.suspend(() => {
    const before = performance.now()
    process.kill(owner.pid, "SIGKILL")
    return Effect.map(gone(token), (atMost) => ({ atMost, atLeast: performance.now() - before }))
  })

/** All processes, by an observer of our own. */
const everyone = (): ReadonlyArray<observer.Seen> =>
  fs.readdirSync("/proc").map(Number).filter((pid) => pid > 0).flatMap((pid) => observer.see(pid) ?? [])

/** An owner, and all that could act when it is gone: its server and supervisors, or its watchdog. */
export const keepersOf = (pid: number): ReadonlyArray<number> => {
  const childrenOf = (parent: number) => everyone().filter(({ ppid }) => ppid === parent)
  const servers = childrenOf(pid).filter(({ commandLine }) => /spawn-server|effect-process-watchdog/.test(commandLine))
  return [pid, ...servers.flatMap((one) => [one.pid, ...childrenOf(one.pid).map((child) => child.pid)])]
}

/**
 * Stopped first, so that none of them sees the end of another, and killed from below: a group that loses its last parent
 * outside while a member is stopped is sent SIGCONT by the kernel (setpgid(2)).
 */
export const killTogether = (pids: ReadonlyArray<number>) =>
  Effect.gen(function*() {
    for (const pid of pids) observer.kill(pid, "SIGSTOP")
    for (const pid of pids.toReversed()) observer.kill(pid, "SIGKILL")
    yield* until("they are gone", () => pids.every((pid) => !observer.isAlive(pid)) || undefined)
  })
