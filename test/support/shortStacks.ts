/**
 * For a line of a stack that is long and full of quotes, as the one of an unexpected result is, vitest's reporter takes more than
 * minutes: its pattern for stacks of other engines tries all ways to divide it.
 */
import { afterEach } from "vitest"

const longest = 300

afterEach(({ task }) => {
  for (const error of task.result?.errors ?? []) {
    if (error.stack !== undefined) {
      error.stack = error.stack.split("\n").map((line) => line.slice(0, longest)).join("\n")
    }
  }
})
