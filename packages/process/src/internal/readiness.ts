/** How it is found out that a server is ready. */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import { NodeInspectSymbol } from "effect/Inspectable"
import { pipeArguments } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type { Command } from "../Command.ts"
import {
  NonZeroExit,
  OutputError,
  OutputLimitExceeded,
  Signaled,
  SpawnError,
  type SpawnServerLost,
  StdinError,
  TimedOut
} from "../CommandError.ts"
import { ProcessSpawner } from "../ProcessSpawner.ts"
import type { Readiness } from "../Readiness.ts"
import { name } from "./command.ts"
import { raceFirst } from "./fork.ts"
import { Once } from "./once.ts"
import { sleepOn, type Spawner, type StreamName } from "./run.ts"
import { collectAccepted } from "./runner.ts"
import { unredact } from "./spec.ts"
import { LineSplitter } from "./text.ts"

/** @internal */
export const TypeId: unique symbol = Symbol.for("effect-process/Readiness")

/**
 * It will not become ready any more.
 *
 * @internal
 */
export class NeverReady extends Data.TaggedError("NeverReady")<{ readonly detail: string }> {}

/** Something that is waited for, and what was last heard of it. */
interface Wait {
  readonly description: string
  last: string
}

/**
 * A server that is starting, as a readiness sees it.
 *
 * @internal
 */
export interface Watched {
  readonly spawner: Spawner
  /** Shows what the outputs hold, and then all that comes. Returns what takes that back. */
  readonly observe: (listener: (stream: StreamName, bytes: Uint8Array) => void) => () => void
  /** Completes when neither output can bring anything more. */
  readonly outputsEnded: Effect.Effect<void>
  readonly waits: Set<Wait>
}

/** @internal */
export interface Check<A, E, R> {
  readonly description: string
  /** What is wrong with the description itself. */
  readonly problem: string | undefined
  /** Looks, before the start, for what would be taken for the server. */
  readonly before: (spawner: Spawner) => Effect.Effect<void, NeverReady>
  readonly run: (watched: Watched) => Effect.Effect<A, E | NeverReady, R>
}

interface ReadinessImpl<A, E, R> extends Readiness<A, E, R> {
  readonly check: Check<A, E, R>
}

const Proto = {
  [TypeId]: { _A: (_: never) => _, _E: (_: never) => _, _R: (_: never) => _ },
  pipe() {
    return pipeArguments(this, arguments)
  },
  toJSON(this: ReadinessImpl<unknown, unknown, unknown>) {
    return { _id: "Readiness", waitsFor: this.check.description }
  },
  toString(this: ReadinessImpl<unknown, unknown, unknown>) {
    return `Readiness(${this.check.description})`
  },
  [NodeInspectSymbol](this: ReadinessImpl<unknown, unknown, unknown>) {
    return (this as unknown as { toJSON: () => unknown }).toJSON()
  }
}

/** @internal */
export const make = <A, E, R>(check: Check<A, E, R>): Readiness<A, E, R> => {
  const self = Object.create(Proto)
  Object.defineProperty(self, "check", { value: check })
  return self
}

/** @internal */
export const checkOf = <A, E, R>(self: Readiness<A, E, R>): Check<A, E, R> => (self as ReadinessImpl<A, E, R>).check

/** @internal */
export const isReadiness = (u: unknown): u is Readiness<unknown, unknown, unknown> => hasProperty(u, TypeId)

/** Known among what is waited for, as long as it is. */
const leaf = <A, E, R>(options: {
  readonly description: string
  readonly problem?: string | undefined
  readonly before?: Check<A, E, R>["before"]
  readonly run: (watched: Watched, wait: Wait) => Effect.Effect<A, E | NeverReady, R>
}): Readiness<A, E, R> =>
  make({
    description: options.description,
    problem: options.problem,
    before: options.before ?? (() => Effect.void),
    run: (watched) =>
      Effect.suspend(() => {
        const wait: Wait = { description: options.description, last: "" }
        watched.waits.add(wait)
        return Effect.map(options.run(watched, wait), (value) => {
          watched.waits.delete(wait)
          return value
        })
      })
  })

/** The first look comes soon, for the sake of quick servers. Milliseconds. */
const firstPause = 10
const longestPause = 200

/** How long one look may take, so that a lost packet does not cost the whole time. */
const lookBound = Duration.seconds(5)

/** Looks again and again, on the engine's clock; what a look returns on the left says why it is not ready yet. */
const poll = <A, E, R>(
  { spawner }: Watched,
  wait: Wait,
  look: Effect.Effect<Either.Either<A, string>, E, R>
): Effect.Effect<A, E, R> => {
  const late = Effect.as(sleepOn(spawner, lookBound), Either.left(`no answer in ${Duration.format(lookBound)}`))
  const once = raceFirst(look, late)
  const go = (pause: number): Effect.Effect<A, E, R> =>
    Effect.flatMap(once, (found) => {
      if (Either.isRight(found)) return Effect.succeed(found.right)
      wait.last = found.left
      return Effect.zipRight(sleepOn(spawner, pause), go(Math.min(2 * pause, longestPause)))
    })
  return go(firstPause)
}

