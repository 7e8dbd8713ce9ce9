/**
 * A monitor of the jobs of a running program, full-screen in its terminal: what runs, in which state, what it uses, the end of
 * what it printed. What is to be seen is a function of the state (`view`), what a key does is another one (`update`).
 */
import { Duration, Effect, Queue, type Scope, Stream } from "effect"
import { type Process, type ProcessInfo, processStates, ProcessTable } from "effect-process"
import { render } from "effect-process/ProcessTable"

/** A job as it is shown. `cpu` is a percentage of one core, `rss` in bytes, both of all its processes. */
export interface JobView {
  readonly name: string
  readonly pid: number
  readonly status: string
  readonly rows: ReadonlyArray<ProcessInfo>
  readonly cpu: number
  readonly rss: number
  readonly tail: ReadonlyArray<string>
}

export interface State {
  readonly jobs: ReadonlyArray<JobView>
  /** By its index. */
  readonly selected: number
}

export interface Size {
  readonly columns: number
  readonly rows: number
}

/** What a key asks for beyond another state. */
export type Action = "none" | "terminate" | "quit"

const up = ["\u001b[A", "\u001bOA", "k"]
const down = ["\u001b[B", "\u001bOB", "j"]

export const update = (state: State, key: string): readonly [State, Action] => {
  const last = Math.max(0, state.jobs.length - 1)
  if (up.includes(key)) return [{ ...state, selected: Math.max(0, state.selected - 1) }, "none"]
  if (down.includes(key)) return [{ ...state, selected: Math.min(last, state.selected + 1) }, "none"]
  if (key === "t") return [state, "terminate"]
  return [state, key === "q" || key === "\u0003" ? "quit" : "none"]
}

const megabytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`

/** What a job printed is not for the terminal to obey. */
const plain = (text: string): string =>
  // oxlint-disable-next-line no-control-regex
  text.replaceAll("\t", "    ").replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, "·")

const stateOf = ({ rows, status }: JobView): string => {
  const state = rows[0]?.state
  return status === "running" && state !== undefined ? `${state}  ${processStates[state].split(":")[0]}` : status
}

/** One screen, cut to its size. The last line is for the keys. */
export const view = ({ jobs, selected }: State, { columns, rows }: Size): string => {
  const cut = (line: string): string => [...line].slice(0, columns).join("")
  const width = jobs.reduce((widest, { name }) => Math.max(widest, name.length), 4)
  const list = jobs.map((job, i) =>
    [
      i === selected ? ">" : " ",
      job.name.padEnd(width),
      String(job.pid).padStart(7),
      String(job.rows.length).padStart(5),
      `${job.cpu.toFixed(0)} %`.padStart(6),
      megabytes(job.rss).padStart(11),
      ` ${stateOf(job)}`
    ].join(" ")
  )
  const chosen = jobs[selected]
  const table = chosen === undefined || chosen.rows.length === 0
    ? ["nothing is left of it"]
    : render(chosen.rows, { format: "table", width: columns }).split("\n")
  const head = [
    `ProcessTop: ${jobs.length} jobs, ${jobs.reduce((sum, job) => sum + job.rows.length, 0)} processes`,
    `  ${"JOB".padEnd(width)}     PID PROCS    CPU         RSS  STATE`,
    ...list,
    "",
    ...table,
    "",
    `output of ${chosen?.name ?? "nothing"}:`
  ].slice(0, rows - 1)
  const space = Math.max(0, rows - 1 - head.length)
  const tail = space === 0 ? [] : (chosen?.tail ?? []).slice(-space).map(plain)
  const filler = Array.from({ length: space - tail.length }, () => "")
  return [...head, ...tail, ...filler, "up/down: choose   t: terminate   q: quit"].map(cut).join("\n")
}

/** A job to be watched. Its output is read here, and nowhere else. */
export interface Job {
  readonly name: string
  readonly process: Process.Process<unknown>
}

interface Watched extends Job {
  readonly tail: Array<string>
  status: string
  /** Of the last look. */
  seconds: number
  at: number
}

const keptLines = 200

const watch = (job: Job): Effect.Effect<Watched, never, Scope.Scope> =>
  Effect.gen(function*() {
    const watched: Watched = { ...job, tail: [], status: "running", seconds: 0, at: performance.now() }
    const lines = (output: Stream.Stream<Uint8Array, unknown>) => output.pipe(Stream.decodeText(), Stream.splitLines)
    yield* Stream.merge(lines(job.process.stdout), lines(job.process.stderr)).pipe(
      Stream.runForEach((line) =>
        Effect.sync(() => {
          watched.tail.push(line)
          watched.tail.splice(0, watched.tail.length - keptLines)
        })
      ),
      Effect.ignore,
      Effect.forkScoped
    )
    const ended = Effect.match(job.process.exit, {
      onFailure: (error) => `ended: ${String(error)}`,
      onSuccess: (exit) => `ended: ${String(exit)}`
    })
    yield* Effect.forkScoped(Effect.map(ended, (status) => {
      watched.status = status
    }))
    return watched
  })

/** How a job is now: its leader is a row of the table, the rest the handle knows, those that left its group too. */
const look = (job: Watched, table: ReadonlyArray<ProcessInfo>): Effect.Effect<JobView> =>
  Effect.map(job.process.descendants, (descendants) => {
    const { name, process: { pid }, status, tail } = job
    const leader = status.startsWith("ended") ? [] : table.filter((row) => row.pid === pid)
    const rows = [...leader, ...descendants]
    const seconds = rows.reduce((sum, row) => sum + Duration.toSeconds(row.cpuTime), 0)
    const now = performance.now()
    // Less than before when a process has ended, whose time is no longer counted.
    const cpu = Math.max(0, seconds - job.seconds) * 100_000 / Math.max(1, now - job.at)
    Object.assign(job, { seconds, at: now })
    return { name, pid, status, rows, cpu, rss: rows.reduce((sum, row) => sum + row.rss, 0), tail }
  })

const lookAll = (jobs: ReadonlyArray<Watched>) =>
  Effect.flatMap(ProcessTable.snapshot, (table) => Effect.forEach(jobs, (job) => look(job, table)))

/** The other screen, without a cursor, and every key at once. Restored however the program ends, unless by SIGKILL. */
const terminal: Effect.Effect<void, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    let isOurs = true
    const restore = () => {
      if (!isOurs) return
      isOurs = false
      process.stdin.setRawMode(false)
      process.stdin.pause()
      process.stdout.write("\u001b[?25h\u001b[?1049l")
    }
    process.stdin.setRawMode(true)
    process.stdout.write("\u001b[?1049h\u001b[?25l")
    // Not only the end of the scope: `process.exit` and an exception that nobody caught run no finalizer.
    process.once("exit", restore)
    process.once("uncaughtExceptionMonitor", restore)
    return restore
  }),
  (restore) =>
    Effect.sync(() => {
      restore()
      process.off("exit", restore)
      process.off("uncaughtExceptionMonitor", restore)
    })
)

/** Several keys may arrive at once, and the arrows are more than one character. */
// oxlint-disable-next-line no-control-regex
const keysIn = (text: string): ReadonlyArray<string> => text.match(/\u001b[[O][A-Z]|[^]/g) ?? []

const keys: Effect.Effect<Queue.Dequeue<string>, never, Scope.Scope> = Effect.gen(function*() {
  const queue = yield* Queue.unbounded<string>()
  const onData = (chunk: Buffer) => void queue.unsafeOffer(chunk.toString())
  const onEnd = () => void queue.unsafeOffer("q")
  yield* Effect.acquireRelease(
    Effect.sync(() => process.stdin.on("data", onData).on("end", onEnd)),
    () => Effect.sync(() => process.stdin.off("data", onData).off("end", onEnd))
  )
  return queue
})

const size = (): Size => ({ columns: process.stdout.columns, rows: process.stdout.rows })

const draw = (state: State): Effect.Effect<void> =>
  Effect.sync(() => {
    // Each line ends what was there; the whole in one write, so that nothing flickers.
    const lines = view(state, size()).split("\n").map((line) => `${line}\u001b[K`)
    process.stdout.write(`\u001b[H${lines.join("\r\n")}\u001b[J`)
  })

const refresh = "500 millis"

/** Returns when the person quits. The jobs go on. */
export const processTop = (jobs: ReadonlyArray<Job>): Effect.Effect<void, never, ProcessTable> =>
  Effect.scoped(Effect.gen(function*() {
    const watched = yield* Effect.forEach(jobs, watch)
    if (!process.stdin.isTTY || !process.stdout.isTTY) {
      // There is nobody who could press a key: one look, once there is something to see.
      yield* Effect.sleep(refresh)
      const state = { jobs: yield* lookAll(watched), selected: 0 }
      return yield* Effect.sync(() => process.stdout.write(`${view(state, { columns: 120, rows: 24 })}\n`))
    }
    yield* terminal
    const pressed = yield* keys
    let state: State = { jobs: yield* lookAll(watched), selected: 0 }
    for (;;) {
      yield* draw(state)
      const text = yield* Effect.timeoutOption(Queue.take(pressed), refresh)
      for (const key of text._tag === "Some" ? keysIn(text.value) : []) {
        const [next, action] = update(state, key)
        state = next
        const chosen = watched[state.selected]
        if (action === "quit") return
        if (action === "terminate" && chosen?.status === "running") {
          chosen.status = "terminating"
          yield* Effect.forkScoped(Effect.ignore(chosen.process.terminate()))
        }
      }
      state = { ...state, jobs: yield* lookAll(watched) }
    }
  }))
