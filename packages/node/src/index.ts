/**
 * @since 0.1.0
 */
export * as NodeCommandExecutor from "./NodeCommandExecutor.ts"
export * as NodeProcess from "./NodeProcess.ts"
