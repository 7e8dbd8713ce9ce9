/** Commands as lines for a shell, and the time that they took as a shell prints it. Redacted values are hidden. */
import * as Duration from "effect/Duration"
import * as Redacted from "effect/Redacted"
import type { ResourceUsage } from "../ProcessInfo.ts"
import { File, ToStdout } from "../Stdio.ts"
import { bars, stageName } from "./command.ts"
import { render } from "./quoting.ts"
import { type EnvValue, type Spec, type Stage } from "./spec.ts"

const quoted = (value: string | Redacted.Redacted<string>): string => render([[value]])

const isShowable = (value: unknown): value is string | Redacted.Redacted<string> =>
  typeof value === "string" || Redacted.isRedacted(value)

/** Before the words: what changes the environment, by env(1) where assignments cannot say it. */
const environment = ({ env, extendEnv }: Stage): ReadonlyArray<string> => {
  const entries: ReadonlyArray<readonly [string, EnvValue]> = Object.entries(env)
  const removed = extendEnv ? entries.filter(([, value]) => value === undefined) : []
  const options = [...(extendEnv ? [] : ["-i"]), ...removed.flatMap(([name]) => ["-u", quoted(name)])]
  const assignments = entries.flatMap(([name, value]) => isShowable(value) ? [`${name}=${quoted(value)}`] : [])
  return [...(options.length === 0 ? [] : ["env", ...options]), ...assignments]
}

/** The words of a stage with the environment it is given. */
const commandLine = (stage: Stage): string => [...environment(stage), stageName(stage)].join(" ")

const redirection = (fd: number, usual: "<" | ">", to: unknown): ReadonlyArray<string> => {
  if (to instanceof ToStdout) return ["2>&1"]
  if (!(to instanceof File) || typeof to.path !== "string") return []
  const mode = to.mode ?? (usual === "<" ? "read" : "write")
  const operator = { read: "<", write: ">", append: ">>" }[mode]
  const number = fd === (mode === "read" ? 0 : 1) ? "" : String(fd)
  return [`${number}${operator} ${quoted(to.path)}`]
}

const redirections = ({ descriptors, stderr, stdin, stdout }: Stage): ReadonlyArray<string> => [
  ...redirection(0, "<", stdin),
  ...redirection(1, ">", stdout),
  ...redirection(2, ">", stderr),
  ...[...descriptors].flatMap(([fd, to]) => redirection(fd, "<", to))
]

const inDirectory = ({ workingDirectory }: Stage): ReadonlyArray<string> =>
  typeof workingDirectory === "string" ? [`cd ${quoted(workingDirectory)}`] : []

/**
 * The whole command in one line, with directories and files.
 *
 * @internal
 */
export const shellLine = ({ stages }: Spec): string =>
  stages.map((stage) => {
    const line = [commandLine(stage), ...redirections(stage)].join(" ")
    const [change] = inDirectory(stage)
    const whole = change === undefined ? line : `(${change} && ${line})`
    return whole + (stage.feeds === undefined ? "" : bars[stage.feeds])
  }).join("")

/**
 * What `set -x` prints: a line for each command, with a plus sign.
 *
 * @internal
 */
export const traceLines = ({ stages }: Spec): string =>
  stages.flatMap((stage) => [...inDirectory(stage), commandLine(stage)]).map((line) => `+ ${line}`).join("\n")

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
