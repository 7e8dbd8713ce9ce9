/** A Console that keeps what is printed on stderr. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"

export const collect = Effect.map(Effect.console, (original) => {
  const printed: Array<string> = []
  const error = (...args: ReadonlyArray<unknown>) => void printed.push(args.join(" "))
  const console: Console.Console = {
    ...original,
    error: (...args) => Effect.sync(() => error(...args)),
    unsafe: { ...original.unsafe, error }
  }
  return { printed, provide: Effect.withConsole(console) }
})
