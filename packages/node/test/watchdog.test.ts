import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { layerChildProcess } from "@effect-process/node/NodeProcess"
import { ProcessSpawner } from "effect-process"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"

const read = (path: string): string => {
  try {
    return fs.readFileSync(path, "latin1")
  } catch {
    return ""
  }
}

const isAlive = (pid: number): boolean => {
  const stat = read(`/proc/${pid}/stat`)
  return stat !== "" && !/\) [ZX]/.test(stat)
}

/** The living processes with these words among their arguments. */
const find = (...words: ReadonlyArray<string>): ReadonlyArray<number> =>
  fs.readdirSync("/proc").map(Number).filter((pid) => {
    const commandLine = pid > 0 ? read(`/proc/${pid}/cmdline`) : ""
    return commandLine !== "" && words.every((word) => commandLine.includes(word)) && isAlive(pid)
  })

const childOf = (pid: number, words: string): number | undefined =>
  find(words).find((candidate) => Number(/\) \S (\d+)/.exec(read(`/proc/${candidate}/stat`))?.[1]) === pid)

const until = <A>(look: () => A | undefined): Effect.Effect<A> =>
  Effect.suspend(() => {
    const found = look()
    return found === undefined ? Effect.zipRight(Effect.sleep(5), until(look)) : Effect.succeed(found)
  })

/** An owner whose first line of output is the pid of its child. */
const owner = (fixture: string, token: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const path = fileURLToPath(new URL(`fixtures/${fixture}.mjs`, import.meta.url))
      const child = spawn(process.execPath, [path, token], { stdio: ["ignore", "pipe", "inherit"] })
      const state: { child: ChildProcess; output: string } = { child, output: "" }
      child.stdout.on("data", (chunk: Buffer) => {
        state.output += chunk.toString()
      })
      return state
    }),
    ({ child }) =>
      Effect.sync(() => {
        child.kill("SIGKILL")
        for (const pid of find(token)) {
          try {
            process.kill(pid, "SIGKILL")
          } catch {
            // The watchdog was quicker.
          }
        }
      })
  )

const firstPid = (state: { readonly output: string }) =>
  until(() => state.output.includes("\n") ? Number.parseInt(state.output, 10) : undefined)

it.scopedLive("ends a child whose owner died before it could register it", () =>
  Effect.gen(function*() {
    const token = `unregistered-${process.pid}-${Date.now()}`
    const state = yield* owner("unregistered", token)
    const pid = yield* firstPid(state)
    yield* until(() => state.child.signalCode ?? undefined)
    const died = performance.now()
    yield* until(() => isAlive(pid) ? undefined : true)
    // It ignores TERM: the grace of its announcement, then SIGKILL.
    assert.isAtMost(performance.now() - died, 300 + 1_000 + 250)
  }), 20_000)

it.scopedLive("is replaced when it is killed, and the replacement knows the jobs", () =>
  Effect.gen(function*() {
    const token = `lost-${process.pid}-${Date.now()}`
    const state = yield* owner("watchdogLost", token)
    const pid = yield* firstPid(state)
    const ownerPid = state.child.pid ?? 0
    const first = yield* until(() => childOf(ownerPid, "effect-process-watchdog"))
    process.kill(first, "SIGKILL")
    yield* until(() => {
      const next = childOf(ownerPid, "effect-process-watchdog")
      return next === undefined || next === first ? undefined : next
    })
    assert.isTrue(isAlive(pid))
    state.child.kill("SIGKILL")
    yield* until(() => find(token).length === 0 ? true : undefined)
  }), 20_000)

it.scopedLive("goes with its layer", () =>
  Effect.gen(function*() {
    // In the middle of its exec it has no arguments yet.
    const during = yield* ProcessSpawner.pipe(
      Effect.zipRight(until(() => childOf(process.pid, "effect-process-watchdog"))),
      Effect.provide(layerChildProcess)
    )
    assert.isFalse(isAlive(during))
  }))