/** After so long without another byte, the beginning of a line is taken for all of it. */
const quiet = Duration.seconds(1)

/** Longer lines are looked at in parts. Bytes. */
const lineBound = 1024 * 1024

/** Terminal sequences that programs colour their lines with. */
const colours = /\u001b\[[0-9;:]*m/g

class LineFinder {
  private readonly pattern: RegExp
  private readonly found: (match: RegExpExecArray) => void
  private readonly splitter = new LineSplitter()
  private open = 0
  private isNew = false

  constructor(pattern: RegExp, found: (match: RegExpExecArray) => void) {
    this.pattern = pattern
    this.found = found
  }

  push(bytes: Uint8Array): void {
    const lines = this.splitter.push(bytes)
    this.open = lines.length === 0 ? this.open + bytes.byteLength : bytes.byteLength
    this.isNew = true
    this.look(lines)
    if (this.open > lineBound) this.end()
  }

  end(): void {
    this.look(this.splitter.end())
    this.open = 0
  }

  /** Called at intervals: a line that did not grow since the last time may be all there is, as a prompt is. */
  tick(): void {
    if (!this.isNew && this.open > 0) this.look([this.splitter.rest])
    this.isNew = false
  }

  private look(lines: ReadonlyArray<string>): void {
    for (const line of lines) {
      const match = this.pattern.exec(line) ?? this.pattern.exec(line.replaceAll(colours, ""))
      if (match !== null) return this.found(match)
    }
  }
}

/** @internal */
export const line = (pattern: RegExp): Readiness<RegExpExecArray> =>
  leaf<RegExpExecArray, never, never>({
    description: `a line that matches ${pattern}`,
    run: (watched) =>
      Effect.suspend(() => {
        const found = new Once<RegExpExecArray>()
        // Each line is a text of its own, so nothing is remembered from one to the next.
        const stateless = new RegExp(pattern.source, pattern.flags.replaceAll(/[gy]/g, ""))
        const finder = () => new LineFinder(stateless, (match) => found.done(Exit.succeed(match)))
        const finders = { stdout: finder(), stderr: finder() }
        const forget = watched.observe((stream, bytes) => {
          if (!found.isDone) finders[stream].push(bytes)
        })
        const both = (f: (finder: LineFinder) => void) => Effect.sync(() => Object.values(finders).forEach(f))
        const ticks = Effect.forever(Effect.zipRight(sleepOn(watched.spawner, quiet), both((finder) => finder.tick())))
        const ended = Effect.flatMap(
          Effect.zipRight(watched.outputsEnded, both((finder) => finder.end())),
          () => found.isDone ? found.await : new NeverReady({ detail: "its output ended without such a line" })
        )
        return raceFirst(found.await, raceFirst(ended, ticks)).pipe(Effect.ensuring(Effect.sync(forget)))
      })
  })

/** What answers there already is not the server that is about to start. */
const mustBeFree = (port: number, host: string) => (spawner: Spawner): Effect.Effect<void, NeverReady> =>
  Effect.flatMap(
    raceFirst(spawner.connect(port, host), Effect.as(sleepOn(spawner, Duration.seconds(1)), false)),
    (taken) =>
      taken
        ? new NeverReady({
          detail: `something else listens on port ${port} of ${host} already; end it, or give the server another port`
        })
        : Effect.void
  )

const isPort = (port: number): boolean => Number.isInteger(port) && port > 0 && port < 65_536

/** @internal */
export const port = (port: number, host: string): Readiness<void, never, ProcessSpawner> =>
  leaf({
    description: `port ${port} of ${host}`,
    problem: isPort(port) ? undefined : `${port} is no port; write a number from 1 to 65535`,
    before: mustBeFree(port, host),
    run: (watched, wait) =>
      Effect.flatMap(ProcessSpawner, ({ connect }) =>
        poll(
          watched,
          wait,
          Effect.map(connect(port, host), (connected) => connected ? Either.void : Either.left("nobody listens"))
        ))
  })

const parse = (url: string): URL | undefined => {
  try {
    const parsed = new URL(url)
    return parsed.protocol === "http:" || parsed.protocol === "https:" ? parsed : undefined
  } catch {
    return undefined
  }
}

const defaultPorts: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 }

/** What `fetch` says of a failure is in its cause, and in the errors of that. */
const reason = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? reason(error.cause) : error.message
}

