import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type ProcessInfo, processStates, ProcessTable } from "effect-process"
import { fromSource, type ProcessSource, render } from "effect-process/ProcessTable"

const row = (pid: number, ppid: number, name: string, more: Partial<ProcessInfo> = {}): ProcessInfo => ({
  pid,
  ppid,
  pgid: 1,
  sid: 1,
  state: "S",
  name,
  uid: 1000,
  user: "anna",
  threads: 1,
  rss: 2048 * 1024,
  cpuTime: Duration.seconds(3_723),
  startTime: new Date(2026, 0, 2, 3, 4, 5).getTime(),
  commandLine: `${name} --run`,
  ...more
})

const sourceOf = (rows: ReadonlyArray<ProcessInfo>, wantsColours = false): ProcessSource => ({
  snapshot: Effect.succeed(rows),
  wantsColours: Effect.succeed(wantsColours)
})

const withRows = (rows: ReadonlyArray<ProcessInfo>, wantsColours = false) =>
  Effect.provideService(ProcessTable, fromSource(sourceOf(rows, wantsColours)))

const pidsOf = (rows: ReadonlyArray<ProcessInfo>): ReadonlyArray<number> => rows.map(({ pid }) => pid)

const family = [
  row(10, 1, "server"),
  row(13, 10, "worker"),
  row(11, 10, "logger"),
  row(12, 10, "worker"),
  row(20, 12, "sh"),
  row(21, 20, "sleep"),
  row(30, 13, "cat"),
  row(31, 13, "grep")
]

describe("ProcessTable", () => {
  it.effect("has rows in order of their pids, and those below a process", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(pidsOf(yield* ProcessTable.snapshot), [10, 11, 12, 13, 20, 21, 30, 31])
      assert.deepStrictEqual(pidsOf(yield* ProcessTable.descendantsOf(12)), [20, 21])
      assert.deepStrictEqual(pidsOf(yield* ProcessTable.treeOf(13)), [13, 30, 31])
      assert.deepStrictEqual(pidsOf(yield* ProcessTable.descendantsOf(4711)), [])
      assert.deepStrictEqual(pidsOf(yield* ProcessTable.treeOf(4711)), [])
      // The parent of a root need not be known to have descendants.
      assert.lengthOf(yield* ProcessTable.descendantsOf(1), 8)
    }).pipe(withRows(family)))

  it.effect("does not take a process for the child of a younger one that has got its parent's pid", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(pidsOf(yield* ProcessTable.descendantsOf(5)), [7])
    }).pipe(withRows([
      row(5, 1, "new", { startTime: 2_000 }),
      row(6, 5, "old", { startTime: 1_000 }),
      row(7, 5, "child", { startTime: 2_000 })
    ])))

  it.effect("hands out names and arguments that a terminal does not obey", () =>
    Effect.gen(function*() {
      const [info] = yield* ProcessTable.snapshot
      assert.strictEqual(info?.name, "x\\u{1b}[2J")
      assert.strictEqual(info?.commandLine, "evil \\u{1b}]0;owned\\u{7} \\u{d}\\u{a}root \\u{9b}31m \\u{202e}txt.exe")
    }).pipe(
      withRows([
        row(1, 0, "x\u001b[2J", { commandLine: "evil \u001b]0;owned\u0007 \r\nroot \u009b31m \u202etxt.exe" })
      ])
    ))

  it("says what each state means", () => {
    assert.strictEqual(processStates.T, "stopped by a signal")
    assert.deepStrictEqual(Object.keys(processStates), ["R", "S", "D", "T", "t", "Z", "X", "I", "P", "K", "W", "?"])
  })
})

