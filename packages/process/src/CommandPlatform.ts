/**
 * From commands of `@effect/platform` and back. Programs import this from `Command`.
 *
 * @since 0.1.0
 */
import type * as PlatformCommand from "@effect/platform/Command"
import type { PlatformError } from "@effect/platform/Error"
import * as Data from "effect/Data"
import * as Either from "effect/Either"
import type { Command } from "./Command.ts"
import * as internal from "./internal/command.ts"
import * as platform from "./internal/platform.ts"

/**
 * A command as `@effect/platform` describes it, as one of ours. `uid` and `gid` go together. A Sink takes the output here, where it
 * transforms it there; `NodeCommandExecutor` runs such a command as it is meant.
 *
 * @example
 * import * as Platform from "@effect/platform/Command"
 * import { Command } from "effect-process"
 *
 * const platform = Platform.make("ls", "-l").pipe(Platform.pipeTo(Platform.make("wc", "-l")))
 *
 * String(Command.fromPlatform(platform)) // => "ls -l | wc -l"
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromPlatform = (command: PlatformCommand.Command): Command<PlatformError> =>
  internal.make(platform.from(command))

/**
 * What `toPlatform` may lose, by the name of the combinator. `arguments` are redacted ones, and bad input.
 *
 * @since 0.1.0
 * @category models
 */
export type Setting =
  | "arguments"
  | "env"
  | "stdin"
  | "stdout"
  | "stderr"
  | "fd"
  | "pipeTo"
  | "killSignal"
  | "gracePeriod"
  | "timeout"
  | "acceptExitCodes"
  | "maxOutput"
  | "limits"
  | "nice"
  | "umask"
  | "user"
  | "argv0"
  | "propagateTrace"
  | "label"
  | "verbose"
  | "terminal"

/**
 * A command that `@effect/platform` cannot describe: it says nothing of `settings`, of which there is at least one.
 *
 * @example
 * import { Command } from "effect-process"
 * import { Either } from "effect"
 *
 * const limited = Command.make("make").pipe(Command.timeout("1 minute"), Command.nice(10))
 *
 * Either.match(Command.toPlatform(limited), {
 *   onLeft: ({ settings }) => settings,
 *   onRight: () => []
 * }) // => ["nice", "timeout"]
 *
 * @since 0.1.0
 * @category errors
 */
export class SettingsLost extends Data.TaggedError("SettingsLost")<{
  readonly command: string
  readonly settings: ReadonlyArray<Setting>
}> {
  override get message(): string {
    return `${this.command}: @effect/platform cannot say: ${this.settings.join(", ")}; ` +
      "leave that out, or run it with Command.run"
  }
}

/**
 * The same command as `@effect/platform` describes it, for a library that takes one of those; or what would be lost. An
 * `Either` is also an Effect.
 *
 * Redacted values are not revealed, Sinks (which transform an output there) are not handed over, and neither is a stdin that is
 * empty or a file. The runners of `@effect/platform` judge no status, so `acceptExitCodes("any")` is not lost.
 *
 * @example
 * import { Command } from "effect-process"
 * import { Either } from "effect"
 *
 * Either.isRight(Command.toPlatform(Command.make("ls").pipe(Command.workingDirectory("/tmp")))) // => true
 *
 * const limited = Command.make("make").pipe(Command.timeout("1 minute"), Command.nice(10))
 * Either.isLeft(Command.toPlatform(limited)) // => true
 *
 * @since 0.1.0
 * @category conversions
 */
export const toPlatform = <E extends PlatformError = never>(
  self: Command<E>
): Either.Either<PlatformCommand.Command, SettingsLost> =>
  Either.mapLeft(
    platform.to(internal.specOf(self)),
    (settings) => new SettingsLost({ command: internal.name(self), settings })
  )
