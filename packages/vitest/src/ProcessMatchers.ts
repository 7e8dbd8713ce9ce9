/**
 * Matchers for what commands leave. A setup file that imports `@effect-process/vitest/matchers` has them on every `expect`.
 *
 * They take a `CommandResult`, an `ExitStatus`, an exit code, a stage's result, a `CommandError`, a call of a scripted spawner, an
 * `Exit`, `Cause` or `Either` of these, and a `Process`, for which they return a promise: in an Effect,
 * `yield* Effect.promise(() => expect(process).toHaveExited(0))`.
 *
 * @example
 * import "@effect-process/vitest/matchers"
 * import { it } from "@effect/vitest"
 * import { NodeProcess } from "@effect-process/node"
 * import { Effect } from "effect"
 * import { Command } from "effect-process"
 * import { expect } from "vitest"
 *
 * it.live("says why", () =>
 *   Effect.gen(function*() {
 *     const exit = yield* Effect.exit(Command.run(Command.make("ls", "/nowhere")))
 *     expect(exit).toHaveExited(2)
 *     expect(exit).toHavePrinted(/No such file/, { on: "stderr" })
 *     expect(exit).toHaveFailedWith("NonZeroExit", { exitCode: 2 })
 *   }).pipe(Effect.provide(NodeProcess.layer)))
 *
 * @since 0.1.0
 */
import { type CommandError, ExitStatus, type InvalidOutput, type Process, type Signal } from "effect-process"
import type { ExpectStatic } from "vitest"
import { ending, message, nameOf, nearestLine, outputs } from "./internal/shown.ts"
import * as Subject from "./internal/subject.ts"
import { visibleLines } from "./internal/visible.ts"

/**
 * The tags that a command fails with, and those of other errors.
 *
 * @since 0.1.0
 * @category models
 */
export type Tag = CommandError["_tag"] | InvalidOutput["_tag"] | (string & {})

/**
 * Of what `toHavePrinted` looks at one output alone, when told so.
 *
 * @since 0.1.0
 * @category models
 */
export interface PrintedOptions {
  readonly on?: "stdout" | "stderr"
}

/**
 * For a `Process` it is a promise, for it waits.
 *
 * @since 0.1.0
 * @category models
 */
export type Matched<T> = T extends Process.Process<unknown> ? Promise<void> : void

/**
 * What `expect` gains.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProcessMatchers<T = unknown> {
  /** It ended by itself, with this code, or any where none is given. Waits for the exit of a `Process`. */
  readonly toHaveExited: (code?: number) => Matched<T>
  /** This signal killed it, or any where none is given. Waits for the exit of a `Process`. */
  readonly toHaveBeenKilled: (signal?: Signal.Signal) => Matched<T>
  /**
   * The text is somewhere in what it printed on stdout or stderr, or the expression matches there. Reads the outputs of a
   * `Process` to their end, which can be done once. Of an error that kept no output, its last 8 KiB are looked at.
   */
  readonly toHavePrinted: (expected: string | RegExp, options?: PrintedOptions) => Matched<T>
  /** It failed with an error of this tag, whose fields equal those given. Waits for the exit of a `Process`. */
  readonly toHaveFailedWith: (tag: Tag, fields?: Readonly<Record<string, unknown>>) => Matched<T>
  /** A `Process` has no descendant now; a `CommandResult` had none that its release had to end. */
  readonly toHaveNoDescendants: () => Matched<T>
}

declare module "vitest" {
  // oxlint-disable-next-line typescript/no-empty-object-type -- this is how vitest has its matchers extended
  interface Matchers<T = any> extends ProcessMatchers<T> {}
}

/**
 * What vitest calls a matcher with; of it, these use how values are compared.
 *
 * @since 0.1.0
 * @category models
 */
export interface MatcherContext {
  readonly isNot?: boolean
  readonly equals: (a: unknown, b: unknown) => boolean
}

