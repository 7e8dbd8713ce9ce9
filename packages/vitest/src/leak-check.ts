/**
 * A setup file for vitest that checks each file of tests for processes that it leaves: `leakCheck()`.
 *
 * @since 0.1.0
 */
import { leakCheck } from "./LeakCheck.ts"

leakCheck()
