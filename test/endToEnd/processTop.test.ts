/**
 * ProcessTop, the example, in a terminal that script(1) makes: what a person sees, what keys do, and how the terminal is left.
 * What is printed is kept as it comes; `screen` is the two frames
 * that were drawn last.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as fixtures from "../support/fixtures.ts"
import * as observer from "../support/observer.ts"
import { until } from "../support/scenario.ts"

const examples = path.resolve(fileURLToPath(import.meta.url), "../../../examples/dist")
const program = path.join(examples, "process-top.js")

const hasScript = spawnSync("script", ["--version"]).status === 0

const otherScreen = "\u001b[?1049h"
const firstScreen = "\u001b[?1049l"

/** The program between two looks at the modes of the terminal, which are printed as lines of their own. */
const inTerminal = Effect.gen(function*() {
  const line = `stty rows 30 cols 100; echo "before $(stty -g)"; "${process.execPath}" "${program}"; ` +
    `echo "status $?"; echo "after $(stty -g)"`
  const terminal = yield* fixtures.start("script", ["-qfec", line, "/dev/null"])
  const text = () => terminal.lines.map((one) => one.replaceAll("\r", "")).join("\n")
  // The last line is complete only with the first one of the next frame.
  const screen = () => text().split("\u001b[H").slice(-2).join("\n")
  const sees = (what: string | RegExp) =>
    until(
      `to see ${String(what)}`,
      () => (typeof what === "string" ? screen().includes(what) : what.test(screen())) || undefined
    )
  yield* sees("up/down: choose")
  return { type: terminal.write, text, screen, sees, pid: terminal.pid, hasExited: terminal.hasExited }
})

const modes = (text: string, which: string) => new RegExp(`${which} (\\S+)$`, "m").exec(text)?.[1]

/** The terminal as it was, and the screen that was there before. */
const isRestored = (text: string) => {
  assert.strictEqual(modes(text, "after"), modes(text, "before"))
  assert.isAbove(modes(text, "after")?.length ?? 0, 20)
  assert.isAbove(text.lastIndexOf(firstScreen), text.lastIndexOf(otherScreen))
  assert.isAbove(text.lastIndexOf("\u001b[?25h"), text.lastIndexOf("\u001b[?25l"))
}

const pidOf = (screen: string, job: string): number => Number(new RegExp(`${job}\\s+(\\d+)`).exec(screen)?.[1])

/** The program itself: the owner of the jobs, in the foreground of the terminal. */
const ownerOf = (terminal: number) =>
  until("the program", () => {
    const shell = observer.alive(program).find(({ commandLine }) => commandLine === `${process.execPath} ${program}`)
    return shell !== undefined && isBelow(shell.pid, terminal) ? shell.pid : undefined
  })

const isBelow = (pid: number, above: number): boolean => {
  const seen = observer.see(pid)
  return seen !== undefined && (seen.ppid === above || isBelow(seen.ppid, above))
}

describe.skipIf(!hasScript)("ProcessTop", () => {
  it.scopedLive(
    "shows the jobs live, ends the chosen one, and leaves the terminal as it was",
    () =>
      Effect.gen(function*() {
        const top = yield* inTerminal
        assert.include(top.text(), otherScreen)
        yield* top.sees("> counter")
        yield* top.sees("line 5")
        yield* top.sees(/busy +\d+ +1 +[1-9]\d* %/)

        top.type("\u001b[B")
        yield* top.sees("> tree")
        // With the one that has left session and group.
        yield* top.sees("sleep 1002")
        yield* top.sees("three sleep")
        const pids = [pidOf(top.screen(), "tree"), pidOf(top.screen(), "counter")]
        assert.isTrue(pids.every(observer.isAlive))
        top.type("t")
        yield* top.sees(/tree .* ended: SIGTERM/)
        yield* top.sees("nothing is left of it")
        assert.deepStrictEqual(pids.map(observer.isAlive), [false, true])

        // Keys that mean nothing, more of them than there are jobs, all at once.
        top.type("x\u001b[B\u001b[B\u001b[B\u001b[B\u001b[B?")
        yield* top.sees("> stubborn")
        top.type("t")
        yield* top.sees("not yet")
        yield* top.sees(/stubborn .* ended: SIGKILL/)
        top.type("kq")
        yield* until("its end", () => top.hasExited() || undefined)
        yield* until("the modes", () => modes(top.text(), "after"))
        assert.strictEqual(modes(top.text(), "status"), "0")
        isRestored(top.text())
        for (const pid of pids) assert.isFalse(observer.isAlive(pid))
      }),
    40_000
  )

  for (
    const [what, status, act] of [
      ["Ctrl-C", "0", undefined],
      ["SIGTERM", "143", "SIGTERM"],
      ["SIGHUP", "129", "SIGHUP"]
    ] as const
  ) {
    it.scopedLive(`leaves the terminal as it was at ${what}, and none of its jobs`, () =>
      Effect.gen(function*() {
        const top = yield* inTerminal
        yield* top.sees("> counter")
        const pid = pidOf(top.screen(), "busy")
        assert.isTrue(observer.isAlive(pid))
        if (act === undefined) top.type("\u0003")
        else process.kill(yield* ownerOf(top.pid), act)
        yield* until("its end", () => top.hasExited() || undefined)
        yield* until("the modes", () => modes(top.text(), "after"))
        assert.strictEqual(modes(top.text(), "status"), status)
        isRestored(top.text())
        assert.isFalse(observer.isAlive(pid))
      }), 40_000)
  }
})

interface Support {
  readonly update: (state: object, key: string) => readonly [{ readonly selected: number }, string]
  readonly view: (state: object, size: { readonly columns: number; readonly rows: number }) => string
}

describe("the view and the keys of ProcessTop", () => {
  const support = Effect.promise((): Promise<Support> => import(path.join(examples, "support/processTop.js")))
  const job = (name: string) => ({ name, pid: 42, status: "ended: 0", rows: [], cpu: 0, rss: 0, tail: ["a\u001b[2Jb"] })

  it.effect("moves within the list", () =>
    Effect.gen(function*() {
      const { update } = yield* support
      const state = { jobs: [job("a"), job("b")], selected: 0 }
      assert.deepInclude(update(state, "j")[0], { selected: 1 })
      assert.deepInclude(update({ ...state, selected: 1 }, "\u001b[B")[0], { selected: 1 })
      assert.deepInclude(update(state, "\u001bOA")[0], { selected: 0 })
      assert.deepInclude(update({ jobs: [], selected: 0 }, "j")[0], { selected: 0 })
      assert.deepStrictEqual(["t", "q", "\u0003", "z"].map((key) => update(state, key)[1]), [
        "terminate",
        "quit",
        "quit",
        "none"
      ])
    }))

  it.effect("fits every screen, and obeys nothing that a job printed", () =>
    Effect.gen(function*() {
      const { view } = yield* support
      const state = { jobs: [job("a"), job("b")], selected: 1 }
      for (const rows of [1, 2, 5, 12, 40]) {
        const lines = view(state, { columns: 30, rows }).split("\n")
        assert.lengthOf(lines, rows)
        assert.isTrue(lines.every((line) => [...line].length <= 30))
      }
      const screen = view(state, { columns: 80, rows: 24 })
      assert.include(screen, "a·[2Jb")
      assert.notInclude(screen, "\u001b")
      assert.include(view({ jobs: [], selected: 0 }, { columns: 80, rows: 24 }), "0 jobs")
    }))
})
