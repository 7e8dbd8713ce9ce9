/** Runs processes through a spawn server. Plain Node, no Effect. `PROTOCOL.md` says what goes over the socket. */
export * from "./Failure.ts"
export { descriptorOf } from "./internal/ends.ts"
export { Gathering } from "./internal/gathering.ts"
export { ownEnvironment } from "./internal/ownEnvironment.ts"
export { isOwnerAlive, type Mark, markIn, markName, ownerParts, parseMark } from "./internal/mark.ts"
export * as procfs from "./internal/procfs.ts"
export { errnoName, serverName, supervisorName } from "./internal/system.ts"
export { tableArguments, TableReader, type TableRow } from "./internal/table.ts"
export * from "./Job.ts"
export * from "./Options.ts"
export * from "./PipeReader.ts"
export * from "./PipeWriter.ts"
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
