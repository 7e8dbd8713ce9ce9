/**
 * A test harness for programs that start processes.
 *
 * @since 0.1.0
 */
export { ServerDied } from "./internal/serverExits.ts"
