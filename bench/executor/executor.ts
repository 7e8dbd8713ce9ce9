/** Programs written against @effect/platform: its own executor, and the drop-in of this library, which is one changed line. */
import { Effect } from "effect"
import { costOf, warm } from "../spawn/echo.ts"
import type { Program, Settings } from "../support/Program.ts"
import { quantity, ratioRow } from "../support/report.ts"
import { compare, interleave } from "../support/rounds.ts"
import { gibibytesPerSecond } from "../support/statistics.ts"
import * as Worker from "../support/Worker.ts"

const rates = quantity("GiB/s")

const perSecond = quantity("/s")

const atLeast = (value: number) => ({ bound: "at least", value }) as const

const echo = (settings: Settings) =>
  Effect.gen(function*() {
    const { rounds, short } = settings
    const count = short ? 5 : 100
    const dropIn = yield* Worker.start("dropIn")
    const platform = yield* Worker.start("platform")
    yield* warm([dropIn, platform], settings)
    const rateOf = (worker: Worker.Worker, atOnce: number) =>
      Effect.map(costOf(worker, count, atOnce), (millis) => 1000 / millis)
    const one = yield* interleave(rounds, { dropIn: rateOf(dropIn, 1), platform: rateOf(platform, 1) })
    const many = yield* interleave(rounds, { dropIn: rateOf(dropIn, 16), platform: rateOf(platform, 16) })
    return {
      title: "echo hi, captured",
      notes: [
        `\`Command.string(Command.make("echo", "hi"))\` of @effect/platform with \`NodeCommandExecutor\` of this library on the spawn ` +
        `server, against that of @effect/platform-node; ${rounds} rounds of ${count}.`
      ],
      rows: [
        ratioRow("one at a time, drop-in / original", compare(one.dropIn, one.platform), perSecond, atLeast(3)),
        ratioRow("16 at once, drop-in / original", compare(many.dropIn, many.platform), perSecond, atLeast(3))
      ]
    }
  })

const pipeline = ({ rounds, short }: Settings) =>
  Effect.gen(function*() {
    const bytes = (short ? 8 : 1024) * 2 ** 20
    const rateOf = (peer: string) =>
      Effect.map(
        Worker.start(peer),
        (worker) => Effect.map(worker.ask("pipeline", { bytes, cats: 0 }), gibibytesPerSecond(bytes))
      )
    const { dropIn, platform } = yield* interleave(rounds, {
      dropIn: yield* rateOf("dropIn"),
      platform: yield* rateOf("platform")
    })
    return {
      title: "three stages",
      notes: [
        `\`head -c ${bytes} /dev/zero | tr '\\0' a | wc -c\` by \`Command.pipeTo\` and \`Command.string\` of @effect/platform; ` +
        `${rounds} rounds.`
      ],
      rows: [ratioRow("drop-in / original", compare(dropIn, platform), rates, atLeast(4))]
    }
  })

export const executor: Program = {
  name: "executor",
  title: "bench/executor",
  parts: [echo, pipeline]
}
