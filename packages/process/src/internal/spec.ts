/** What a command says, checked when it is built and resolved when it is spawned. */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import type { Limits, User } from "../Engine.ts"
import { isSignal, type Signal } from "../Signal.ts"
import type * as Stdio from "../Stdio.ts"
import { printable } from "./text.ts"
import { secrets, type Word } from "./words.ts"

/** @internal */
export type EnvValue = string | Redacted.Redacted<string> | undefined

/** @internal */
export type From = "stdout" | "stderr" | "all"

/** @internal */
export type Input = Stdio.Input<unknown, unknown>

/** @internal */
export type Output = Stdio.Output<unknown, unknown>

/** @internal */
export type ErrorOutput = Output | Stdio.ToStdout

/** A descriptor above 2. @internal */
export type Descriptor =
  | "ignore"
  | Stdio.File
  | Stream.Stream<Uint8Array | string, unknown, unknown>
  | Sink.Sink<unknown, Uint8Array, unknown, unknown, unknown>

/**
 * One command of a pipeline.
 *
 * @internal
 */
export interface Stage {
  readonly words: ReadonlyArray<Word>
  /** What was wrong with the first bad input; building a command never throws. */
  readonly problem: string | undefined
  readonly env: Readonly<Record<string, EnvValue>>
  readonly extendEnv: boolean
  readonly workingDirectory: string | undefined
  readonly stdin: Input | undefined
  readonly stdout: Output
  readonly stderr: ErrorOutput
  readonly descriptors: ReadonlyMap<number, Descriptor>
  /** What of it the next stage reads; nothing for the last one. */
  readonly feeds: From | undefined
  readonly accepted: ReadonlyArray<number> | "any"
  readonly limits: Limits | undefined
  readonly nice: number | undefined
  readonly umask: number | undefined
  readonly user: User | undefined
  readonly argv0: string | undefined
  /** Its environment tells it of the trace that it is part of. */
  readonly traced: boolean
}

/** Of a terminal. @internal */
export interface Size {
  readonly columns: number
  readonly rows: number
}

/**
 * What is said of the whole job. Of a pipeline, what the left-most stage that has one says.
 *
 * @internal
 */
export interface Settings {
  readonly killSignal?: Signal
  readonly gracePeriod?: Duration.Duration
  /** Infinite when it was taken back. */
  readonly timeout?: Duration.Duration
  readonly maxOutput?: number
  readonly label?: string
  readonly verbose?: boolean
  readonly terminal?: Size
}

/** @internal */
export type Stages = readonly [Stage, ...ReadonlyArray<Stage>]

/** @internal */
export interface Spec {
  readonly stages: Stages
  readonly settings: Settings
}

const emptyStage: Stage = {
  words: [],
  problem: undefined,
  env: {},
  extendEnv: true,
  workingDirectory: undefined,
  stdin: undefined,
  stdout: "pipe",
  stderr: "pipe",
  descriptors: new Map(),
  feeds: undefined,
  accepted: [0],
  limits: undefined,
  nice: undefined,
  umask: undefined,
  user: undefined,
  argv0: undefined,
  traced: false
}

/** @internal */
export const single = (words: ReadonlyArray<Word>): Spec => ({ stages: [{ ...emptyStage, words }], settings: {} })

const defaults = {
  killSignal: "SIGTERM",
  gracePeriod: Duration.seconds(5),
  maxOutput: 100 * 1024 * 1024
} as const

/** @internal */
export const settingsOf = ({ settings }: Spec) => {
  const { gracePeriod, killSignal, maxOutput, timeout } = settings
  return {
    killSignal: killSignal ?? defaults.killSignal,
    gracePeriod: gracePeriod ?? defaults.gracePeriod,
    maxOutput: maxOutput ?? defaults.maxOutput,
    timeout: timeout === undefined || !Duration.isFinite(timeout) ? undefined : timeout
  }
}

/** @internal */
export const lastOf = (stages: Stages): Stage => stages[stages.length - 1] ?? stages[0]

/**
 * Changes every stage.
 *
 * @internal
 */
export const each = (self: Spec, f: (stage: Stage, index: number, last: number) => Stage): Spec => {
  const [first, ...rest] = self.stages
  const last = rest.length
  return { ...self, stages: [f(first, 0, last), ...rest.map((stage, i) => f(stage, i + 1, last))] }
}

