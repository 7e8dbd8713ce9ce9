/** The process table, judged by ps(1), pstree(1) and what the tests themselves started. */
import { assert, describe, it } from "@effect/vitest"
import { NodeProcess } from "@effect-process/node"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Command, type ProcessInfo, ProcessTable } from "effect-process"
import { execFileSync, spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as fixtures from "../support/fixtures.ts"
import * as observer from "../support/observer.ts"
import { timed, until } from "../support/scenario.ts"

const binary = fileURLToPath(new URL("../../packages/spawn-server/build/effect-process-spawn-server", import.meta.url))

const hasPstree = spawnSync("pstree", ["-V"]).status === 0

/** What runs below a process once it looks as it should. */
const treeOnce = (pid: number, is: (rows: ReadonlyArray<ProcessInfo>) => boolean) =>
  Effect.repeat(ProcessTable.treeOf(pid), { until: is })

/** All of them wait, in the program that they were to become: from its exec on a process has a name, and later its arguments. */
const isAtRest = (rows: ReadonlyArray<ProcessInfo>): boolean =>
  rows.every(({ commandLine, state }) => state === "S" && !commandLine.startsWith("["))

const names = (rows: ReadonlyArray<ProcessInfo>): ReadonlyArray<string> => rows.map(({ name }) => name).sort()

const provided = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provide(effect, NodeProcess.layer)

describe("ProcessTable", () => {
  it.scopedLive("says of each process what ps says", () =>
    provided(Effect.gen(function*() {
      const job = yield* Command.start(Command.make("sh", "-c", "sleep 104 & setsid sleep 105 & exec sleep 106"))
      const rows = yield* treeOnce(job.pid, (rows) => names(rows).join() === "sleep,sleep,sleep" && isAtRest(rows))
      const columns = "pid=,ppid=,pgid=,sess=,user=,nlwp=,rss=,comm=,args="
      for (const row of rows) {
        const said = execFileSync("ps", ["-ww", "-o", columns, "-p", String(row.pid)], { encoding: "utf8" })
        const [pid, ppid, pgid, sid, user, threads, rss, name, ...args] = said.trim().split(/\s+/)
        assert.deepStrictEqual(
          [row.pid, row.ppid, row.pgid, row.sid, row.user, row.threads, row.name, row.commandLine],
          [Number(pid), Number(ppid), Number(pgid), Number(sid), user, Number(threads), name, args.join(" ")]
        )
        // Since Linux 4.5 the kernel counts pages for each CPU and tells a sum that lags behind.
        assert.approximately(row.rss, 1024 * Number(rss), 1024 * 1024)
        assert.strictEqual(row.state, "S")
        assert.approximately(row.startTime, Date.now(), 30_000)
        assert.strictEqual(row.uid, process.getuid?.())
      }
    })))

  it.scopedLive("counts CPU time and memory, and tells a stopped process and a zombie", () =>
    provided(Effect.gen(function*() {
      // SECONDS counts whole ones of the clock, so the first may be over at once.
      const script = "(kill -STOP $BASHPID) & while [ $SECONDS -lt 2 ]; do :; done; sleep 0.1 & exec sleep 107"
      const job = yield* Command.start(Command.make("bash", "-c", script))
      const rows = yield* treeOnce(
        job.pid,
        (rows) => names(rows).join() === "bash,sleep,sleep" && rows.some(({ state }) => state === "Z")
      )
      const stateOf = (row: ProcessInfo | undefined) => row?.state
      assert.strictEqual(stateOf(rows.find(({ name }) => name === "bash")), "T")
      const zombie = rows.find(({ state }) => state === "Z")
      assert.deepInclude(zombie, { rss: 0, commandLine: "[sleep]", ppid: job.pid })
      const [leader] = rows
      assert.isTrue(Duration.greaterThan(leader?.cpuTime ?? 0, "100 millis"))
      assert.isAbove(leader?.rss ?? 0, 100_000)
      assert.include(yield* ProcessTable.render(rows, { format: "table" }), "[sleep] <defunct>")
    })))

  it.scopedLive("knows a process whose main thread has exited for a living one", () =>
    provided(Effect.gen(function*() {
      const program = fixtures.program("threads")
      const job = yield* Command.start(Command.make(program, "an argument"))
      yield* until("a zombie by its stat", () => observer.see(job.pid)?.state === "Z" || undefined)
      const [row] = yield* treeOnce(job.pid, isAtRest)
      assert.deepInclude(row, { state: "S", name: "threads", threads: 2, commandLine: `${program} an argument` })
      assert.isAbove(row?.rss ?? 0, 0)
    })))

  it.scopedLive("shows a hostile command line without what a terminal would obey", () =>
    provided(Effect.gen(function*() {
      const title = "\u001b]0;owned\u0007\u001b[2J"
      // Its arguments, and its name, which the process writes itself.
      const script = `printf '\\033[31m' >/proc/$$/comm; read -r line`
      const job = yield* Command.start(Command.make("bash", "-c", script, "bash", title, "line\nline", "\u202etxt.exe"))
      const [row] = yield* treeOnce(job.pid, ([row]) => row?.name !== "bash")
      if (row === undefined) return assert.fail("it is gone")
      assert.strictEqual(row.name, "\\u{1b}[31m")
      assert.isTrue(row.commandLine.endsWith(" bash \\u{1b}]0;owned\\u{7}\\u{1b}[2J line\\u{a}line \\u{202e}txt.exe"))
      for (const format of ["table", "tree"] as const) {
        const drawn = yield* ProcessTable.render([row], { format, colours: false })
        // oxlint-disable-next-line no-control-regex
        assert.notMatch(drawn, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
      }
    })))

  it.scopedLive.skipIf(process.getuid?.() !== 0)(
    "shows another user's processes",
    () =>
      provided(Effect.gen(function*() {
        const job = yield* Command.start(
          Command.make("sleep", "110").pipe(Command.user({ uid: 64_123, gid: 64_123 }))
        )
        const [row] = yield* treeOnce(job.pid, isAtRest)
        assert.deepInclude(row, { uid: 64_123, user: "64123", commandLine: "sleep 110" })
        const root = (yield* ProcessTable.snapshot).find(({ pid }) => pid === process.pid)
        assert.deepInclude(root, { uid: 0, user: "root" })
      }))
  )

  it.scopedLive("never fails for processes that vanish meanwhile", () =>
    provided(Effect.gen(function*() {
      const churn = yield* Command.start(
        Command.make("sh", "-c", "while :; do true & (true & true) & wait; /bin/true; done")
      )
      let seen = 0
      for (let i = 0; i < 100; i++) {
        const rows = yield* ProcessTable.snapshot
        seen += rows.filter(({ pgid }) => pgid === churn.processGroupId).length
        for (const row of rows) assert.isTrue(row.pid > 0 && row.commandLine !== "" && !Number.isNaN(row.rss))
      }
      assert.isAtLeast(seen, 100)
    })))

  it.scopedLive(
    "has 5,000 processes in a bounded time, and lets the event loop go on meanwhile",
    () =>
      provided(Effect.gen(function*() {
        const count = 5_000
        const job = yield* Command.start(Command.make(fixtures.program("many"), String(count), "idle"))
        yield* treeOnce(job.pid, (rows) => rows.length === count + 1)
        let turns = 0
        const watch = yield* Effect.fork(Effect.async<never>(() => {
          const timer = setInterval(() => turns++, 1)
          return Effect.sync(() => clearInterval(timer))
        }))
        const [elapsed, rows] = yield* timed(ProcessTable.snapshot)
        yield* Fiber.interrupt(watch)
        assert.isAtLeast(rows.filter(({ ppid }) => ppid === job.pid).length, count)
        // bench/ measures it; here it must only not depend on the square of the number, nor hold up everything else.
        assert.isAtMost(elapsed, 2_000)
        // Turns of the event loop, and no time: this process may be held up itself.
        assert.isAtLeast(turns, 20)
        assert.lengthOf((yield* ProcessTable.render(yield* ProcessTable.treeOf(job.pid))).split("\n"), count)
        yield* job.terminate({ signal: "SIGKILL" })
      })),
    60_000
  )

  it.scopedLive("reads a large table in parts with the rows that it has in one piece, and leaves no reader of them", () =>
    Effect.gen(function*() {
      const folder = yield* fixtures.temporaryDirectory
      // One that knows nothing of tables, as an older one does.
      const older = join(folder, "older")
      writeFileSync(older, `#!/bin/sh\n[ "$1" = --processes ] && exit 2\nexec "${binary}" "$@"\n`, { mode: 0o755 })
      const job = yield* Command.start(
        Command.make(fixtures.program("many"), "700", "idle", "ünd\u{2028}x").pipe(Command.killSignal("SIGKILL"))
      )
      yield* treeOnce(job.pid, (rows) => rows.length === 701 && isAtRest(rows))
      const crowd = (layer: typeof NodeProcess.layer) =>
        Effect.provide(ProcessTable.snapshot, layer).pipe(Effect.map((rows) => ({
          crowd: rows.filter(({ pgid }) => pgid === job.processGroupId).map(({ rss: _rss, cpuTime: _cpu, ...rest }) =>
            rest
          ),
          readers: rows.filter(({ commandLine }) => commandLine.includes(" --processes "))
        })))
      yield* until(
        "the readers of the last look have gone",
        () => observer.alive(" --processes ").length === 0 || undefined
      )
      const inParts = yield* crowd(NodeProcess.layerSpawnServer)
      assert.lengthOf(inParts.crowd, 701)
      assert.lengthOf(inParts.readers, 0)
      assert.include(inParts.crowd.at(-1)?.commandLine, "ünd\\u{2028}x")
      assert.deepStrictEqual(yield* crowd(NodeProcess.layerChildProcess), inParts)
      assert.deepStrictEqual(yield* crowd(NodeProcess.layerSpawnServerWith({ binary: older })), inParts)
    }).pipe(Effect.provide(NodeProcess.layer)))

  it.scopedLive.skipIf(!hasPstree)("draws what pstree draws", () =>
    provided(Effect.gen(function*() {
      const script = "(sleep 1 & exec sleep 111) & (sh -c 'sleep 112; true' & sleep 113 & sleep 114; true) & exec cat"
      const job = yield* Command.start(Command.make("sh", "-c", script))
      const rows = yield* treeOnce(job.pid, (rows) => names(rows).join() === "cat,sh,sh,sleep,sleep,sleep,sleep,sleep")
      const pstree = (...args: ReadonlyArray<string>) =>
        execFileSync("pstree", ["-plT", ...args, String(job.pid)], { encoding: "utf8" }).trimEnd()
      assert.strictEqual(yield* ProcessTable.render(rows), pstree("-U"))
      assert.strictEqual(yield* ProcessTable.render(rows, { ascii: true }), pstree("-A"))
      assert.isAtLeast(pstree("-U").split("\n").length, 4)
    })))
})

describe("Process.descendants", () => {
  for (
    const [name, layer] of Object.entries({
      "spawn-server": NodeProcess.layerSpawnServer,
      "child-process": NodeProcess.layerChildProcess
    })
  ) {
    it.scopedLive(`has rows of the same table (${name})`, () =>
      Effect.gen(function*() {
        const job = yield* Command.start(Command.make("sh", "-c", "sleep 115 & exec sleep 116"))
        const below = yield* treeOnce(job.pid, (rows) =>
          rows.map(({ commandLine, state }) => `${state} ${commandLine}`).join() === "S sleep 116,S sleep 115")
        const lasting = ({ cpuTime: _cpuTime, rss: _rss, ...rest }: ProcessInfo) =>
          rest
        assert.deepStrictEqual((yield* job.descendants).map(lasting), below.slice(1).map(lasting))
      }).pipe(Effect.provide(layer)))
  }
})
