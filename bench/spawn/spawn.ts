/** What it costs to start and end processes. The targets are those of section 6 of the design. */
import type { Program } from "../support/Program.ts"
import { clientAgainstC, oneAtATime } from "./echo.ts"
import { heaps } from "./heaps.ts"
import { interrupts } from "./interrupts.ts"
import { live } from "./live.ts"
import { throughput } from "./throughput.ts"

export const spawn: Program = {
  name: "spawn",
  title: "bench/spawn",
  parts: [oneAtATime, clientAgainstC, heaps, throughput, interrupts, live]
}
