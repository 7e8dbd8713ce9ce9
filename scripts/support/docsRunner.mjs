// Runs modules that `docs.mjs` made of the documentation's code, one after another, in the directory that is current. Tells its parent
// when one begins and how it ended.
import * as fs from "node:fs"
import { pathToFileURL } from "node:url"
import { inspect } from "node:util"
import { install } from "./docsChecks.mjs"

const [list, project] = process.argv.slice(2)
const uninstall = await install(project)

/** The lines that a person would see, whatever printed them. */
let output = ""
for (const stream of [process.stdout, process.stderr]) {
  stream.write = (data, ...rest) => {
    output += typeof data === "string" ? data : Buffer.from(data).toString()
    const done = rest.at(-1)
    if (typeof done === "function") done()
    return true
  }
}

// What a module does beside its own course counts as well.
const strays = []
process.on("unhandledRejection", (error) => strays.push(error))

for (const { file, id } of JSON.parse(fs.readFileSync(list, "utf8"))) {
  process.send({ id, began: true })
  output = ""
  let failure
  try {
    await import(pathToFileURL(file))
    await new Promise((resolve) => setImmediate(resolve))
  } catch (error) {
    failure = { error }
  }
  if (failure === undefined && strays.length > 0) failure = { error: strays[0] }
  strays.length = 0
  const { error } = failure ?? {}
  process.send({ id, problem: failure && (error instanceof Error ? error.stack : inspect(error)), output })
}
await uninstall()
// The SDK of OpenTelemetry keeps a timer of 30 seconds.
process.send({ ended: true }, () => process.exit(0))
