/** What a command says, checked when it is built and resolved when it is spawned. */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { type Limits, SpawnFailure, type StageRequest, type StdioRequest, type User } from "../Engine.ts"
import { isSignal, type Signal } from "../Signal.ts"
import { printable } from "./text.ts"
import { reveal, secrets, type Word } from "./words.ts"

/** @internal */
export type EnvValue = string | Redacted.Redacted<string> | undefined

/** @internal */
export type Input<E = unknown, R = unknown> = StdioRequest | Stream.Stream<Uint8Array | string, E, R>

/** @internal */
export interface Spec {
  readonly words: ReadonlyArray<Word>
  /** What was wrong with the first bad input; building a command never throws. */
  readonly problem: string | undefined
  readonly env: Readonly<Record<string, EnvValue>>
  readonly extendEnv: boolean
  readonly workingDirectory: string | undefined
  readonly stdin: Input | undefined
  readonly stdout: StdioRequest
  readonly stderr: StdioRequest
  readonly accepted: ReadonlyArray<number> | "any"
  readonly limits: Limits | undefined
  readonly nice: number | undefined
  readonly umask: number | undefined
  readonly user: User | undefined
  readonly argv0: string | undefined
  readonly killSignal: Signal
  readonly gracePeriod: Duration.Duration
  readonly timeout: Duration.Duration | undefined
  readonly maxOutput: number
  readonly label: string | undefined
}

/** @internal */
export const empty: Spec = {
  words: [],
  problem: undefined,
  env: {},
  extendEnv: true,
  workingDirectory: undefined,
  stdin: undefined,
  stdout: "pipe",
  stderr: "pipe",
  accepted: [0],
  limits: undefined,
  nice: undefined,
  umask: undefined,
  user: undefined,
  argv0: undefined,
  killSignal: "SIGTERM",
  gracePeriod: Duration.seconds(5),
  timeout: undefined,
  maxOutput: 100 * 1024 * 1024,
  label: undefined
}

/** @internal */
export const withProblem = (self: Spec, problem: string): Spec => ({ ...self, problem: self.problem ?? problem })

/**
 * A value as it may be shown in an error.
 *
 * @internal
 */
export const show = (value: unknown): string => {
  if (Redacted.isRedacted(value)) return "<redacted>"
  if (typeof value === "string") return `"${printable(value).slice(0, 200)}"`
  try {
    return printable(String(value)).slice(0, 200)
  } catch {
    // An object without a prototype, or one whose toString throws.
    return `(${typeof value})`
  }
}

const limitNames: ReadonlyArray<string> = ["cpu", "addressSpace", "openFiles", "fileSize", "processes", "core"]

const stdioNames = "\"pipe\", \"inherit\", \"ignore\""

const isStdio = (value: unknown): value is StdioRequest => value === "pipe" || value === "inherit" || value === "ignore"

const isCount = (value: unknown): value is number => typeof value === "number" && Number.isInteger(value) && value >= 0

const isObject = (value: unknown): boolean => typeof value === "object" && value !== null

/** The value of a Redacted, or nothing where it is no string any more: a wiped one throws. */
const unredact = (value: Redacted.Redacted<string>): string | null => {
  try {
    const text: unknown = Redacted.value(value)
    return typeof text === "string" ? text : null
  } catch {
    return null
  }
}

/** @internal */
export const setEnv = (
  self: Spec,
  vars: Readonly<Record<string, EnvValue>>,
  options: { readonly extendEnv?: boolean } | undefined
): Spec => ({ ...self, env: { ...self.env, ...vars }, extendEnv: options?.extendEnv ?? self.extendEnv })

/** @internal */
export const setDuration = (self: Spec, key: "gracePeriod" | "timeout", input: Duration.DurationInput): Spec => {
  const decoded = Duration.decodeUnknown(input)
  // Duration makes zero of what is no amount of time.
  if (Option.isNone(decoded) || (typeof input === "number" && !(input >= 0))) {
    return withProblem(self, `${key} ${show(input)} is no duration; write "2 seconds" or a number of milliseconds`)
  }
  if (Duration.isFinite(decoded.value)) return { ...self, [key]: decoded.value }
  return key === "timeout"
    ? { ...self, timeout: undefined }
    : withProblem(self, "gracePeriod must be finite; a release must end some time")
}

/** @internal */
export const setKillSignal = (self: Spec, signal: Signal): Spec =>
  isSignal(signal)
    ? { ...self, killSignal: signal }
    : withProblem(self, `killSignal ${show(signal)} is no signal; write a name such as "SIGTERM"`)

/** @internal */
export const setAccepted = (self: Spec, codes: ReadonlyArray<number | "any">): Spec => {
  if (codes.includes("any")) return { ...self, accepted: "any" }
  const bad = codes.find((code) => !isCount(code) || code > 255)
  return bad === undefined
    ? { ...self, accepted: codes.filter((code) => code !== "any") }
    : withProblem(self, `acceptExitCodes: ${show(bad)} is no exit code; they are 0 to 255`)
}

/** @internal */
export const setMaxOutput = (self: Spec, bytes: number): Spec =>
  typeof bytes === "number" && bytes >= 0
    ? { ...self, maxOutput: bytes }
    : withProblem(self, `maxOutput: ${show(bytes)} is no number of bytes; write 0 or more`)

/** @internal */
export const setLimits = (self: Spec, limits: Limits): Spec => {
  if (!isObject(limits)) return withProblem(self, `limits: ${show(limits)}; write an object such as { openFiles: 64 }`)
  const bad = Object.entries(limits).find(([name, value]) =>
    !limitNames.includes(name) || !(isCount(value) || value === Infinity || value === undefined)
  )
  return bad === undefined
    ? { ...self, limits: { ...self.limits, ...limits } }
    : withProblem(self, `limits: ${bad[0]} = ${show(bad[1])}; write a whole number for one of ${limitNames.join(", ")}`)
}