/** @internal */
export const http = (given: string | URL | Redacted.Redacted<string>): Readiness<void, never, ProcessSpawner> => {
  const url = parse(Redacted.isRedacted(given) ? unredact(given) ?? "" : String(given))
  const shown = Redacted.isRedacted(given) ? "<redacted>" : url === undefined ? String(given) : withoutUser(url)
  const port = url === undefined ? 0 : url.port === "" ? defaultPorts[url.protocol] ?? 0 : Number(url.port)
  // An address of IPv6 stands in brackets.
  const host = (url?.hostname ?? "").replaceAll(/^\[|\]$/g, "")
  return leaf({
    description: `an answer of ${shown}`,
    problem: url === undefined || !isPort(port)
      ? `${shown} is no address of HTTP; write one such as "http://localhost:3000/"`
      : undefined,
    before: mustBeFree(port, host),
    run: (watched, wait) =>
      Effect.flatMap(ProcessSpawner, ({ connect }) => {
        if (url === undefined) return Effect.never
        const answer = Effect.match(status(url), {
          onFailure: (why) => Either.left(Redacted.isRedacted(given) ? "no answer" : why),
          onSuccess: (status) => status < 400 ? Either.void : Either.left(`it answers with status ${status}`)
        })
        // Cheaper than a request, and less for a server to log.
        const look = Effect.flatMap(
          connect(port, host),
          (connected) => connected ? answer : Effect.succeed(Either.left("nobody listens"))
        )
        return poll(watched, wait, look)
      })
  })
}

const withoutUser = (url: URL): string => {
  const copy = new URL(url)
  copy.username = copy.password = ""
  return copy.href
}

const status = (url: URL): Effect.Effect<number, string> =>
  Effect.tryPromise({
    try: async (signal) => {
      const { password, username } = url
      const basic = btoa(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`)
      const answer = await fetch(withoutUser(url), {
        redirect: "manual",
        signal,
        // A connection that is kept alive would keep a server from ending.
        headers: { connection: "close", ...(username === "" ? {} : { authorization: `Basic ${basic}` }) }
      })
      await answer.body?.cancel()
      return answer.status
    },
    catch: reason
  })

/** What a second try does not mend. */
const isPermanent = ({ reason }: SpawnError): boolean => reason !== "ResourceExhausted" && reason !== "Unknown"

/** @internal */
export const command = <E, R>(
  self: Command<E, R>
): Readiness<void, SpawnError | SpawnServerLost | E, ProcessSpawner | R> =>
  leaf({
    description: `success of ${name(self)}`,
    run: (watched, wait) => {
      const look = Effect.catchAll(
        Effect.as(collectAccepted(self, []), Either.void),
        (error): Effect.Effect<Either.Either<void, string>, SpawnError | SpawnServerLost | E> => {
          if (error instanceof SpawnError) {
            return isPermanent(error) ? Effect.fail(error) : Effect.succeed(Either.left(error.message))
          }
          const isOurs = error instanceof NonZeroExit || error instanceof Signaled || error instanceof TimedOut ||
            error instanceof OutputLimitExceeded || error instanceof StdinError || error instanceof OutputError
          return isOurs ? Effect.succeed(Either.left(error.message)) : Effect.fail(error)
        }
      )
      return poll(watched, wait, look)
    }
  })

/** @internal */
export const check = <A, E, R>(description: string, effect: Effect.Effect<A, E, R>): Readiness<A, never, R> =>
  leaf({
    description,
    run: (watched, wait) => poll(watched, wait, Effect.either(Effect.mapError(effect, reason)))
  })

/** @internal */
export const map = <A, E, R, B>(self: Readiness<A, E, R>, f: (value: A) => B): Readiness<B, E, R> => {
  const check = checkOf(self)
  return make({ ...check, run: (watched) => Effect.map(check.run(watched), f) })
}

/** @internal */
export const flatMap = <A, E, R, B, E2, R2>(
  self: Readiness<A, E, R>,
  f: (value: A) => Readiness<B, E2, R2>
): Readiness<B, E | E2, R | R2> => {
  const first = checkOf(self)
  return make<B, E | E2, R | R2>({
    description: `${first.description}, then what follows from it`,
    problem: first.problem,
    before: first.before,
    run: (watched) =>
      Effect.flatMap(first.run(watched), (value): Effect.Effect<B, E2 | NeverReady, R2> => {
        const next = checkOf(f(value))
        return next.problem === undefined ? next.run(watched) : new NeverReady({ detail: next.problem })
      })
  })
}

/** @internal */
export const all = (
  ...members: ReadonlyArray<Readiness<unknown, unknown, unknown>>
): Readiness<ReadonlyArray<unknown>, unknown, unknown> => {
  const checks = members.map(checkOf)
  return make({
    description: checks.length === 0 ? "nothing" : checks.map(({ description }) => description).join(" and "),
    problem: checks.map(({ problem }) => problem).find((problem) => problem !== undefined),
    before: (spawner) => Effect.forEach(checks, ({ before }) => before(spawner), { discard: true }),
    run: (watched) => Effect.forEach(checks, (check) => check.run(watched), { concurrency: "unbounded" })
  })
}