/**
 * What a matcher returns.
 *
 * @since 0.1.0
 * @category models
 */
export interface Verdict {
  readonly pass: boolean
  readonly message: () => string
  readonly actual?: unknown
  readonly expected?: unknown
}

type Judge = (subject: Subject.Subject) => Verdict

const takes =
  "a CommandResult, ExitStatus, exit code, CommandError, Process, call, or an Exit, Cause or Either of these"

/** Judges at once, or when a process has got there. */
const judge = (
  matcher: string,
  received: unknown,
  waitFor: (process: Process.Process<unknown>) => Promise<Subject.Subject>,
  verdict: Judge
): Verdict | Promise<Verdict> => {
  if (Subject.isProcess(received)) return waitFor(received).then(verdict)
  const subject = Subject.of(received)
  if (subject === undefined) {
    throw new TypeError(`${matcher} takes ${takes}; it was given ${visibleLines(String(received))}`)
  }
  return verdict(subject)
}

const ended = (
  subject: Subject.Subject,
  pass: boolean,
  wanted: string,
  expected: string
): Verdict => ({
  pass,
  message: () =>
    pass
      ? message(`expected ${nameOf(subject)} not to ${wanted}, but it ${ending(subject)}`, ...outputs(subject))
      : message(`expected ${nameOf(subject)} to ${wanted}, but it ${ending(subject)}`, ...outputs(subject)),
  actual: subject.exit === undefined ? undefined : String(subject.exit),
  expected
})

const toHaveExited = (received: unknown, code?: number): Verdict | Promise<Verdict> =>
  judge("toHaveExited", received, Subject.exitOf, (subject) => {
    const { exit } = subject
    const pass = exit !== undefined && ExitStatus.isExited(exit) && (code === undefined || exit.code === code)
    return code === undefined
      ? ended(subject, pass, "exit by itself", "an exit code")
      : ended(subject, pass, `exit with code ${code}`, String(ExitStatus.exited(code)))
  })

const toHaveBeenKilled = (received: unknown, signal?: Signal.Signal): Verdict | Promise<Verdict> =>
  judge("toHaveBeenKilled", received, Subject.exitOf, (subject) => {
    const { exit } = subject
    const pass = exit !== undefined && ExitStatus.isKilled(exit) && (signal === undefined || exit.signal === signal)
    return ended(subject, pass, `be killed by ${signal ?? "a signal"}`, signal ?? "a signal")
  })

const isPrinted = (text: string | undefined, expected: string | RegExp): boolean => {
  if (text === undefined) return false
  // One that is global or sticky goes on where it last was.
  return typeof expected === "string"
    ? text.includes(expected)
    : new RegExp(expected.source, expected.flags.replace(/[gy]/g, "")).test(text)
}

const toHavePrinted = (
  received: unknown,
  expected: string | RegExp,
  { on }: PrintedOptions = {}
): Verdict | Promise<Verdict> =>
  judge("toHavePrinted", received, Subject.outputOf, (subject) => {
    const looked: Subject.Subject = {
      ...subject,
      stdout: on === "stderr" ? undefined : subject.stdout,
      stderr: on === "stdout" ? undefined : subject.stderr
    }
    const pass = isPrinted(looked.stdout, expected) || isPrinted(looked.stderr, expected)
    const what = typeof expected === "string" ? JSON.stringify(expected) : String(expected)
    const where = on === undefined ? "" : ` on ${on}`
    const isKnown = looked.stdout !== undefined || looked.stderr !== undefined
    return {
      pass,
      message: () => {
        if (!isKnown) {
          return `expected ${nameOf(subject)} to print ${what}${where}, but nothing is known of what it printed; it ${
            ending(subject)
          }`
        }
        if (pass) {
          return message(`expected ${nameOf(subject)} not to print ${what}${where}, but it did`, ...outputs(looked))
        }
        const nearest = typeof expected === "string" ? nearestLine(looked, expected) : []
        return message(
          `expected ${nameOf(subject)} to print ${what}${where}, but it did not`,
          ...outputs(looked),
          ...(nearest.length === 0 ? [] : ["", ...nearest])
        )
      }
    }
  })

const tagOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "_tag" in error
    ? String(error._tag)
    : error instanceof Error
    ? error.name
    : String(error)

const show = (value: unknown): string => {
  try {
    return typeof value === "string" ? JSON.stringify(value) : visibleLines(JSON.stringify(value) ?? String(value))
  } catch {
    return visibleLines(String(value))
  }
}

const toHaveFailedWith = (
  context: MatcherContext,
  received: unknown,
  tag: string,
  fields: Readonly<Record<string, unknown>> = {}
): Verdict | Promise<Verdict> =>
  judge("toHaveFailedWith", received, Subject.exitOf, (subject) => {
    const { error, outcome } = subject
    const isTagged = outcome === "failed" && tagOf(error) === tag
    const actual = (key: string): unknown => (error as Readonly<Record<string, unknown>>)[key]
    const wrong = isTagged ? Object.entries(fields).filter(([key, value]) => !context.equals(actual(key), value)) : []
    const pass = isTagged && wrong.length === 0
    const text = error instanceof Error ? `: ${visibleLines(error.message)}` : ""
    return {
      pass,
      message: () => {
        const wanted = `expected ${nameOf(subject)}${pass ? " not" : ""} to fail with ${tag}`
        if (outcome !== "failed") return message(`${wanted}, but it ${ending(subject)}`, ...outputs(subject))
        if (pass) return message(`${wanted}, but it did${text}`, ...outputs(subject))
        if (!isTagged) return message(`${wanted}, but it failed with ${tagOf(error)}${text}`, ...outputs(subject))
        const lines = wrong.map(([key, value]) => `  ${key}: expected ${show(value)}, it is ${show(actual(key))}`)
        return message(`${wanted} whose fields differ${text}`, ...lines, ...outputs(subject))
      },
      actual: outcome === "failed" ? tagOf(error) : undefined,
      expected: tag
    }
  })

const toHaveNoDescendants = (received: unknown): Verdict | Promise<Verdict> =>
  judge("toHaveNoDescendants", received, Subject.descendantsOf, (subject) => {
    const { left } = subject
    if (left === undefined) {
      throw new TypeError(
        "toHaveNoDescendants takes a Process, a CommandResult, or an Exit or Either of a CommandResult"
      )
    }
    const pass = left.length === 0
    const rows = left.map(({ commandLine, pid, state }) => `  ${pid} ${state} ${visibleLines(commandLine)}`)
    return {
      pass,
      message: () =>
        pass
          ? `expected ${nameOf(subject)} to have descendants, but it has none`
          : message(`expected ${nameOf(subject)} to have no descendants, but it has ${left.length}:`, ...rows)
    }
  })

/**
 * The matchers as vitest wants them.
 *
 * @since 0.1.0
 * @category matchers
 */
export const matchers = {
  toHaveExited,
  toHaveBeenKilled,
  toHavePrinted,
  toHaveFailedWith(
    this: MatcherContext,
    received: unknown,
    tag: string,
    fields?: Readonly<Record<string, unknown>>
  ): Verdict | Promise<Verdict> {
    return toHaveFailedWith(this, received, tag, fields)
  },
  toHaveNoDescendants
}

/**
 * Adds the matchers to an `expect`. Importing `@effect-process/vitest/matchers` does it for that of vitest.
 *
 * @example
 * import { ProcessMatchers } from "@effect-process/vitest"
 * import { expect } from "vitest"
 *
 * ProcessMatchers.extendExpect(expect)
 * expect(0).toHaveExited(0)
 *
 * @since 0.1.0
 * @category matchers
 */
export const extendExpect = (expect: Pick<ExpectStatic, "extend">): void => expect.extend(matchers)
