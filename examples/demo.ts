// The five cases, one after another, and a table of the verdicts.
import { NodeProcess } from "@effect-process/node"
import { Console, Effect } from "effect"
import { ProcessSpawner } from "effect-process"
import { cancelShellJob } from "./cancel-shell-job.ts"
import { manageApplication } from "./manage-application.ts"
import { noZombies } from "./no-zombies.ts"
import { ownerDies } from "./owner-dies.ts"
import { stopCommandTree } from "./stop-command-tree.ts"
import { bold, dim, green, red } from "./support/draw.ts"
import { run, type Verdict } from "./support/example.ts"
import { hasProc, marked } from "./support/table.ts"

const cases = [cancelShellJob, stopCommandTree, ownerDies, noZombies, manageApplication]

const line = ({ holds, seconds, title }: Verdict): string =>
  `  ${holds ? green("✓ holds") : red("✗ FAILS")}  ` +
  (seconds === undefined ? title : `${title.padEnd(44)} ${dim(`${seconds.toFixed(1)} s`)}`)

const demo = Effect.gen(function*() {
  const { engine, reach } = yield* Effect.map(ProcessSpawner, ({ guarantees }) => guarantees)
  yield* Console.log(dim(`effect-process, engine ${engine} (reach: ${reach}); this program is node(${process.pid})\n`))
  const verdicts: Array<Verdict> = []
  for (const [at, example] of cases.entries()) {
    verdicts.push(yield* run({ ...example, title: `${at + 1}. ${example.title}` }))
    yield* Console.log("")
  }
  const left = marked()
  const whole = hasProc ? [{ title: "Nothing that carries this program's mark is left", holds: left.length === 0 }] : []
  yield* Console.log([bold("The five cases"), ...[...verdicts, ...whole].map(line)].join("\n"))
  return [...verdicts, ...whole].every(({ holds }) => holds)
})

const holds = await Effect.runPromise(Effect.provide(demo, NodeProcess.layer))
process.exitCode = holds ? 0 : 1
