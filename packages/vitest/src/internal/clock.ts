/** The clocks as they were before a test could put others in their place (`vi.useFakeTimers`). */

/**
 * Milliseconds since 1970.
 *
 * @internal
 */
export const now: () => number = Date.now.bind(Date)

/**
 * Milliseconds that only ever grow.
 *
 * @internal
 */
export const monotonic: () => number = performance.now.bind(performance)
