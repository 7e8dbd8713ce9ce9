/**
 * Testing a CLI through a conversation: an installer that asks on a terminal, hides a password and draws a menu. In a suite this is
 * the body of a test, `it.scopedLive("asks, hides and installs", () => installs)`.
 */
import { NodeProcess } from "@effect-process/node"
import * as Conversation from "@effect-process/vitest/Conversation"
import { Console, Effect, Redacted, Schema } from "effect"
import { Command } from "effect-process"
import assert from "node:assert"

/** What is tested: it behaves otherwise without a terminal. */
const installer = Command.make(
  "sh",
  "-c",
  `test -t 0 || { echo 'not a terminal' >&2; exit 2; }
   printf 'Name: '; read name
   stty -echo; printf 'Password: '; read password; stty echo; echo
   printf '\\033[2J\\033[H> full\\n  minimal\\nChoose: '; read choice
   printf '{"name":"%s","length":%d,"choice":"%s"}\\n' "$name" "\${#password}" "$choice"`
)

const Answers = Schema.parseJson(
  Schema.Struct({ name: Schema.String, length: Schema.Number, choice: Schema.Literal("full", "minimal") })
)

const installs = Effect.gen(function*() {
  const cli = yield* Conversation.make(installer, { terminal: { columns: 60, rows: 10 } })

  yield* cli.expect("Name: ")
  yield* cli.sendLine("Ada")
  yield* cli.expect("Password: ")
  yield* cli.sendLine(Redacted.make("s3cret"))

  // What a person would see: the menu, after the screen was cleared.
  const screen = yield* cli.expectScreen("Choose:")
  assert.strictEqual(screen, "> full\n  minimal\nChoose:")
  yield* cli.sendKeys({ text: "minimal" }, "Enter")

  assert.deepStrictEqual(yield* cli.expect(Answers), { name: "Ada", length: 6, choice: "minimal" })
  assert.strictEqual(String(yield* cli.exit), "exit code 0")
  assert.ok(!(yield* cli.received).includes("s3cret"), "the password was shown")
  yield* Console.log("the installer asks, hides the password and installs")
}).pipe(Effect.scoped)

/** The same without a terminal, and what a failed expectation says. */
const refuses = Effect.gen(function*() {
  const cli = yield* Conversation.make(installer)
  const error = yield* Effect.flip(cli.expect("Name: "))
  assert.strictEqual(error.reason, "Ended")
  yield* Console.log(`\n${error.message.slice(error.message.indexOf("\"Name"))}`)
}).pipe(Effect.scoped)

await Effect.runPromise(Effect.provide(Effect.zipRight(installs, refuses), NodeProcess.layer))
