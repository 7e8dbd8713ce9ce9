/** What the tests of one file share: the spawner, the leak check, and who uses them last. */
import * as NodeProcess from "@effect-process/node/NodeProcess"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { ProcessSpawner } from "effect-process/ProcessSpawner"
import { type RunnerTestFile, vi } from "vitest"
import { getHooks } from "vitest/suite"
import { boundsOf } from "./bounds.ts"
import * as leaks from "./leaks.ts"
import { prepare } from "./prepare.ts"
import { recorded } from "./recorded.ts"
import { leakError } from "./renderLeaks.ts"
import { describe, look } from "./view.ts"

type Service = Context.Tag.Service<ProcessSpawner>

/** The engine of a file, with the processes that serve it. */
interface Engine {
  readonly service: Service
  readonly scope: Scope.CloseableScope
}

/** Its own processes, the spawn server and the watchdog, say who they are. */
const isEngine = (pid: number): boolean => {
  const row = look().row(pid)
  return row !== undefined && describe(row).commandLine.includes("effect-process")
}

/** @internal */
export class Harness {
  readonly file: RunnerTestFile
  /** Who runs at the moment. Two at once: what one of them leaves might be the other's. */
  readonly #running = new Set<object>()
  #overlap = false
  readonly #baseline: leaks.Baseline
  #holders = 0
  #engine: Promise<Engine> | undefined
  readonly #pids = new Set<number>()

  private constructor(file: RunnerTestFile) {
    this.file = file
    prepare()
    this.#baseline = leaks.begin(this.#pids)
    this.hold()
    // The first of these hooks runs last. It is put there when the first test of the file runs, so that it need not be told the file.
    getHooks(file).afterAll.unshift(() => this.letGo())
  }

  static readonly #all = new WeakMap<RunnerTestFile, Harness>()

  static of(file: RunnerTestFile): Harness {
    const known = Harness.#all.get(file)
    if (known !== undefined) return known
    const made = new Harness(file)
    Harness.#all.set(file, made)
    return made
  }

  /** The spawner that all tests of the file share; `test` is whom its commands are put down to. */
  async spawner(test: string): Promise<Service> {
    this.#engine ??= this.#start()
    return recorded((await this.#engine).service, test)
  }

  async #start(): Promise<Engine> {
    const before = new Set(look().own)
    const scope = Effect.runSync(Scope.make())
    try {
      const context = await Effect.runPromise(Layer.buildWithScope(NodeProcess.layer, scope))
      for (const pid of look().own) if (!before.has(pid) && isEngine(pid)) this.#pids.add(pid)
      return { scope, service: Effect.runSync(Effect.provide(ProcessSpawner, context)) }
    } catch (error) {
      this.#engine = undefined
      throw error
    }
  }

  async #stop(): Promise<void> {
    const engine = this.#engine
    if (engine === undefined) return
    this.#engine = undefined
    await engine.then(({ scope }) => Effect.runPromise(Scope.close(scope, Exit.void)), () => undefined)
    this.#pids.clear()
  }

  /** An engine replaces a lost server by itself; that one is known to nobody here, so it goes with its engine. */
  async #replaceIfLost(): Promise<void> {
    const view = look()
    if ([...this.#pids].some((pid) => view.row(pid) === undefined)) await this.#stop()
  }

  /** Begins to look after a test; the answer is to be called when it has released what it holds. */
  watch(test: string, isConcurrent: boolean): () => Promise<void> {
    const self = {}
    this.#running.add(self)
    if (isConcurrent || this.#running.size > 1) this.#overlap = true
    const baseline = this.#overlap ? undefined : leaks.begin(this.#pids)
    return async () => {
      const isAlone = baseline !== undefined && !this.#overlap
      this.#running.delete(self)
      if (this.#running.size === 0) this.#overlap = false
      if (!isAlone) return
      await this.#replaceIfLost()
      await this.#check(`the test ${JSON.stringify(test)}`, { ...baseline, harness: this.#pids }, false)
    }
  }

  async #check(during: string, baseline: leaks.Baseline, anew: boolean): Promise<void> {
    const found = await leaks.collect(baseline, boundsOf(this.file), anew)
    if (found.length > 0) throw leakError(during, found)
  }

  /** The engine is there until everybody who holds it has let go. */
  hold(): void {
    this.#holders++
  }

  /** The last one looks for what the tests of the file have left, and ends the engine. */
  async letGo(): Promise<void> {
    if (--this.#holders > 0) return
    Harness.#all.delete(this.file)
    // A test may have left them, and the engine needs real ones to end.
    if (vi.isFakeTimers()) vi.useRealTimers()
    await this.#replaceIfLost()
    try {
      await this.#check(`the tests of ${this.file.name}`, this.#baseline, true)
    } finally {
      await this.#stop()
    }
  }
}
