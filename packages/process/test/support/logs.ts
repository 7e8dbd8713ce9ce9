import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"

/** Collects what is logged, as `LEVEL message`, down to a level; debug messages too when nothing is said. */
export const collect = (minimum = LogLevel.All) => {
  const lines: Array<string> = []
  const annotations: Array<Readonly<Record<string, unknown>>> = []
  const logger = Logger.make((options) => {
    const { logLevel, message } = options
    lines.push(`${logLevel.label} ${Array.isArray(message) ? message.join(" ") : String(message)}`)
    annotations.push(Object.fromEntries(HashMap.toEntries(options.annotations)))
  })
  const provide = Effect.provide(Layer.merge(Logger.add(logger), Logger.minimumLogLevel(minimum)))
  return { lines, annotations, provide, from: (level: string) => lines.filter((line) => line.startsWith(level)) }
}
