import * as Duration from "effect/Duration"

/**
 * The bounds of a release that are not the user's to choose (design: k, d), and the time after which a reader who forgot a
 * stream is told so.
 *
 * @internal
 */
export const bounds = {
  kill: Duration.seconds(1),
  drain: Duration.millis(100),
  unreadWarning: Duration.seconds(1)
}
