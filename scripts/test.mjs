// Runs every test, or with arguments what vitest makes of them. What bounds times of real processes narrowly, or looks at those of the
// whole machine, has the machine for itself, a file at a time; before it the rest, two files at once.
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { createVitest } from "vitest/node"

const root = fileURLToPath(new URL("..", import.meta.url))

const runs = async (args) => {
  if (args.length > 0) return [args]
  const vitest = await createVitest("test", { root, watch: false })
  const names = vitest.projects.map(({ name }) => name)
  await vitest.close()
  const beside = ["process", "vitest", "node", "spawn-server"]
  const of = (...some) => some.flatMap((name) => ["--project", name])
  const twoAtOnce = ["--fileParallelism", "--maxWorkers", "2"]
  return [
    // To load Effect anew for each of so many small files takes as long as their tests, and they share nothing.
    [...of("process"), ...twoAtOnce, "--no-isolate"],
    [...of("vitest", "node", "spawn-server"), ...twoAtOnce],
    of(...names.filter((name) => !beside.includes(name)))
  ]
}

for (const run of await runs(process.argv.slice(2))) {
  const { status } = spawnSync(`${root}/node_modules/.bin/vitest`, ["run", ...run], { cwd: root, stdio: "inherit" })
  if (status !== 0) process.exitCode = 1
}
