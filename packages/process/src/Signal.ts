/**
 * The names of the POSIX signals.
 *
 * @since 0.1.0
 */

/**
 * The signals that every supported system knows by name. Source: signal(7).
 *
 * @since 0.1.0
 * @category constants
 */
export const names = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGILL",
  "SIGTRAP",
  "SIGABRT",
  "SIGBUS",
  "SIGFPE",
  "SIGKILL",
  "SIGUSR1",
  "SIGSEGV",
  "SIGUSR2",
  "SIGPIPE",
  "SIGALRM",
  "SIGTERM",
  "SIGCHLD",
  "SIGCONT",
  "SIGSTOP",
  "SIGTSTP",
  "SIGTTIN",
  "SIGTTOU",
  "SIGURG",
  "SIGXCPU",
  "SIGXFSZ",
  "SIGVTALRM",
  "SIGPROF",
  "SIGWINCH",
  "SIGIO",
  "SIGSYS"
] as const

/**
 * A signal by its POSIX name. Linux's own (`SIGSTKFLT`, `SIGPWR`) and the real-time signals appear in an exit status
 * where the engine can tell them.
 *
 * @since 0.1.0
 * @category models
 */
export type Signal = (typeof names)[number] | "SIGSTKFLT" | "SIGPWR" | `SIGRT${string}`

const known: ReadonlySet<string> = new Set<string>([...names, "SIGSTKFLT", "SIGPWR"])

/**
 * Whether a value names a signal.
 *
 * @example
 * import { Signal } from "effect-process"
 *
 * Signal.isSignal("SIGTERM") // => true
 * Signal.isSignal("TERM") // => false
 *
 * @since 0.1.0
 * @category guards
 */
export const isSignal = (u: unknown): u is Signal =>
  typeof u === "string" && (known.has(u) || /^SIGRT(MIN(\+\d{1,2})?|MAX(-\d{1,2})?)$/.test(u))
