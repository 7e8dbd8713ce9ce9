/**
 * A large process table on Linux, read by the program of the spawn server. What it costs is the kernel's work, some 20 us for a
 * process, which several of these do at once, while our event loop goes on.
 */
import { tableArguments, TableReader } from "@effect-process/spawn-server"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ProcessInfo } from "effect-process"
import type { Engine, EngineJob, SpawnRequest } from "effect-process/Engine"
import * as fs from "node:fs"
import * as os from "node:os"
import * as procTable from "./procTable.ts"

/** From so many processes on, the start of programs is paid back. It takes some 3 ms, a process 30 us. */
const large = 500

/** More of them are in each other's way. */
const mostParts = 4

/** It ended before the table did. */
class Incomplete extends Data.TaggedError("Incomplete")<{}> {}

const requestOf = (binary: string, part: number, parts: number): SpawnRequest => ({
  stages: [{
    file: binary,
    args: tableArguments(part, parts),
    argv0: undefined,
    env: {},
    workingDirectory: "/",
    redirects: [
      { fd: 0, to: "null" },
      { fd: 1, to: "pipe", pipe: 0, end: "write" },
      { fd: 2, to: "null" }
    ],
    limits: undefined,
    nice: undefined,
    umask: undefined,
    user: undefined
  }],
  pipes: [{ owner: "reads" }],
  killSignal: "SIGKILL",
  gracePeriod: Duration.zero,
  timeout: undefined,
  secrets: []
})

const rowsFrom = (job: EngineJob): Effect.Effect<ReadonlyArray<ProcessInfo>, Incomplete> =>
  Effect.async((resume) => {
    const rows: Array<ProcessInfo> = []
    const reader = new TableReader((row) => rows.push(procTable.complete(row)))
    const pipe = job.output(0)
    const take = () => {
      let bytes = pipe.poll()
      for (; bytes instanceof Uint8Array && !reader.isComplete; bytes = pipe.poll()) reader.push(bytes)
      if (reader.isComplete) resume(Effect.succeed(rows))
      else if (bytes !== undefined) resume(new Incomplete())
      else return
      pipe.listen(undefined)
      pipe.close()
    }
    pipe.listen(take)
    take()
    return Effect.sync(() => {
      pipe.listen(undefined)
      pipe.close()
    })
  })

const readPart = (engine: Engine, binary: string, part: number, parts: number) =>
  Effect.acquireUseRelease(
    engine.spawn(requestOf(binary, part, parts)),
    (job) => Effect.map(rowsFrom(job), (rows) => ({ pid: job.pid, rows })),
    (job, exit) => Exit.isSuccess(exit) ? Effect.void : job.kill
  )

/** All rows but those of the programs that read them. Where one of these fails, as an older binary does, we read ourselves. */
const readParts = (engine: Engine, binary: string, parts: number): Effect.Effect<ReadonlyArray<ProcessInfo>> =>
  Effect.forEach(Array.from({ length: parts }).keys(), (part) => readPart(engine, binary, part, parts), {
    concurrency: "unbounded"
  }).pipe(
    Effect.map((read) => {
      const own = new Set(read.map(({ pid }) => pid))
      return read.flatMap(({ rows }) => rows.filter(({ pid }) => !own.has(pid)))
    }),
    Effect.orElse(() => procTable.snapshot)
  )

/** `/proc` has a link for each process of the system, also for those that a container does not show. */
const links = (): number => fs.statSync("/proc").nlink

/** How many of them were rows of the last table: so their number is known without a list, which takes its time, too. */
let shown = 1

/** The table of a system, by the programs where it is large. */
export const snapshot = (engine: Engine, binary: string): Effect.Effect<ReadonlyArray<ProcessInfo>> =>
  Effect.suspend(() => {
    const all = links()
    const table = all * shown < large
      ? procTable.snapshot
      : readParts(engine, binary, Math.min(os.availableParallelism(), mostParts))
    return Effect.map(table, (rows) => {
      shown = Math.min(1, rows.length / all)
      return rows
    })
  })
