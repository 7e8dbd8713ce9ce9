/** Packages from npm that know nothing of this library, on its executor: what they do is what they do on the original. */
import { assert, describe, it } from "@effect/vitest"
import { NodeProcess } from "@effect-process/node"
import * as Reactivity from "@effect/experimental/Reactivity"
import type { CommandExecutor } from "@effect/platform/CommandExecutor"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as NodeContext from "@effect/platform-node/NodeContext"
import type { Connection } from "@effect/sql/SqlConnection"
import * as SqlClient from "@effect/sql/SqlClient"
import { makeCompiler, PgClient, TypeId } from "@effect/sql-pg/PgClient"
import * as PgMigrator from "@effect/sql-pg/PgMigrator"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { Command } from "effect-process"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { script, temporaryDirectory } from "../support/fixtures.ts"
import { until } from "../support/scenario.ts"

/** A terminal by script(1), whose keys are typed when the program has asked for them. */
const typeInto = (args: ReadonlyArray<string>, answers: ReadonlyArray<readonly [asked: string, keys: string]>) =>
  Effect.scoped(Effect.gen(function*() {
    const line = args.map((arg) => `'${arg}'`).join(" ")
    const process = yield* Command.start(Command.make("script", "-qec", line, "/dev/null"))
    let printed = ""
    yield* Stream.runForEach(Stream.decodeText(process.stdout), (text) =>
      Effect.sync(() => {
        printed += text
      })).pipe(Effect.fork)
    const keys = Stream.mapEffect(
      Stream.fromIterable(answers),
      ([asked, keys]) =>
        Effect.as(until(asked, () => printed.includes(asked) || undefined), new TextEncoder().encode(keys))
    )
    yield* Effect.fork(Stream.run(Stream.concat(keys, Stream.never), process.stdin))
    const code = yield* process.exitCode
    yield* until("what it found", () => printed.includes("}") || code !== 0 || undefined)
    return { code, printed }
  }))

/** What a machine that has only Node and a compiler may lack. */
const hasPrograms = ["git", "script"].every((name) => spawnSync(name, ["--version"]).status === 0)

const layers: Readonly<
  Record<string, Layer.Layer<CommandExecutor | FileSystem.FileSystem | Path.Path>>
> = { original: NodeContext.layer, ours: NodeProcess.context }

describe("a program of @effect/cli", () => {
  const answerOf = (which: string) =>
    Effect.scoped(Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const { code, printed } = yield* typeInto(
        [process.execPath, script("releaseCli"), which, "--directory", directory],
        [["Name?", "one\r"], ["Sure?", "y"]]
      )
      assert.strictEqual(code, 0, printed)
      assert.strictEqual(fs.readFileSync(path.join(directory, "name"), "utf8"), "one")
      return JSON.parse(/\{".*\}/.exec(printed)?.[0] ?? printed) as Record<string, unknown>
    }))

  it.live.skipIf(!hasPrograms)("asks its questions and runs git, as on the original", () =>
    Effect.gen(function*() {
      const ours = yield* answerOf("ours")
      assert.deepStrictEqual(ours, {
        subjects: ["Release one HEAD -> main, tag: v1"],
        files: "name\n",
        failed: 1,
        missing: "NotFound: Command.spawn (git-nonexistent x): spawn git-nonexistent ENOENT"
      })
      assert.deepStrictEqual(yield* answerOf("original"), ours)
    }).pipe(Effect.provide(NodeProcess.layer)), 120_000)
})

describe("the migrator of @effect/sql-pg, which runs pg_dump", () => {
  /** A database that takes everything: the subject is what is run beside it. */
  const connection: Connection = {
    execute: () => Effect.succeed([]),
    executeRaw: () => Effect.succeed([]),
    executeStream: () => Stream.empty,
    executeValues: () => Effect.succeed([]),
    executeUnprepared: () => Effect.succeed([])
  }

  const client = Effect.map(
    SqlClient.make({ acquirer: Effect.succeed(connection), compiler: makeCompiler(), spanAttributes: [] }),
    (sql): PgClient =>
      Object.assign(sql, {
        [TypeId]: TypeId,
        config: { host: "db.example", port: 5433, username: "me", password: Redacted.make("s3cret"), database: "shop" },
        json: () => assert.fail("no JSON here"),
        listen: () => Stream.empty,
        notify: () => Effect.void
      })
  )

  const pgDump = `#!/bin/sh
echo "-- a comment"
echo "SET something;"
echo "$PGUSER:$PGPASSWORD@$PGHOST:$PGPORT/$PGDATABASE $PGSSLMODE $*"
echo "a note" >&2
`

  const dump = (layer: Layer.Layer<CommandExecutor | FileSystem.FileSystem | Path.Path>) =>
    Effect.scoped(Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      fs.writeFileSync(path.join(directory, "pg_dump"), pgDump, { mode: 0o755 })
      const before = process.env["PATH"]
      process.env["PATH"] = `${directory}:${before}`
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          process.env["PATH"] = before
        })
      )
      const sql = yield* Effect.provide(client, Reactivity.layer)
      const done = yield* PgMigrator.run({
        loader: Effect.succeed([[1, "first", Effect.succeed(Effect.void)]]),
        schemaDirectory: path.join(directory, "schema")
      }).pipe(
        Effect.provideService(PgClient, sql),
        Effect.provideService(SqlClient.SqlClient, sql),
        Effect.provide(layer)
      )
      return { done, schema: fs.readFileSync(path.join(directory, "schema/_schema.sql"), "utf8") }
    }))

  it.live("writes the schema, as on the original", () =>
    Effect.gen(function*() {
      const [ours, original] = [yield* dump(layers["ours"]!), yield* dump(layers["original"]!)]
      const line = "me:s3cret@db.example:5433/shop prefer"
      const flags = "--no-owner --no-privileges"
      assert.deepStrictEqual(ours, {
        done: [[1, "first"]],
        schema: `${line} --schema-only ${flags}\n\n${line} --column-inserts --data-only ` +
          `--table=effect_sql_migrations ${flags}`
      })
      assert.deepStrictEqual(original, ours)
    }).pipe(Effect.provide(NodeProcess.layer)), 60_000)
})
