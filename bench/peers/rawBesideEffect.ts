/** node:child_process in a program that uses Effect: what V8 collects while it reads is the whole program's. */
import "effect"

export { open } from "./raw.ts"
