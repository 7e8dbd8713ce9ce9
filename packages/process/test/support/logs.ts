import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"

/** Collects what is logged, as `LEVEL message`, debug messages too. */
export const collect = () => {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    lines.push(`${logLevel.label} ${Array.isArray(message) ? message.join(" ") : String(message)}`)
  })
  const provide = Effect.provide(Layer.merge(Logger.add(logger), Logger.minimumLogLevel(LogLevel.All)))
  return { lines, provide, from: (level: string) => lines.filter((line) => line.startsWith(level)) }
}
