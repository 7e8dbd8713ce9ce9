/** Unit tests of a deploy script: no docker, no database, no host, and no minute of waiting. */
import "@effect-process/vitest/matchers"
import { expect, it } from "@effect/vitest"
import { ScriptedSpawner } from "@effect-process/vitest"
import { Effect, Fiber, Redacted, TestClock } from "effect"
import { cleanCommit, deploy } from "./deploy.ts"

const { answers, answersWith, inDirectory, on, once, rest, withEnv } = ScriptedSpawner

const token = Redacted.make("t0ken")

const clean = [
  on("git", "status", "--porcelain").pipe(answers({})),
  on("git", "rev-parse", "--short", "HEAD").pipe(answers({ stdout: "0f3a\n" }))
]

const image = "registry.example.com/shop:0f3a"

/** What every deployment starts, except the push, which each test answers in its own way. */
const host = [
  ...clean,
  on("docker", "login", rest).pipe(answers({ stdout: "Login Succeeded\n" })),
  on("docker", "build", "--tag", image, ".").pipe(inDirectory("/srv/shop"), answers({ takes: "90 seconds" })),
  on("pg_dump", "shop").pipe(answers({ stdout: "insert into orders;\n" })),
  on("gzip", "-c").pipe(answersWith(({ stdinText }) => ({ stdout: `zipped(${stdinText.trim()})` }))),
  on("ssh", "shop.example.com", rest).pipe(withEnv({ DEPLOY_TOKEN: token }), answers({}))
]

const pushes = on("docker", "push", image)

it.effect("does not deploy what is not committed", () =>
  Effect.gen(function*() {
    const exit = yield* Effect.exit(cleanCommit("/srv/shop"))
    expect(exit).toHaveFailedWith("DirtyTree", { files: ["src/cart.ts", "new.ts"] })
    expect((yield* ScriptedSpawner.calls).map(({ command }) => command)).toEqual(["git status --porcelain"])
  }).pipe(Effect.provide(ScriptedSpawner.layer([
    on("git", "status", "--porcelain").pipe(answers({ stdout: " M src/cart.ts\n?? new.ts\n" }))
  ]))))

it.effect("builds, backs up, pushes and restarts, in this order", () =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(deploy("shop.example.com", token))
    // The build takes its time on the clock of the test, and so does the second that the script waits after a failed push.
    yield* TestClock.adjust("91 seconds")
    expect(yield* Fiber.join(fiber)).toEqual({ commit: "0f3a", image })

    const calls = yield* ScriptedSpawner.calls
    expect(calls.map(({ command }) => command.split(" ").slice(0, 2).join(" "))).toEqual([
      "git status",
      "git rev-parse",
      "docker login",
      "docker build",
      "pg_dump shop",
      "gzip -c",
      "docker push",
      "docker push",
      "ssh shop.example.com"
    ])
    expect(calls[6]).toHaveExited(1)
    expect(calls[6]).toHavePrinted("503")
    // What was redacted is hidden wherever it might be printed, and is there for who asks.
    expect(calls[8]?.env).toEqual({ DEPLOY_TOKEN: "<redacted>" })
    expect(calls[2]?.reveal().stdin).toBe("t0ken")
    const { files } = yield* ScriptedSpawner.ScriptedSpawner
    expect(Buffer.from((yield* files).get("/var/backups/shop.sql.gz") ?? []).toString()).toBe(
      "zipped(insert into orders;)"
    )
    // No rule was there for nothing.
    yield* ScriptedSpawner.verify
  }).pipe(Effect.provide(ScriptedSpawner.layer([
    ...host,
    pushes.pipe(answers({ stderr: "received unexpected HTTP status: 503\n", exit: 1 }), once),
    pushes.pipe(answers({ stdout: "pushed\n" }))
  ], { environment: { PATH: "/bin" } }))))

it.effect("gives up a push that hangs, three times, and leaves the host alone", () =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(Effect.exit(deploy("shop.example.com", token)))
    // 90 s of build, and three tries of 2 minutes and 10 s, for this docker ignores SIGTERM, with a second between them.
    yield* TestClock.adjust("482 seconds")
    const exit = yield* Fiber.join(fiber)
    expect(exit).toHaveFailedWith("TimedOut")
    expect(exit).toHaveBeenKilled("SIGKILL")
    const calls = yield* ScriptedSpawner.calls
    const tries = calls.filter(({ args }) => args[0] === "push")
    expect(tries.map(({ signals }) => signals.map(({ signal }) => signal))).toEqual(
      Array.from({ length: 3 }, () => ["SIGTERM", "SIGKILL"])
    )
    expect(calls.some(({ file }) => file === "ssh")).toBe(false)
  }).pipe(Effect.provide(ScriptedSpawner.layer([
    ...host,
    pushes.pipe(answers({ stdout: "waiting\n", hangs: true, signals: { SIGTERM: "ignore" } }))
  ]))))

it.effect("stops at a failed backup, with the words of pg_dump", () =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(Effect.exit(deploy("shop.example.com", token)))
    yield* TestClock.adjust("90 seconds")
    const exit = yield* Fiber.join(fiber)
    expect(exit).toHaveFailedWith("NonZeroExit", { command: "pg_dump shop", exitCode: 1 })
    expect(exit).toHavePrinted(/database "shop" does not exist/, { on: "stderr" })
  }).pipe(Effect.provide(ScriptedSpawner.layer([
    on("pg_dump", "shop").pipe(answers({ stderr: "pg_dump: error: database \"shop\" does not exist\n", exit: 1 })),
    ...host
  ]))))
