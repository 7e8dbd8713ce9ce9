/** `pnpm bench [PROGRAM...] [--short]`: runs the programs, prints their tables, keeps them in RESULTS.md. */
import { NodeProcess } from "@effect-process/node"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { executor } from "./executor/executor.ts"
import { growth } from "./growth/growth.ts"
import { harness } from "./harness/harness.ts"
import { observe } from "./observe/observe.ts"
import { pipeline } from "./pipeline/pipeline.ts"
import { speed } from "./speed/speed.ts"
import { spawn } from "./spawn/spawn.ts"
import { survival } from "./survival/survival.ts"
import { describe } from "./support/machine.ts"
import type { Program, Settings } from "./support/Program.ts"
import * as report from "./support/report.ts"

const programs: ReadonlyArray<Program> = [speed, survival, growth, spawn, pipeline, executor, harness, observe]

const readme = fileURLToPath(new URL("../../README.md", import.meta.url))

const results = fileURLToPath(new URL("../RESULTS.md", import.meta.url))

const run = (program: Program, settings: Settings) =>
  Effect.gen(function*() {
    const sections: Array<report.Section> = []
    for (const part of settings.short ? program.short ?? program.parts : program.parts) {
      const measured = yield* Effect.scoped(part(settings))
      const section = settings.short ? report.unjudged(measured) : measured
      sections.push(section)
      console.log(report.sectionOf(section))
    }
    if (program.overview !== undefined && !settings.short) {
      const overview = program.overview(sections.filter((section) => "table" in section))
      sections.unshift(overview)
      console.log(report.sectionOf(overview))
    }
    if (settings.short) return
    const heading = [
      `## ${program.title}`,
      "",
      ...report.slownessOf(sections),
      describe(),
      "",
      report.verdictOf(sections)
    ].join("\n")
    console.log(heading)
    report.save(results, program.name, [heading.trimEnd(), "", ...sections.map(report.sectionOf)].join("\n"))
    report.publish(readme, sections)
  })

const main = async () => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { short: { type: "boolean", default: false }, rounds: { type: "string" } }
  })
  const unknown = positionals.filter((name) => !programs.some((program) => program.name === name))
  if (unknown.length > 0) {
    console.error(`no such program: ${unknown.join(", ")}; there are: ${programs.map(({ name }) => name).join(", ")}`)
    process.exitCode = 2
    return
  }
  const began = performance.now()
  const chosen = programs.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
  const settings = { short: values.short, rounds: Number(values.rounds ?? (values.short ? 1 : 5)) }
  if (!values.short && positionals.length === 0) report.begin(results)
  await Effect.runPromise(
    Effect.forEach(chosen, (program) => run(program, settings), { discard: true }).pipe(
      Effect.provide(NodeProcess.layerSpawnServer)
    )
  )
  if (values.short) console.log("Everything runs. The figures of the short form say nothing and are not kept.")
  console.log(`${((performance.now() - began) / 1000).toFixed(0)} s`)
}

await main()
