/**
 * A test harness for programs that start processes, on top of `@effect/vitest`, whose exports are all here as well.
 *
 * @since 0.1.0
 */
export * from "@effect/vitest"
export * as Conversation from "./Conversation.ts"
export { leakCheck } from "./LeakCheck.ts"
export type { LeakCheckOptions } from "./LeakCheck.ts"
export type { LeakedProcess } from "./LeakedProcess.ts"
export * as ProcessMatchers from "./ProcessMatchers.ts"
export * as Recorder from "./Recorder.ts"
export * as ScriptedSpawner from "./ScriptedSpawner.ts"
export * as ServerFixture from "./ServerFixture.ts"
export { it, layer } from "./TestApi.ts"
export type { LayerMethods, Methods } from "./TestApi.ts"
