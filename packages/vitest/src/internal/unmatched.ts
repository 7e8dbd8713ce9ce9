/** Commands that a fake was not told of. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { Invocation } from "../ScriptedAnswer.ts"
import { UnmatchedCommand } from "../ScriptedCall.ts"
import { type Candidate, explain } from "./explain.ts"

const isTold = (exit: Exit.Exit<unknown, unknown>, error: unknown): boolean =>
  Exit.isFailure(exit) && [...Cause.defects(exit.cause)].includes(error)

/** @internal */
export class Unmatched {
  readonly errors: Array<UnmatchedCommand> = []
  private readonly problem: string
  readonly noun: string
  readonly remedy: string

  /** `noun`: what a command is compared with. */
  constructor(problem: string, noun: string, remedy: string) {
    this.problem = problem
    this.noun = noun
    this.remedy = remedy
  }

  add(
    invocation: Invocation,
    candidates: ReadonlyArray<Candidate>,
    secrets: ReadonlyArray<string>
  ): UnmatchedCommand {
    const { command, nearest, text } = explain(invocation, candidates, secrets, this)
    const error = new UnmatchedCommand({ problem: this.problem, command, nearest, explanation: text })
    this.errors.push(error)
    return error
  }

  /** A program may swallow defects, or die of one where nobody looks: then the scope dies of it. */
  readonly tell: Effect.Effect<void, never, Scope.Scope> = Effect.addFinalizer((exit) => {
    const untold = this.errors.find((error) => !isTold(exit, error))
    return untold === undefined ? Effect.void : Effect.die(untold)
  })
}
