/** What ps(1) says, where there is no /proc: as macOS prints it, and against /proc by the ps of this system, whose columns are the same. */
import { assert, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { parse, rows, snapshot } from "../../src/internal/psTable.ts"
import { rowOf } from "../../src/internal/procTable.ts"

it("reads what ps prints on macOS", () => {
  const text = [
    "    1     0     1      0     0 root             Ss    18448   3:25.61 Fri Nov 21 03:19:30 2026     /sbin/launchd",
    "  501     1   501      0   501 anna             U+     1024 1-02:03:04 Fri Nov 21 09:05:07 2026    /usr/bin/some tool --x",
    "  502   501   501      0   501 anna             Z         0   0:00.00 Fri Nov 21 09:05:07 2026     <defunct>",
    "  503   501   501    c0ffee 501 anna            I       512   0:01.50 Fri Nov 21 09:05:07 2026     sleep 100",
    "not a row",
    ""
  ].join("\n")
  const parsed = parse(text)
  assert.deepStrictEqual(parsed.map(({ pid }) => pid), [1, 501, 502, 503])
  const [launchd, tool, zombie, sleep] = parsed
  assert.deepInclude(launchd, { ppid: 0, state: "S", name: "launchd", user: "root", rss: 18448 * 1024, threads: 0 })
  assert.approximately(Duration.toSeconds(launchd?.cpuTime ?? 0), 205.61, 0.001)
  assert.deepInclude(tool, { state: "D", name: "some", uid: 501, commandLine: "/usr/bin/some tool --x" })
  assert.strictEqual(Duration.toSeconds(tool?.cpuTime ?? 0), 93_784)
  assert.strictEqual(tool?.startTime, new Date(2026, 10, 21, 9, 5, 7).getTime())
  assert.deepInclude(zombie, { state: "Z", commandLine: "<defunct>" })
  assert.deepInclude(sleep, { state: "S", sid: 0, name: "sleep" })
})

it.effect.skipIf(process.platform !== "linux")("says of a process what /proc says", () =>
  Effect.gen(function*() {
    const own = rowOf(process.pid)
    for (const table of [rows("-A"), rows("-p", String(process.pid)), yield* snapshot]) {
      const row = table.find(({ pid }) => pid === process.pid)
      if (row === undefined || own === undefined) return assert.fail("it is not there")
      const { pgid, ppid, sid, uid, user } = own
      assert.deepInclude(row, { pgid, ppid, sid, uid, user })
      // ps rounds to seconds, and counts from another reading of the boot's time.
      assert.approximately(row.startTime, own.startTime, 2_000)
    }
    assert.deepStrictEqual(rows("-p", "999999999"), [])
  }))
