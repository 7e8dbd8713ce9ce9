import * as Effect from "effect/Effect"
import { NodeInspectSymbol } from "effect/Inspectable"
import { Signaled } from "../CommandError.ts"
import { isExited } from "../ExitStatus.ts"
import type { Process } from "../Process.ts"
import type { Job } from "./job.ts"

/**
 * What a user holds of a job. Its properties are made when they are asked for: a runner asks for none.
 *
 * @internal
 */
export class Handle<E> implements Process<E> {
  readonly #job: Job<E>

  constructor(job: Job<E>) {
    this.#job = job
  }

  /** The job of a process of ours. */
  static jobOf<E>(process: Process<E>): Job<E> | undefined {
    const ours: Process<E> | Handle<E> = process
    return ours instanceof Handle ? ours.#job : undefined
  }

  get pid() {
    return this.#job.running.pid
  }

  get processGroupId() {
    return this.#job.running.processGroupId
  }

  get stdin() {
    return this.#job.stdio.stdin.sink
  }

  get stdout() {
    return this.#job.stdio.stdout.stream
  }

  get stderr() {
    return this.#job.stdio.stderr.stream
  }

  get exit() {
    return this.#job.awaitExit
  }

  get stages() {
    return Effect.map(this.#job.exits.await, () => this.#job.stageResults)
  }

  get exitCode() {
    const job = this.#job
    return Effect.flatMap(job.awaitExit, (status) =>
      isExited(status)
        ? Effect.succeed(status.code)
        : new Signaled({ ...job.ended(status), signal: status.signal, coreDumped: status.coreDumped }))
  }

  get empty() {
    return this.#job.empty.await
  }

  get isRunning() {
    return Effect.sync(() => !this.#job.exit.isDone)
  }

  get descendants() {
    return this.#job.descendants
  }

  get usage() {
    return this.#job.usage
  }

  readonly signal: Process<E>["signal"] = (signal, options) => this.#job.signal(signal, options?.to ?? "group")

  readonly terminate: Process<E>["terminate"] = (options) => this.#job.terminate(options)

  readonly resize: Process<E>["resize"] = (columns, rows) => this.#job.resize(columns, rows)

  readonly extendDeadline: Process<E>["extendDeadline"] = (by) => this.#job.extendDeadline(by)

  toJSON() {
    return { _id: "Process", pid: this.pid, command: this.#job.name }
  }

  toString() {
    return `Process(${this.pid}, ${this.#job.name})`
  }

  [NodeInspectSymbol]() {
    return this.toJSON()
  }
}
