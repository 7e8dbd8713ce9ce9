/** `ChildProcess` of Effect 4, in a package of its own, because its `effect` is another one. */
export { open } from "@effect-process/bench-effect4"