/** @internal */
export const withProblem = (self: Spec, problem: string): Spec =>
  each(self, (stage, index) => index === 0 ? { ...stage, problem: stage.problem ?? problem } : stage)

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

/** @internal */
export const pipe = (self: Spec, next: Spec, from: From): Spec => {
  if (!["stdout", "stderr", "all"].includes(from)) {
    return withProblem(self, `pipeTo: from ${show(from)}; write "stdout", "stderr" or "all"`)
  }
  const [first, ...rest] = self.stages
  const left: Stages = rest.length === 0
    ? [{ ...first, feeds: from }]
    : [first, ...rest.map((stage, i) => i === rest.length - 1 ? { ...stage, feeds: from } : stage)]
  return { stages: [...left, ...next.stages], settings: { ...next.settings, ...self.settings } }
}

const limitNames: ReadonlyArray<string> = ["cpu", "addressSpace", "openFiles", "fileSize", "processes", "core"]

const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0

/** @internal */
export const isObject = (value: unknown): boolean => typeof value === "object" && value !== null

/**
 * The value of a Redacted, or nothing where it is no string any more: a wiped one throws.
 *
 * @internal
 */
export const unredact = (value: Redacted.Redacted<string>): string | null => {
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
): Spec =>
  each(self, (stage) => ({
    ...stage,
    env: { ...stage.env, ...vars },
    extendEnv: options?.extendEnv ?? stage.extendEnv
  }))

const set = (self: Spec, settings: Settings): Spec => ({ ...self, settings: { ...self.settings, ...settings } })

/**
 * A duration, or nothing where it is none. `Duration` itself makes zero of a number that is no amount of time.
 *
 * @internal
 */
export const durationOf = (input: unknown): Option.Option<Duration.Duration> =>
  typeof input === "number" && !(input >= 0) ? Option.none() : Duration.decodeUnknown(input)

/** @internal */
export const setDuration = (self: Spec, key: "gracePeriod" | "timeout", input: Duration.DurationInput): Spec => {
  const decoded = durationOf(input)
  if (Option.isNone(decoded)) {
    return withProblem(self, `${key} ${show(input)} is no duration; write "2 seconds" or a number of milliseconds`)
  }
  return key === "timeout" || Duration.isFinite(decoded.value)
    ? set(self, { [key]: decoded.value })
    : withProblem(self, "gracePeriod must be finite; a release must end some time")
}

/** @internal */
export const setKillSignal = (self: Spec, signal: Signal): Spec =>
  isSignal(signal)
    ? set(self, { killSignal: signal })
    : withProblem(self, `killSignal ${show(signal)} is no signal; write a name such as "SIGTERM"`)

/** @internal */
export const setAccepted = (self: Spec, codes: ReadonlyArray<number | "any">): Spec => {
  if (codes.includes("any")) return each(self, (stage) => ({ ...stage, accepted: "any" }))
  // Not by `find`, which would give `undefined` for a code that is just that.
  const bad = codes.findIndex((code) => !isCount(code) || code > 255)
  return bad < 0
    ? each(self, (stage) => ({ ...stage, accepted: codes.filter((code) => code !== "any") }))
    : withProblem(self, `acceptExitCodes: ${show(codes[bad])} is no exit code; they are 0 to 255`)
}

/** @internal */
export const setMaxOutput = (self: Spec, bytes: number): Spec =>
  typeof bytes === "number" && bytes >= 0
    ? set(self, { maxOutput: bytes })
    : withProblem(self, `maxOutput: ${show(bytes)} is no number of bytes; write 0 or more`)

/** @internal */
export const setLimits = (self: Spec, limits: Limits): Spec => {
  if (!isObject(limits)) return withProblem(self, `limits: ${show(limits)}; write an object such as { openFiles: 64 }`)
  const bad = Object.entries(limits).find(([name, value]) =>
    !limitNames.includes(name) || !(isCount(value) || value === Infinity || value === undefined)
  )
  return bad === undefined
    ? each(self, (stage) => ({ ...stage, limits: { ...stage.limits, ...limits } }))
    : withProblem(
      self,
      `limits: ${bad[0]} = ${show(bad[1])}; write a whole number or Infinity for one of ${limitNames.join(", ")}`
    )
}

/** @internal */
export const setNice = (self: Spec, nice: number): Spec =>
  Number.isInteger(nice) && nice >= -20 && nice <= 19
    ? each(self, (stage) => ({ ...stage, nice }))
    : withProblem(self, `nice: ${show(nice)}; write a whole number from -20 to 19`)

