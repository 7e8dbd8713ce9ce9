/** What a cassette holds, as JSON that a person can read and compare. */
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { Signal } from "effect-process"
import { bytesOf, concat } from "./bytes.ts"

/** The newest version that this program reads, and the one that it writes. */
const version = 1

const SignalName = Schema.String.pipe(
  Schema.filter((name): name is Signal.Signal => Signal.isSignal(name), { message: () => "no name of a signal" })
)

const ExitCode = Schema.Int.pipe(Schema.between(0, 255))

/** Text is a string, or one for each line; what is no UTF-8 is in base64. */
const Content = Schema.Union(
  Schema.String,
  Schema.Array(Schema.String),
  Schema.Struct({ base64: Schema.String })
)

type Content = typeof Content.Type

/** `after` is in milliseconds since the event before; `stage` is counted from 0. */
const moment = {
  after: Schema.optional(Schema.Number.pipe(Schema.nonNegative())),
  stage: Schema.optional(Schema.NonNegativeInt)
}

const Stage = Schema.Struct({
  file: Schema.String,
  args: Schema.Array(Schema.String),
  directory: Schema.optional(Schema.String),
  env: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.NullOr(Schema.String) }))
})

/**
 * What happened, in order. `stdout`, `stderr`, `descriptor`, `exit`, `killedBy` and `left` are what the programs did;
 * `stdin`, `stdinEnd`, `sent` and `closed` are what was done to them, which a replay waits for.
 */
const Event = Schema.Union(
  Schema.Struct({ ...moment, stdout: Content }),
  Schema.Struct({ ...moment, stderr: Content }),
  Schema.Struct({ ...moment, descriptor: Schema.NonNegativeInt, data: Content }),
  Schema.Struct({ ...moment, stdin: Content }),
  Schema.Struct({ ...moment, stdinEnd: Schema.Literal(true) }),
  Schema.Struct({ ...moment, sent: SignalName }),
  Schema.Struct({ ...moment, closed: Schema.NonNegativeInt }),
  Schema.Struct({ ...moment, left: Schema.Array(Schema.String) }),
  Schema.Struct({ ...moment, exit: ExitCode }),
  Schema.Struct({ ...moment, killedBy: SignalName, coreDumped: Schema.optional(Schema.Boolean) })
)

const SpawnErrorFields = Schema.Struct({
  reason: Schema.Literal(
    "NotFound",
    "PermissionDenied",
    "NotExecutable",
    "BadWorkingDirectory",
    "InvalidArgument",
    "ArgumentListTooLong",
    "ResourceExhausted",
    "Unsupported",
    "Unknown"
  ),
  stage: Schema.Literal("validate", "fork", "chdir", "open", "limits", "user", "exec"),
  errno: Schema.optional(Schema.String),
  path: Schema.optional(Schema.String),
  detail: Schema.String,
  index: Schema.optional(Schema.NonNegativeInt)
})

const Interaction = Schema.Struct({
  stages: Schema.NonEmptyArray(Stage),
  spawnError: Schema.optional(SpawnErrorFields),
  events: Schema.optionalWith(Schema.Array(Event), { default: () => [] })
})

const Cassette = Schema.Struct({ version: Schema.Literal(version), interactions: Schema.Array(Interaction) })

/** @internal */
export type RecordedStage = typeof Stage.Type
/** @internal */
export type RecordedEvent = typeof Event.Type
/** @internal */
export type RecordedSpawnError = typeof SpawnErrorFields.Type
/** @internal */
export type Interaction = typeof Interaction.Type

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The text that bytes are, when they are one. */
const decoded = (bytes: Uint8Array): string | undefined => {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

/**
 * How many bytes at the end are the beginning of a character whose rest comes with the next read.
 *
 * @internal
 */
export const incomplete = (bytes: Uint8Array): number => {
  for (let n = 1; n <= Math.min(3, bytes.byteLength); n++) {
    const byte = bytes[bytes.byteLength - n] ?? 0
    if ((byte & 0xc0) === 0x80) continue
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    return length > n ? n : 0
  }
  return 0
}

/** @internal */
export const contentOf = (bytes: Uint8Array): Content => {
  const text = decoded(bytes)
  if (text === undefined) return { base64: Encoding.encodeBase64(bytes) }
  const lines = text.split(/(?<=\n)/)
  return lines.length > 1 ? lines : text
}

/** @internal */
export const bytesOfContent = (content: Content): Uint8Array => {
  if (typeof content === "string") return bytesOf(content)
  if (!("base64" in content)) return concat(content.map(bytesOf))
  return Either.getOrElse(Encoding.decodeBase64(content.base64), () => new Uint8Array(0))
}

/** What a line of a cassette has room for. */
const width = 110

/** JSON with one event or one argument list in a line, where there is room, and the lines of an output each in its own. */
const layOut = (value: unknown, indent: string): string => {
  if (typeof value !== "object" || value === null) return JSON.stringify(value)
  const isText = Array.isArray(value) && value.some((line) => typeof line === "string" && line.endsWith("\n"))
  const spaced = JSON.stringify(value, null, 1).replace(/\n\s*/g, " ")
  const flat = Array.isArray(value) ? spaced.replace(/^\[ | \]$/g, (bracket) => bracket.trim()) : spaced
  const isDeep = Object.values(value).some((inner) => typeof inner === "object" && inner !== null)
  if (!isText && !isDeep && indent.length + flat.length <= width) return flat
  const inner = `${indent}  `
  const parts = Array.isArray(value)
    ? value.map((item) => layOut(item, inner))
    : Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${layOut(item, inner)}`)
  const [open, close] = Array.isArray(value) ? "[]" : "{}"
  return parts.length === 0 ? `${open}${close}` : `${open}\n${inner}${parts.join(`,\n${inner}`)}\n${indent}${close}`
}

/** @internal */
export const print = (interactions: ReadonlyArray<Interaction>): string => `${layOut({ version, interactions }, "")}\n`

/**
 * What a cassette says, or what is wrong with it.
 *
 * @internal
 */
export const parse = (text: string): Either.Either<ReadonlyArray<Interaction>, string> => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    return Either.left(`it is no JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
  const found = typeof json === "object" && json !== null && "version" in json ? json.version : undefined
  if (typeof found === "number" && found > version) {
    return Either.left(
      `it is of version ${found}, and this release reads version ${version}; update @effect-process/vitest`
    )
  }
  return Schema.decodeUnknownEither(Cassette, { onExcessProperty: "error" })(json).pipe(
    Either.map(({ interactions }) => interactions),
    Either.mapLeft((error) => {
      const issue = ParseResult.ArrayFormatter.formatErrorSync(error)[0]
      return `${issue?.path.join(".") || "the whole"}: ${issue?.message ?? "it is no cassette"}`
    })
  )
}
