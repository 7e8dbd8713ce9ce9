/**
 * @since 0.1.0
 */
export * as ProcessMatchers from "./ProcessMatchers.ts"
export * as Recorder from "./Recorder.ts"
export * as ScriptedSpawner from "./ScriptedSpawner.ts"