/** @internal */
export const setUmask = (self: Spec, umask: number): Spec =>
  isCount(umask) && umask <= 0o777
    ? each(self, (stage) => ({ ...stage, umask }))
    : withProblem(self, `umask: ${show(umask)}; write a number from 0 to 0o777`)

/**
 * What is wrong with the size of a terminal, if anything is.
 *
 * @internal
 */
export const sizeProblem = ({ columns, rows }: Size): string | undefined => {
  const isSize = (value: unknown): boolean => isCount(value) && value >= 1 && value <= 65_535
  const bad = [["columns", columns] as const, ["rows", rows] as const].find(([, value]) => !isSize(value))
  return bad === undefined ? undefined : `${bad[0]} ${show(bad[1])}; write a whole number from 1 to 65535`
}

/** @internal */
export const setTerminal = (self: Spec, options: Partial<Size> | undefined): Spec => {
  if (options !== undefined && !isObject(options)) {
    return withProblem(self, `terminal: ${show(options)}; write an object such as { columns: 80, rows: 24 }`)
  }
  const size = { columns: options?.columns ?? 80, rows: options?.rows ?? 24 }
  const problem = sizeProblem(size)
  return problem === undefined ? set(self, { terminal: size }) : withProblem(self, `terminal: ${problem}`)
}

/** @internal */
export const setStdin = (self: Spec, stdin: Input): Spec =>
  each(self, (stage, index) => index === 0 ? { ...stage, stdin } : stage)

/** @internal */
export const setStdout = (self: Spec, stdout: Output): Spec =>
  each(self, (stage, index, last) => index === last ? { ...stage, stdout } : stage)

/** Of every stage that does not pipe its stderr on. @internal */
export const setStderr = (self: Spec, stderr: ErrorOutput): Spec =>
  each(self, (stage) => stage.feeds === "stderr" || stage.feeds === "all" ? stage : { ...stage, stderr })

/** @internal */
export const setDescriptor = (self: Spec, fd: number, descriptor: Descriptor): Spec => {
  const top = 1023
  return Number.isInteger(fd) && fd >= 3 && fd <= top
    ? each(self, (stage) => ({ ...stage, descriptors: new Map(stage.descriptors).set(fd, descriptor) }))
    : withProblem(self, `fd: ${show(fd)}; write a whole number from 3 to ${top}, or use stdin, stdout, stderr`)
}

/** @internal */
export const setUser = (self: Spec, user: User): Spec => {
  if (!isObject(user)) return withProblem(self, `user: ${show(user)}; write an object such as { uid: 1000, gid: 1000 }`)
  if (user.groups !== undefined && !Array.isArray(user.groups)) {
    return withProblem(self, `user: groups ${show(user.groups)}; write an array of ids`)
  }
  const ids = [
    ["uid", user.uid] as const,
    ["gid", user.gid] as const,
    ...(user.groups ?? []).map((group) => ["groups", group] as const)
  ]
  // The largest one says "no change" to setresuid(2).
  const bad = ids.find(([, id]) => !isCount(id) || id >= 2 ** 32 - 1)
  return bad === undefined
    ? each(self, (stage) => ({ ...stage, user }))
    : withProblem(self, `user: ${bad[0]} ${show(bad[1])} is no id; write a whole number from 0`)
}

/**
 * The secrets that a spawn of this command carries, to be kept out of whatever is shown.
 *
 * @internal
 */
export const secretsOf = (self: Spec): ReadonlyArray<string> => {
  const known = secretsOfSpec.get(self)
  if (known !== undefined) return known
  const found = findSecrets(self)
  secretsOfSpec.set(self, found)
  return found
}

const secretsOfSpec = new WeakMap<Spec, ReadonlyArray<string>>()

const findSecrets = ({ stages }: Spec): ReadonlyArray<string> => {
  const all = new Set<string>()
  for (const { env, words } of stages) {
    const readable = words.map((word) => word.filter((piece) => typeof piece === "string" || unredact(piece) !== null))
    for (const secret of secrets(readable)) all.add(secret)
    for (const value of Object.values(env)) {
      const text = Redacted.isRedacted(value) ? unredact(value) : null
      if (text !== null && text !== "") all.add(text)
    }
  }
  // As a program that writes JSON prints it, too.
  for (const secret of [...all]) all.add(JSON.stringify(secret).slice(1, -1))
  return [...all]
}