describe("ProcessTable.render", () => {
  it("draws the tree that pstree -pT draws", () => {
    assert.strictEqual(
      render(family),
      [
        "server(10)─┬─logger(11)",
        "           ├─worker(12)───sh(20)───sleep(21)",
        "           └─worker(13)─┬─cat(30)",
        "                        └─grep(31)"
      ].join("\n")
    )
    assert.strictEqual(render([]), "")
    assert.strictEqual(render([row(7, 1, "b"), row(5, 1, "a")]), "a(5)\nb(7)")
  })

  it("keeps the branches of those that follow beside what is drawn below the first", () => {
    assert.strictEqual(
      render([
        row(1, 0, "a"),
        row(2, 1, "b"),
        row(3, 2, "c"),
        row(4, 2, "d"),
        row(5, 1, "e"),
        row(6, 5, "f"),
        row(7, 5, "g")
      ]),
      [
        "a(1)─┬─b(2)─┬─c(3)",
        "     │      └─d(4)",
        "     └─e(5)─┬─f(6)",
        "            └─g(7)"
      ].join("\n")
    )
  })

  it("draws in ASCII, and cuts lines where told to, as pstree does", () => {
    assert.strictEqual(
      render(family, { ascii: true, width: 20 }),
      [
        "server(10)-+-logger+",
        "           |-worker+",
        "           `-worker+",
        "                   +"
      ].join("\n")
    )
    assert.strictEqual(render([row(1, 0, "abc")], { width: 6 }), "abc(1)")
    assert.strictEqual(render([row(1, 0, "abc")], { width: 5 }), "abc(+")
  })

  it("counts the columns of wide characters, also where it cuts", () => {
    assert.strictEqual(
      render([row(1, 0, "漢字"), row(2, 1, "a"), row(3, 1, "b")]),
      "漢字(1)─┬─a(2)\n        └─b(3)"
    )
    assert.strictEqual(render([row(1, 0, "漢字")], { width: 4 }), "漢+")
  })

  it("draws each row once, whatever the rows say of each other", () => {
    const circle = render([row(1, 2, "a"), row(2, 1, "b"), row(3, 3, "self"), row(4, 2, "c"), row(4, 2, "c")])
    assert.strictEqual(circle, "self(3)\na(1)───b(2)───c(4)")
  })

  it("draws a chain that is longer than our stack", () => {
    const chain = Array.from({ length: 30_000 }, (_, i) => row(i + 1, i, "x"))
    const line = render(chain)
    assert.isTrue(line.startsWith("x(1)───x(2)───x(3)"))
    assert.isTrue(line.endsWith("x(30000)"))
    assert.lengthOf(render(chain.slice(0, 1_000), { format: "table", width: 200 }).split("\n"), 1_001)
  })

  it("shows rows as ps does, the children of each below it", () => {
    const rows = [
      row(10, 1, "server", { threads: 11, pgid: 10, sid: 10 }),
      row(12, 10, "sh", { state: "T", user: "root", cpuTime: Duration.days(2) }),
      row(11, 10, "cat", { state: "Z", rss: 0, threads: 0, commandLine: "[cat]", startTime: 0 }),
      row(13, 12, "sleep", { commandLine: "sleep \u001b[31m9" })
    ]
    assert.strictEqual(
      render(rows, { format: "table" }),
      [
        "USER PID PPID PGID SID S NLWP  RSS       TIME             STARTED COMMAND",
        "anna  10    1   10  10 S   11 2048   01:02:03 2026-01-02 03:04:05 server --run",
        "anna  11   10    1   1 Z    ?    0   01:02:03                   ?  \\_ [cat] <defunct>",
        "root  12   10    1   1 T    1 2048 2-00:00:00 2026-01-02 03:04:05  \\_ sh --run",
        "anna  13   12    1   1 S    1 2048   01:02:03 2026-01-02 03:04:05      \\_ sleep \\u{1b}[31m9"
      ].join("\n")
    )
    assert.strictEqual(render([], { format: "table" }).split("\n").length, 1)
  })

  it.effect("has colours where the platform wants them, or the caller does", () =>
    Effect.gen(function*() {
      const rows = yield* ProcessTable.snapshot
      const coloured =
        "\u001b[1ma\u001b[0m\u001b[2m(1)\u001b[0m───\u001b[31m\u001b[1mb\u001b[0m\u001b[0m\u001b[2m(2)\u001b[0m"
      assert.strictEqual(yield* ProcessTable.render(rows), coloured)
      assert.strictEqual(yield* ProcessTable.render(rows, { colours: false }), "a(1)───b(2)")
      assert.strictEqual(render(rows, { colours: true }), coloured)
      assert.strictEqual(render(rows), "a(1)───b(2)")
      // What it takes to colour does not count as columns.
      assert.strictEqual(
        yield* ProcessTable.render(rows, { width: 8 }),
        "\u001b[1ma\u001b[0m\u001b[2m(1)\u001b[0m───+"
      )
    }).pipe(withRows([row(1, 0, "a"), row(2, 1, "b", { state: "Z" })], true)))

  it.effect("has none where the platform wants none", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* ProcessTable.render(yield* ProcessTable.snapshot), "a(1)")
    }).pipe(withRows([row(1, 0, "a")])))
})
