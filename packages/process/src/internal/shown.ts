/** Commands as lines for a shell, and the time that they took as a shell prints it. Redacted values are hidden. */
import * as Duration from "effect/Duration"
import * as Redacted from "effect/Redacted"
import type { ResourceUsage } from "../ProcessInfo.ts"
import { File, ToStdout } from "../Stdio.ts"
import { bars, stageName } from "./command.ts"
import { render } from "./quoting.ts"
import { type EnvValue, secretsOf, type Spec, type Stage } from "./spec.ts"
import { scrub } from "./text.ts"

type Secrets = ReadonlyArray<string>

/** A plain value may hold what is redacted elsewhere. */
const quoted = (value: string | Redacted.Redacted<string>, secrets: Secrets): string =>
  render([[typeof value === "string" ? scrub(value, secrets) : value]])

const isShowable = (value: unknown): value is string | Redacted.Redacted<string> =>
  typeof value === "string" || Redacted.isRedacted(value)

/** Before the words: what changes the environment, by env(1) where assignments cannot say it. */
const environment = ({ env, extendEnv }: Stage, secrets: Secrets): ReadonlyArray<string> => {
  const entries: ReadonlyArray<readonly [string, EnvValue]> = Object.entries(env)
  const removed = extendEnv ? entries.filter(([, value]) => value === undefined) : []
  const options = [...(extendEnv ? [] : ["-i"]), ...removed.flatMap(([name]) => ["-u", quoted(name, secrets)])]
  const assignments = entries.flatMap(([name, value]) => isShowable(value) ? [`${name}=${quoted(value, secrets)}`] : [])
  return [...(options.length === 0 ? [] : ["env", ...options]), ...assignments]
}

/** The words of a stage with the environment it is given. */
const commandLine = (stage: Stage, secrets: Secrets): string =>
  [...environment(stage, secrets), stageName(stage)].join(" ")

const redirection = (fd: number, usual: "<" | ">", to: unknown, secrets: Secrets): ReadonlyArray<string> => {
  if (to instanceof ToStdout) return ["2>&1"]
  if (!(to instanceof File) || typeof to.path !== "string") return []
  const mode = to.mode ?? (usual === "<" ? "read" : "write")
  const operator = { read: "<", write: ">", append: ">>" }[mode]
  const number = fd === (mode === "read" ? 0 : 1) ? "" : String(fd)
  return [`${number}${operator} ${quoted(to.path, secrets)}`]
}

const redirections = (
  { descriptors, stderr, stdin, stdout }: Stage,
  secrets: Secrets
): ReadonlyArray<string> => [
  ...redirection(0, "<", stdin, secrets),
  ...redirection(1, ">", stdout, secrets),
  ...redirection(2, ">", stderr, secrets),
  ...[...descriptors].flatMap(([fd, to]) => redirection(fd, "<", to, secrets))
]

const inDirectory = ({ workingDirectory }: Stage, secrets: Secrets): ReadonlyArray<string> =>
  typeof workingDirectory === "string" ? [`cd ${quoted(workingDirectory, secrets)}`] : []

/**
 * The whole command in one line, with directories and files.
 *
 * @internal
 */
export const shellLine = (spec: Spec): string => {
  const secrets = secretsOf(spec)
  return spec.stages.map((stage) => {
    const line = [commandLine(stage, secrets), ...redirections(stage, secrets)].join(" ")
    const [change] = inDirectory(stage, secrets)
    const whole = change === undefined ? line : `(${change} && ${line})`
    return whole + (stage.feeds === undefined ? "" : bars[stage.feeds])
  }).join("")
}

/**
 * What `set -x` prints: a line for each command, with a plus sign.
 *
 * @internal
 */
export const traceLines = (spec: Spec): string => {
  const secrets = secretsOf(spec)
  return spec.stages.flatMap((stage) => [...inDirectory(stage, secrets), commandLine(stage, secrets)])
    .map((line) => `+ ${line}`).join("\n")
}

const minutes = (duration: Duration.Duration): string => {
  const millis = Math.round(Duration.toMillis(duration))
  return `${Math.floor(millis / 60_000)}m${((millis % 60_000) / 1000).toFixed(3)}s`
}

/**
 * What `time` of bash prints, which tells milliseconds where `time -p` tells hundredths.
 *
 * @internal
 */
export const timeLines = (real: Duration.Duration, { systemTime, userTime }: ResourceUsage): string =>
  ["", `real\t${minutes(real)}`, `user\t${minutes(userTime)}`, `sys\t${minutes(systemTime)}`].join("\n")
