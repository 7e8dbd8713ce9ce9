/** What a job can do that outlives its caller's patience, or its caller. Every one is run as `sh -c SCRIPT`. */
export interface Case {
  /** As the head of its column. */
  readonly name: string
  readonly script: string
}

export const cases: ReadonlyArray<Case> = [
  { name: "1 two children", script: "sleep 60 & sleep 60" },
  { name: "2 TERM ignored", script: "trap '' TERM; sleep 60; :" },
  { name: "3 setsid", script: "setsid sleep 60 & sleep 60" },
  { name: "4 double fork", script: `setsid sh -c 'sleep 60 & :' & sleep 60` },
  { name: "5 stopped", script: "kill -STOP $$; sleep 60" },
  { name: "6 grandchild ignores TERM", script: `sh -c "trap '' TERM; sleep 60; :" & sleep 60` },
  { name: "7 holds the pipe", script: "sleep 60 & echo done" },
  { name: "8 silent, exit 0", script: "sleep 60 >/dev/null 2>&1 & exit 0" },
  { name: "9 silent, exit 3", script: "sleep 60 >/dev/null 2>&1 & exit 3" }
]

/** The tenth: the owner is killed beside this one. */
export const orphaned: Case = { name: "10 owner killed", script: "sleep 60 & sleep 60" }
