/** The variable that whatever a worker starts inherits: by it a process is found that is no descendant any more. */
import { randomUUID } from "node:crypto"
import { isMainThread, threadId } from "node:worker_threads"

/** @internal */
export const markName = "EFFECT_PROCESS_TEST"

/** A file whose modules are loaded anew in a worker that goes on bears the same mark. */
const key = Symbol.for("@effect-process/vitest/mark")

/**
 * Sets the variable in this worker, and returns the text to look for. What an outer vitest has set stays in front of it: a test
 * that runs vitest is told of what the inner one leaves.
 *
 * @internal
 */
export const mark = (): string => {
  const worker = globalThis as { [key]?: string }
  const own = worker[key] ??= `${process.pid}.${isMainThread ? 0 : threadId}.${randomUUID()}`
  const present = process.env[markName]
  if (present === undefined || present === "") process.env[markName] = own
  else if (!present.split(",").includes(own)) process.env[markName] = `${present},${own}`
  return own
}
