/** A real PostgreSQL as the server of a suite, and a client of it from npm. */
import { NodeProcess } from "@effect-process/node"
import { ServerFixture } from "@effect-process/vitest"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, it, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { Command, NotReady, Readiness } from "effect-process"
import * as fs from "node:fs"
import * as observer from "../support/observer.ts"
import * as postgres from "../support/postgres.ts"

class Database extends Context.Tag("Database")<Database, ServerFixture.Server>() {}

/** By the parent: PostgreSQL writes over its environment, in which it could be marked. */
const withChildren = (pid: number) =>
  fs.readdirSync("/proc").map(Number).filter((other) => other === pid || observer.see(other)?.ppid === pid)

const ready = (port: number) =>
  Readiness.all(
    Readiness.line(/database system is ready to accept connections/),
    Readiness.port(port, "127.0.0.1")
  )

const database = Layer.unwrapScoped(
  Effect.map(postgres.cluster, ({ server }) => ServerFixture.layer(Database, server, ready))
)

const client = Layer.unwrapEffect(
  Effect.map(
    Database,
    ({ port }) => PgClient.layer({ url: Redacted.make(`postgres://shop@127.0.0.1:${port}/postgres`) })
  )
)

const suite = client.pipe(Layer.provideMerge(database), Layer.provideMerge(NodeProcess.layer))

layer(suite, { timeout: "60 seconds" })("a suite on PostgreSQL", (it) => {
  it.effect("writes", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      yield* sql`CREATE TABLE orders (id SERIAL PRIMARY KEY, item TEXT NOT NULL)`
      yield* sql`INSERT INTO orders ${sql.insert([{ item: "tea" }, { item: "cake" }])}`
    }))

  it.effect("and reads from the same server, which has processes of its own", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      assert.deepStrictEqual(yield* sql`SELECT item FROM orders ORDER BY id`, [{ item: "tea" }, { item: "cake" }])
      const { log, process } = yield* Database
      assert.isAtLeast((yield* process.descendants).length, 3)
      assert.include(yield* log, "listening on IPv4 address")
    }))
})

it.scopedLive(
  "PostgreSQL, its workers and its clients' sessions are gone with the suite",
  () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(suite, scope)
      yield* Effect.provide(Effect.flatMap(PgClient.PgClient, (sql) => sql`SELECT 1`), context)
      const { log, process } = Context.get(context, Database)
      const pids = withChildren(process.pid)
      // The positive control: the server, its workers and a session.
      assert.isAtLeast(pids.filter(observer.isAlive).length, 5)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(pids.filter(observer.isAlive), [])
      assert.include(yield* log, "database system is shut down")
    }),
  60_000
)

it.scopedLive(
  "PostgreSQL without data is told to be not ready, at once and with its own words",
  () =>
    Effect.gen(function*() {
      const { broken } = yield* postgres.cluster
      const error = yield* Effect.flip(Command.startReady(broken, Readiness.line(/ready to accept/)))
      if (!(error instanceof NotReady)) return yield* Effect.dieMessage(`not the expected failure: ${String(error)}`)
      assert.strictEqual(String(error.exit), "exit code 2")
      assert.match(error.stderrTail, /could not access directory|does not exist/)
    }).pipe(Effect.provide(NodeProcess.layer)),
  60_000
)
