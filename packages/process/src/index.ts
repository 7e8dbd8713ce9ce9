/**
 * @since 0.1.0
 */
export * as Command from "./Command.ts"
export * from "./CommandError.ts"
export type { CommandEvent } from "./CommandRunner.ts"
export type { CommandResult, StageResult } from "./CommandResult.ts"
export * as Engine from "./Engine.ts"
export * as ExitStatus from "./ExitStatus.ts"
export * as Process from "./Process.ts"
export { type ProcessInfo, type ProcessState, processStates, type ResourceUsage } from "./ProcessInfo.ts"
export { ProcessSpawner } from "./ProcessSpawner.ts"
export { ProcessTable } from "./ProcessTable.ts"
export * as Signal from "./Signal.ts"
export * as Stdio from "./Stdio.ts"
