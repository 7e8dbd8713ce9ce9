/**
 * A test harness for programs that start processes.
 *
 * @since 0.1.0
 */
export * as Conversation from "./Conversation.ts"
