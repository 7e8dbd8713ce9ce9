/** What is left of a job when its caller is done with it. */
import { Effect, Logger, LogLevel } from "effect"
import { randomUUID } from "node:crypto"
import type { Variant } from "../peers/Peer.ts"
import * as Contenders from "../support/contenders.ts"
import * as proc from "../support/proc.ts"
import type { Program, Settings } from "../support/Program.ts"
import type { Listing } from "../support/report.ts"
import type { Outcome } from "../support/tasks.ts"
import { cases, orphaned } from "./cases.ts"

const { bun, dropIn, effect4, execa, fallback, go, nanoSpawn, ours, platform, raw, tinyexec, zx } = Contenders

const contenders = [ours, fallback, dropIn, raw, execa, nanoSpawn, tinyexec, zx, platform, effect4, bun, go]

/** Milliseconds that a job may take. */
const timeout = 500

/** How many run beside each other: they wait more than they work. */
const beside = 3

const marking = (): string => `EFFECT_PROCESS_BENCH_MARK=${randomUUID()}`

/** Ends what is left, by pid: nothing of a case lives on into another. */
const clear = (mark: string) =>
  Effect.gen(function*() {
    for (let left = proc.marked(mark); left.length > 0; left = proc.marked(mark)) {
      for (const pid of left) process.kill(pid, "SIGKILL")
      yield* Effect.sleep("10 millis")
    }
  }).pipe(Effect.catchAllDefect(() => Effect.void))

const marked = Effect.acquireRelease(Effect.sync(marking), clear)

const surviving = (contender: Contenders.Contender, variant: Variant, settings: Settings) =>
  Effect.scoped(Effect.gen(function*() {
    const worker = yield* Contenders.start(contender)
    const chosen = settings.short ? cases.slice(0, 1) : cases
    const input = yield* Effect.forEach(chosen, ({ script }) => Effect.map(marked, (mark) => ({ script, mark })))
    return yield* worker.ask("survive", { variant, cases: input, timeout, patience: settings.short ? 2_000 : 8_000 })
  }))

/** Until nothing is left of what a killed owner ran, at most `patience`. */
const bereaved = (contender: Contenders.Contender, variant: Variant, settings: Settings) =>
  Effect.scoped(Effect.gen(function*() {
    const patience = settings.short ? 1_000 : 3_000
    const worker = yield* Contenders.start(contender)
    const mark = yield* marked
    const { owner } = yield* worker.ask("begin", { variant, script: orphaned.script, mark, processes: 3 })
    const began = performance.now()
    yield* Effect.sync(() => process.kill(owner, "SIGKILL"))
    while (proc.marked(mark).length > 0 && performance.now() - began < patience) yield* Effect.sleep("10 millis")
    const left = proc.marked(mark).length
    return { settled: true, elapsed: left > 0 ? Number.NaN : performance.now() - began, left } satisfies Outcome
  })).pipe(
    // That a killed owner leaves something behind is the result, and no news for the log.
    Logger.withMinimumLogLevel(LogLevel.Error)
  )

const fails = ({ left, settled }: Outcome): boolean => !settled || left > 0

const cellOf = ({ elapsed, left, settled }: Outcome): string => {
  const time = settled ? Number.isNaN(elapsed) ? "" : `${(elapsed / 1000).toFixed(2)} s` : "**hangs**"
  return [time, left > 0 ? `**${left} left**` : ""].filter((part) => part !== "").join(", ")
}

const rowOf = (contender: Contenders.Contender, variant: Variant, settings: Settings) =>
  Effect.gen(function*() {
    const { name } = yield* Contenders.find(contender)
    const [outcomes, death] = yield* Effect.all([
      surviving(contender, variant, settings),
      bereaved(contender, variant, settings)
    ], { concurrency: 2 })
    const all = [...outcomes, death]
    const which = contender.best === undefined ? name : `${name}, ${variant}`
    return [which, `${all.filter(fails).length} of ${all.length}`, ...all.map(cellOf)]
  }).pipe(
    Effect.catchTag("Absent", ({ why }) => Effect.succeed([contender.label, "–", `– (${why})`]))
  )

const table = (settings: Settings) =>
  Effect.gen(function*() {
    const variants = contenders.flatMap((contender) =>
      (["defaults", "best"] as const).flatMap((variant) =>
        variant === "best" && contender.best === undefined || settings.short && variant === "defaults" &&
            contender.best !== undefined
          ? []
          : [[contender, variant] as const]
      )
    )
    const rows = yield* Effect.forEach(
      variants,
      ([contender, variant]) => rowOf(contender, variant, settings),
      { concurrency: beside }
    )
    const columns = settings.short ? cases.slice(0, 1) : cases
    const best = contenders.filter(({ best }) => best !== undefined).map(({ best, label }) => `${label}: ${best}`)
    const listing: Listing = {
      title: "what survives",
      readme: "survival",
      notes: [
        `Each case is \`sh -c SCRIPT\`, its output captured, with a time limit of ${timeout} ms by the library's own option. A cell says ` +
        "when the call returned, either way, and how many processes of the job lived a quarter of a second after that; *hangs* is " +
        "no return within 8 seconds. A case fails where the call hangs or something is left. " +
        "In the tenth the owner gets SIGKILL beside a running job; the cell says when nothing of the job was left, or what was after 3 seconds. " +
        "Processes are counted by a mark in their environment, read from /proc, and ended by their pids after the count. Each line is an owner " +
        `of its own that runs the nine cases at the same time, ${beside} owners beside each other; once, not in rounds.`,
        ["The scripts:", ...cases.map(({ name, script }) => `- ${name}: \`${script}\``)].join("\n"),
        ["*Best* means, of each library's own options:", ...best.map((text) => `- ${text}`)].join("\n")
      ],
      table: [["", "fails", ...columns.map(({ name }) => name), orphaned.name], ...rows]
    }
    return listing
  })

export const survival: Program = { name: "survival", title: "What survives", parts: [table] }
