/** What a worker does for the sake of the leak check before any code of a test runs. */
import { mark } from "./mark.ts"
import { listen } from "./origins.ts"

/**
 * Before what a test imports can have copied the environment. Again does nothing.
 *
 * @internal
 */
export const prepare = (): void => {
  mark()
  listen()
}
