import * as Duration from "effect/Duration"

/**
 * The bounds that are not the user's to choose: those of a release (design: k, d), and the time after which a reader who forgot a
 * stream is told so.
 *
 * @internal
 */
export const bounds = {
  kill: Duration.seconds(1),
  drain: Duration.millis(100),
  unreadWarning: Duration.seconds(1),
  /** What `startReady` keeps of each output that nobody reads, in bytes. */
  backlog: 1024 * 1024
}