/** @internal */
export const setNice = (self: Spec, nice: number): Spec =>
  Number.isInteger(nice) && nice >= -20 && nice <= 19
    ? { ...self, nice }
    : withProblem(self, `nice: ${show(nice)}; write a whole number from -20 to 19`)

/** @internal */
export const setUmask = (self: Spec, umask: number): Spec =>
  isCount(umask) && umask <= 0o777
    ? { ...self, umask }
    : withProblem(self, `umask: ${show(umask)}; write a number from 0 to 0o777`)

/** @internal */
export const setUser = (self: Spec, user: User): Spec => {
  if (!isObject(user)) return withProblem(self, `user: ${show(user)}; write an object such as { uid: 1000, gid: 1000 }`)
  if (user.groups !== undefined && !Array.isArray(user.groups)) {
    return withProblem(self, `user: groups ${show(user.groups)}; write an array of ids`)
  }
  const bad = [user.uid, user.gid, ...(user.groups ?? [])].find((id) => !isCount(id) || id >= 2 ** 32 - 1)
  return bad === undefined
    ? { ...self, user }
    : withProblem(self, `user: ${show(bad)} is no id; write whole numbers from 0`)
}

/**
 * The secrets that a spawn of this command carries, to be kept out of whatever is shown.
 *
 * @internal
 */
export const secretsOf = (self: Spec): ReadonlyArray<string> => {
  const all = [
    ...secrets(self.words.map((word) => word.filter((piece) => typeof piece === "string" || unredact(piece) !== null))),
    ...Object.values(self.env).flatMap((value) => {
      const text = Redacted.isRedacted(value) ? unredact(value) : null
      return text === null || text === "" ? [] : [text]
    })
  ]
  // As a program that writes JSON prints it, too.
  return [...new Set(all.flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)]))]
}

const invalid = (detail: string, path?: string): SpawnFailure =>
  new SpawnFailure({ reason: "InvalidArgument", stage: "validate", errno: undefined, path, detail })

const environment = (
  self: Spec,
  owner: Readonly<Record<string, string>>
): Either.Either<Readonly<Record<string, string>>, SpawnFailure> => {
  const changes = Object.entries(self.env)
  // As it is, so that an engine can know it again.
  if (self.extendEnv && changes.length === 0) return Either.right(owner)
  const env: Record<string, string> = self.extendEnv ? { ...owner } : {}
  for (const [name, value] of changes) {
    if (name === "" || /[=\0]/.test(name)) {
      return Either.left(invalid(`${show(name)} cannot name a variable; leave out "=" and NUL`))
    }
    const text = Redacted.isRedacted(value) ? unredact(value) : value
    if (text === undefined) {
      delete env[name]
      continue
    }
    if (typeof text !== "string") return Either.left(invalid(`variable ${name} is no string; convert it`))
    if (text.includes("\0")) return Either.left(invalid(`variable ${name} holds a NUL byte; remove it`))
    env[name] = text
  }
  return Either.right(env)
}

/**
 * Checks a command and reveals it for an engine.
 *
 * @internal
 */
export const resolve = (
  self: Spec,
  owner: Readonly<Record<string, string>>
): Either.Either<StageRequest, SpawnFailure> => {
  if (self.problem !== undefined) return Either.left(invalid(self.problem))
  const wiped = self.words.findIndex((word) =>
    word.some((piece) => Redacted.isRedacted(piece) && unredact(piece) === null)
  )
  if (wiped >= 0) {
    const which = wiped === 0 ? "the command" : `argument ${wiped}`
    return Either.left(invalid(`${which} is redacted and holds no string, or was wiped; make it anew`))
  }
  const [file, ...args] = self.words.map(reveal)
  if (file === undefined || file === "") return Either.left(invalid("the command is empty; name a program"))
  const at = [file, ...args].findIndex((word) => word.includes("\0"))
  if (at >= 0) {
    return Either.left(
      invalid(`${at === 0 ? "the command" : `argument ${at}`} holds a NUL byte, which no argument can; remove it`)
    )
  }
  const directory: unknown = self.workingDirectory
  if (directory !== undefined && typeof directory !== "string") {
    return Either.left(invalid(`workingDirectory ${show(directory)} is no string; write a path`))
  }
  if (directory === "" || directory?.includes("\0") === true) {
    return Either.left(invalid(`${show(directory)} is no directory; leave it out or name one`, printable(directory)))
  }
  const argv0: unknown = self.argv0
  if (argv0 !== undefined && typeof argv0 !== "string") {
    return Either.left(invalid(`argv0 ${show(argv0)} is no string; write a name`))
  }
  const { stdin } = self
  if (stdin !== undefined && !isStdio(stdin) && !(isObject(stdin) && Stream.StreamTypeId in (stdin as object))) {
    return Either.left(invalid(`stdin ${show(stdin)}; write ${stdioNames} or a Stream`))
  }
  for (const [name, value] of [["stdout", self.stdout], ["stderr", self.stderr]] as const) {
    if (!isStdio(value)) return Either.left(invalid(`${name} ${show(value)}; write ${stdioNames}`))
  }
  if (argv0?.includes("\0") === true) return Either.left(invalid("argv0 holds a NUL byte; remove it"))
  return Either.map(environment(self, owner), (env) => ({
    file,
    args,
    argv0: self.argv0,
    env,
    workingDirectory: directory,
    stdin: typeof self.stdin === "string" ? self.stdin : "pipe",
    stdout: self.stdout,
    stderr: self.stderr,
    limits: self.limits,
    nice: self.nice,
    umask: self.umask,
    user: self.user
  }))
}
