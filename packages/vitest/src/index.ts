/**
 * @since 0.1.0
 */
export * as ScriptedSpawner from "./ScriptedSpawner.ts"
