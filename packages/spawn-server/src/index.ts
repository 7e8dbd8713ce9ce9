/** Runs processes through a spawn server. Plain Node, no Effect. `PROTOCOL.md` says what goes over the socket. */
export * from "./Failure.ts"
export { ownEnvironment } from "./internal/ownEnvironment.ts"
export { markName, ownerParts } from "./internal/system.ts"
export * from "./Job.ts"
export * from "./Options.ts"
export * from "./PipeReader.ts"
export { command, maximum } from "./Request.ts"
export type {
  CommandOptions,
  EncodedEnvironment,
  LimitRequest,
  PipeRequest,
  Redirect,
  SpawnRequest,
  StageRequest,
  Stdio,
  TerminalRequest
} from "./Request.ts"
export { SpawnServer } from "./SpawnServer.ts"
