import type { Job, JobEvent, SpawnRequest, SpawnServer } from "../src/index.ts"
import { grace, until } from "./support.ts"

/** A job on a terminal, what it shows, and what may be typed there. */
export class Session {
  readonly job: Job
  readonly events: Array<JobEvent> = []
  readonly #chunks: Array<Buffer> = []
  readonly #input: ReturnType<Job["writable"]> | undefined
  #ended: Promise<void> | undefined

  private constructor(job: Job, isTyped: boolean) {
    this.job = job
    this.#input = isTyped ? job.writable(0).on("error", () => {}) : undefined
    job.listen((event) => this.events.push(event))
  }

  static async start(server: SpawnServer, request: SpawnRequest): Promise<Session> {
    return new Session(await server.spawn(request), request.terminal?.input === 0)
  }

  /** From now on. */
  read(): this {
    const output = this.job.readable(this.#input === undefined ? 0 : 1)
    output.on("data", (chunk: Buffer) => this.#chunks.push(chunk)).on("error", () => {})
    this.#ended = new Promise((resolve) => output.once("close", () => resolve()))
    return this
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  get text(): string {
    return this.bytes.toString()
  }

  type(text: string | Buffer): void {
    this.#input?.write(text)
  }

  endInput(): void {
    this.#input?.end()
  }

  async says(text: string): Promise<void> {
    await until(`${JSON.stringify(text)} in ${JSON.stringify(this.text)}`, () => this.text.includes(text), 10_000)
  }

  /** Everything that was shown, and how the first stage ended. */
  async exit(): Promise<unknown> {
    await this.job.exited()
    await this.#ended
    return this.job.exits[0]!.exit
  }

  async release(graceMs = grace): Promise<number> {
    const began = performance.now()
    this.job.terminate(0, graceMs)
    if (!(await this.job.empty())) throw new Error("something of it cannot be killed")
    const took = performance.now() - began
    await this.#ended
    this.#input?.destroy()
    this.job.close()
    return took
  }
}
