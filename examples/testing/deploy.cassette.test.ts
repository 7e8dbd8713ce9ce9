/**
 * The same script against what git did once: nothing is started, and no repository is needed. To record a cassette anew, remove it and
 * run the suite with PROJECT set to a repository in that state.
 */
import "@effect-process/vitest/matchers"
import { expect, it } from "@effect/vitest"
import { Recorder } from "@effect-process/vitest"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import { cleanCommit } from "./deploy.ts"

const project = process.env["PROJECT"] ?? "/srv/shop"

const cassette = (name: string) =>
  Recorder.layer({
    cassette: fileURLToPath(new URL(`cassettes/${name}.json`, import.meta.url)),
    // Wherever the repository was, this is what the cassette has in its place.
    paths: { "<project>": project }
  })

it.effect("a clean tree gives its commit", () =>
  Effect.gen(function*() {
    expect(yield* cleanCommit(project)).toMatch(/^[0-9a-f]{7,}$/)
  }).pipe(Effect.provide(cassette("clean"))))

it.effect("changed and new files are named", () =>
  Effect.gen(function*() {
    const exit = yield* Effect.exit(cleanCommit(project))
    expect(exit).toHaveFailedWith("DirtyTree", { files: ["cart.ts", "new.ts"] })
  }).pipe(Effect.provide(cassette("dirty"))))

it.effect("what git says where there is no repository", () =>
  Effect.gen(function*() {
    const exit = yield* Effect.exit(cleanCommit(project))
    expect(exit).toHaveExited(128)
    expect(exit).toHavePrinted("not a git repository", { on: "stderr" })
  }).pipe(Effect.provide(cassette("no-repository"))))
