/** What the five examples share: what a reader sees, and the verdict that fails a run. */
import { NodeProcess } from "@effect-process/node"
import { Cause, Console, Data, Duration, Effect, Exit, type Scope } from "effect"
import type { Command, ProcessSpawner } from "effect-process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as draw from "./draw.ts"
import * as processes from "./table.ts"

/** One of the five cases: what usually goes wrong, what happens here, and the program that shows it. */
export interface Example {
  readonly title: string
  readonly usually: string
  readonly here: string
  readonly task: Effect.Effect<void, unknown, ProcessSpawner>
}

export interface Verdict {
  readonly title: string
  readonly holds: boolean
  readonly seconds?: number
}

/** A claim of an example that the process table, or the library's answer, does not bear out. */
class ClaimFailed extends Data.TaggedError("ClaimFailed")<{ readonly message: string }> {}

const section = (title: string, lines: ReadonlyArray<string>): Effect.Effect<void> =>
  Console.log([`  ${draw.bold(title)}`, ...lines.map((line) => `    ${line}`)].join("\n"))

/** A line for the reader. */
export const say = (text: string): Effect.Effect<void> => Console.log(`  ${text}`)

/** What is started, as a user would type it. */
export const starting = (command: Command.Command<unknown, unknown>): Effect.Effect<void> =>
  say(`${draw.bold("started")}  ${draw.cyan(`$ ${String(command)}`)}`)

/** What is done to it. */
export const act = (text: string): Effect.Effect<void> => say(`${draw.bold("done")}     ${draw.cyan(text)}`)

/** The tree and the rows of some processes. */
export const show = (title: string, rows: ReadonlyArray<processes.Row>): Effect.Effect<void> =>
  section(title, [...draw.tree(rows), ...draw.table(rows)])

/** Part of the verdict: says so when it holds, and ends the example when it does not. */
export const claim = (text: string, holds: boolean, otherwise?: string): Effect.Effect<void, ClaimFailed> =>
  holds
    ? say(draw.green(`✓ ${text}`))
    : new ClaimFailed({ message: otherwise === undefined ? text : `${text}, but ${otherwise}` })

/** The tree afterwards, and the verdict: are these processes, or others of their groups, in the process table? */
export const claimGone = (rows: ReadonlyArray<processes.Row>): Effect.Effect<void, ClaimFailed> =>
  Effect.suspend(() => {
    const groups = [...new Set(rows.map((row) => row.pgid))].filter((pgid) => rows.some((row) => row.pid === pgid))
    const left = new Map(
      [...processes.stillThere(rows), ...groups.flatMap(processes.job)].map((row) => [row.pid, row])
    )
    const source = processes.hasProc ? "/proc" : "ps"
    const pids = [...new Set(rows.map((row) => row.pid))].join(", ")
    return show("the tree afterwards", [...left.values()]).pipe(
      Effect.zipRight(claim(
        `${source} has none of ${pids}, nor anything else of ${groups.length === 1 ? "the group" : "their groups"}`,
        left.size === 0,
        `${[...left.keys()].join(", ")} still there`
      ))
    )
  })

/** Looks again and again until what it sees will do. */
export const until = <A>(
  what: string,
  look: () => A,
  willDo: (seen: A) => boolean,
  limit: Duration.DurationInput = "10 seconds"
): Effect.Effect<A, ClaimFailed> => {
  const again: Effect.Effect<A> = Effect.suspend(() => {
    const seen = look()
    return willDo(seen) ? Effect.succeed(seen) : Effect.zipRight(Effect.sleep("10 millis"), again)
  })
  return Effect.timeoutFail(again, {
    duration: limit,
    onTimeout: () => new ClaimFailed({ message: `${what}: not seen within ${Duration.format(limit)}` })
  })
}

/** A directory for the files of an example, removed with the scope. */
export const temporaryDirectory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-process-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

/** Runs an example to its verdict; never fails. */
export const run = (example: Example): Effect.Effect<Verdict> =>
  Effect.gen(function*() {
    yield* Console.log(draw.bold(example.title))
    yield* say(draw.dim(`usually  ${example.usually}`))
    yield* say(draw.dim(`here     ${example.here}`))
    const [duration, exit] = yield* example.task.pipe(Effect.provide(NodeProcess.layer), Effect.exit, Effect.timed)
    if (Exit.isFailure(exit)) yield* say(draw.red(`✗ ${problem(exit.cause)}`))
    return { title: example.title, holds: Exit.isSuccess(exit), seconds: Duration.toSeconds(duration) }
  })

const problem = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof ClaimFailed ? error.message : Cause.pretty(cause)
}

/** Whether this module is the program that was started, and not imported by another. */
export const isMain = (url: string): boolean =>
  process.argv[1] !== undefined && fs.realpathSync(process.argv[1]) === fileURLToPath(url)

/** Runs an example when its file is the program; the exit code is the verdict. */
export const main = async (url: string, example: Example): Promise<void> => {
  if (!isMain(url)) return
  const { holds } = await Effect.runPromise(run(example))
  process.exitCode = holds ? 0 : 1
}
