/** One scenario: commands that bear a token, bounds, a positive control, and a look at what is left when it is over. */
import type { NodeProcess } from "@effect-process/node"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Command, type EngineUnavailable, type ProcessSpawner } from "effect-process"
import type { Guarantees } from "effect-process/Engine"
import * as observer from "./observer.ts"

/** An engine under test. */
export interface Subject {
  readonly name: string
  readonly layer: Layer.Layer<NodeProcess.Services, EngineUnavailable>
  readonly guarantees: Guarantees
}

/** Milliseconds: grace, kill bound, drain bound and slack of scenarios.md. */
export interface Bounds {
  readonly g: number
  readonly k: number
  readonly d: number
  readonly e: number
}

/** `EFFECT_PROCESS_LOADED` says that the machine is busy on purpose, as in the 200 repeats. */
export const bounds: Bounds = {
  g: 300,
  k: 1_000,
  d: 100,
  e: process.env["EFFECT_PROCESS_LOADED"] === undefined ? 250 : 1_500
}

let count = 0

export class Scenario {
  readonly token = `ep-${process.pid}-${++count}-${Date.now().toString(36)}`
  readonly bounds: Bounds
  /** The engine's name, for programs that are owners themselves. */
  readonly engine: string

  constructor(subject: Subject, limits: Bounds) {
    this.engine = subject.name
    this.bounds = limits
  }

  /** `sh -c script`, the token as its $0, so that the arguments of whatever it runs by `"$0"` are unique too. */
  sh(script: string, ...args: ReadonlyArray<string>): Command.Command {
    return this.mark(Command.make("sh", "-c", script, this.token, ...args))
  }

  mark<E, R>(command: Command.Command<E, R>): Command.Command<E, R> {
    return command.pipe(Command.env({ [observer.tokenName]: this.token }), Command.gracePeriod(this.bounds.g))
  }

  /** The positive control: what is to be ended was there. */
  seeAlive(atLeast: number): Effect.Effect<ReadonlyArray<observer.Seen>> {
    return until(`${atLeast} processes of ${this.token} live`, () => {
      const seen = observer.alive(this.token)
      return seen.length >= atLeast ? seen : undefined
    })
  }

  /** Every process whose command line begins so is there. */
  seeRunning(...words: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<observer.Seen>> {
    return until(`running: ${words.join(", ")}`, () => {
      const seen = observer.alive(this.token)
      return words.every((word) => seen.some(({ commandLine }) => commandLine.startsWith(word))) ? seen : undefined
    })
  }

  get isEmpty(): Effect.Effect<void> {
    return Effect.sync(() => assert.deepStrictEqual(observer.alive(this.token), []))
  }

  /** Runs a command, interrupts it once `ready` says so, and tells how many milliseconds the interruption took. */
  interrupt(
    command: Command.Command<unknown>,
    ready: Effect.Effect<unknown>
  ): Effect.Effect<number, never, ProcessSpawner> {
    return Effect.gen(this, function*() {
      const fiber = yield* Effect.fork(Command.run(command))
      yield* ready
      const [elapsed] = yield* timed(Fiber.interrupt(fiber))
      yield* this.isEmpty
      return elapsed
    })
  }
}

/** In a script: until the last job in the background has become the program that these words run. */
export const untilRunning = (words: string): string =>
  `until tr '\\0' ' ' </proc/$!/cmdline | grep -q '^${words} '; do :; done`

/** Polls until a value is there. The bound is the test's own time limit, far above any bound that is asserted. */
export const until = <A>(what: string, look: () => A | undefined): Effect.Effect<A> =>
  Effect.suspend(() => {
    const found = look()
    return found === undefined ? Effect.zipRight(Effect.sleep(5), until(what, look)) : Effect.succeed(found)
  }).pipe(Effect.withSpan(what))

/** Milliseconds that an effect took, and its value. */
export const timed = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<readonly [number, A], E, R> =>
  Effect.suspend(() => {
    const started = performance.now()
    return Effect.map(effect, (value) => [performance.now() - started, value] as const)
  })

export const within = (elapsed: number, limit: number): void =>
  assert.isAtMost(elapsed, limit, `took ${Math.round(elapsed)} ms, at most ${limit} ms are promised`)

/** Ends what a failed scenario left, by pid, so that it fails alone. */
const cleanUp = (token: string): Effect.Effect<void> =>
  Effect.sync(() => {
    const left = observer.alive(token)
    for (const { pid } of left) observer.kill(pid, "SIGKILL")
    const waiting = observer.zombies()
    assert.deepStrictEqual(left, [], "left behind")
    assert.deepStrictEqual(waiting, [], "zombies of ours")
  })

export interface Suite {
  readonly subject: Subject
  readonly bounds: Bounds
  /** A test with the engine's layer for itself: when it is over the layer has closed, and nothing of it may be left. */
  readonly scenario: (
    name: string,
    body: (scenario: Scenario) => Effect.Effect<unknown, unknown, NodeProcess.Services | Scope.Scope>
  ) => void
}

/** `EFFECT_PROCESS_REPEATS` runs each scenario so many times; one failure fails it. */
const repeats = Number(process.env["EFFECT_PROCESS_REPEATS"] ?? 1) - 1

export const suite = (subject: Subject, limits: Bounds = bounds): Suite => ({
  subject,
  bounds: limits,
  scenario: (name, body) => {
    it.live(name, () => {
      const scenario = new Scenario(subject, limits)
      return Effect.suspend(() => body(scenario)).pipe(
        Effect.scoped,
        Effect.provide(subject.layer),
        Effect.ensuring(cleanUp(scenario.token))
      )
    }, { timeout: 120_000, repeats })
  }
})

/** No descriptor that was not there before. What closed meanwhile was closing then: Node does that in a later turn of its loop. */
export const noDescriptorBut = (before: ReadonlyArray<string>): Effect.Effect<void> => {
  const more = () => observer.descriptors().filter((descriptor) => !before.includes(descriptor))
  return until("descriptors as before", () => more().length === 0 || undefined).pipe(
    Effect.timeout("5 seconds"),
    Effect.catchAll(() => Effect.sync(() => assert.deepStrictEqual(more(), [])))
  )
}
