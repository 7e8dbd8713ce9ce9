/** Which processes an owner that is gone has left behind, and how they are ended. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Unkillable } from "../CommandError.ts"
import type { Look, Orphan, OrphanSource, Seen } from "../Orphans.ts"
import { isDead, type ProcessInfo } from "../ProcessInfo.ts"
import type { Signal } from "../Signal.ts"
import { bounds } from "./bounds.ts"

/** By pid and start, a process is the same one for good. */
const idOf = ({ pid, startTime }: { readonly pid: number; readonly startTime: number }): string => `${pid}:${startTime}`

/** An orphan by the name of its owner, as long as only so much is known of it. */
interface Found {
  readonly seen: Seen
  readonly owner: Orphan["owner"]
}

class View {
  private readonly rows: ReadonlyMap<number, Seen>
  private readonly children = new Map<number, Array<Seen>>()
  private readonly self: number
  private readonly uid: number

  constructor({ processes, self, uid }: Look) {
    this.self = self
    this.uid = uid
    this.rows = new Map(processes.map((seen) => [seen.pid, seen]))
    for (const seen of this.rows.values()) {
      const siblings = this.children.get(seen.ppid)
      if (siblings === undefined) this.children.set(seen.ppid, [seen])
      else siblings.push(seen)
    }
  }

  /** Nobody is younger than his children: then the pid of the parent is another's by now. */
  private parentOf(seen: Seen): Seen | undefined {
    const parent = this.rows.get(seen.ppid)
    return parent !== undefined && parent.startTime <= seen.startTime && parent.pid !== seen.pid ? parent : undefined
  }

  /** From a process upwards, itself not among them. */
  private above(seen: Seen): ReadonlyArray<Seen> {
    const found = new Set<Seen>()
    for (let at = this.parentOf(seen); at !== undefined && !found.has(at); at = this.parentOf(at)) found.add(at)
    return [...found]
  }

  orphans(): ReadonlyArray<Found> {
    const self = this.rows.get(this.self)
    // Ourselves and what runs us.
    const ownLine = new Set([this.self, ...self === undefined ? [] : this.above(self).map(({ pid }) => pid)])
    // They end their jobs by themselves when their owner has died. One that is stopped cannot; one that we run below has us
    // to look after, and whoever comes to it as an orphan does not end before we do.
    const keepers = [...this.rows.values()].filter(({ isDead, isKeeper, isStopped, pid }) =>
      isKeeper && !isStopped && !isDead && !ownLine.has(pid)
    )
    const kept = new Set(keepers.map(({ pid }) => pid))
    const keptMarks = new Set(keepers.map(({ keeps }) => keeps))
    const spared = (seen: Seen): boolean => {
      const { isDead, isKeeper, owner, pid } = seen
      if (isDead || isKeeper || ownLine.has(pid)) return true
      // A program that was itself left behind is not to end those that were left behind with it.
      if (owner !== undefined && (owner.mark === self?.owner?.mark || keptMarks.has(owner.mark))) return true
      return this.above(seen).some((one) => one.pid === this.self || kept.has(one.pid))
    }
    const found = new Map<number, Found>()
    const left: Array<Found> = []
    const add = (seen: Seen, owner: Orphan["owner"]) => {
      if (found.has(seen.pid) || spared(seen)) return
      const orphan = { seen, owner }
      found.set(seen.pid, orphan)
      left.push(orphan)
    }
    for (const seen of this.rows.values()) {
      const { owner } = seen
      if (owner !== undefined && !owner.isAlive && owner.uid === this.uid) add(seen, owner)
    }
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      for (const child of this.children.get(next.seen.pid) ?? []) {
        // One that has a mark of its own is judged by that.
        if (child.owner === undefined && this.parentOf(child) === next.seen) add(child, next.owner)
      }
    }
    return [...found.values()].sort((a, b) => a.seen.pid - b.seen.pid)
  }
}

/** @internal */
export const find = (source: OrphanSource): Effect.Effect<ReadonlyArray<Orphan>> =>
  Effect.gen(function*() {
    const look = yield* source.look
    const found = new View(look).orphans()
    const rows = yield* source.describe(found.map(({ seen }) => seen.pid))
    const known = new Map(rows.map((row) => [idOf(row), row]))
    return found.flatMap(({ owner: { mark, pid }, seen }) => {
      // It may have ended since, and its pid be somebody else's.
      const row = known.get(idOf(seen))
      return row === undefined || isDead(row)
        ? []
        : [{ ...row, owner: { mark, pid }, isMarked: seen.owner !== undefined }]
    })
  })

/** How often is looked whether they have ended, at most and at least; milliseconds. */
const [closely, nowAndThen] = [2, 50]

/** Children that are forked while their parents are being stopped are stopped in the next pass. */
const freezePasses = 20

interface Terms {
  readonly signal: Signal
  readonly grace: Duration.Duration
  readonly only: (orphan: Orphan) => boolean
}

class Reaper {
  private readonly source: OrphanSource
  private readonly terms: Terms
  private readonly tracked = new Map<string, Orphan>()
  private readonly denied = new Set<string>()

  constructor(source: OrphanSource, terms: Terms) {
    this.source = source
    this.terms = terms
  }

  private now(): number {
    return this.source.clock.unsafeCurrentTimeMillis()
  }

  private sleep(millis: number): Effect.Effect<void> {
    return Effect.withClock(Effect.sleep(millis), this.source.clock)
  }

  private send(orphans: ReadonlyArray<Orphan>, signal: Signal): Effect.Effect<void> {
    return orphans.length === 0 ? Effect.void : Effect.map(this.source.signal(orphans, signal), (denied) => {
      for (const one of denied) this.denied.add(idOf(one))
    })
  }

  /** Those that were not known before. */
  private get discover(): Effect.Effect<ReadonlyArray<Orphan>> {
    return Effect.map(find(this.source), (all) => {
      const fresh = all.filter((orphan) => this.terms.only(orphan) && !this.tracked.has(idOf(orphan)))
      for (const orphan of fresh) this.tracked.set(idOf(orphan), orphan)
      return fresh
    })
  }

  private get living(): Effect.Effect<ReadonlyArray<Orphan>> {
    return Effect.map(this.source.living([...this.tracked.values()]), (living) => {
      const ids = new Set(living.map(idOf))
      return [...this.tracked.values()].filter((orphan) => ids.has(idOf(orphan)))
    })
  }

  /** True once all are gone; false when the time is up, or nothing but what we may not signal is left. */
  private gone(until: number, delay: number): Effect.Effect<boolean> {
    return Effect.flatMap(this.living, (living) => {
      if (living.length === 0) return Effect.succeed(true)
      const left = until - this.now()
      if (left <= 0 || living.every((orphan) => this.denied.has(idOf(orphan)))) return Effect.succeed(false)
      return Effect.zipRight(this.sleep(Math.min(delay, left)), this.gone(until, Math.min(2 * delay, nowAndThen)))
    })
  }

  /** What it takes the processes to end by themselves, and those that they start meanwhile. */
  private get polite(): Effect.Effect<boolean> {
    return Effect.gen(this, function*() {
      const until = this.now() + Duration.toMillis(this.terms.grace)
      let fresh: ReadonlyArray<Orphan> = [...this.tracked.values()]
      while (fresh.length > 0) {
        yield* this.send(fresh, this.terms.signal)
        // A stopped process gets the signal when it goes on.
        yield* this.send(fresh, "SIGCONT")
        if (!(yield* this.gone(until, closely))) return false
        fresh = yield* this.discover
      }
      return true
    })
  }

  /** Stopped first, so that none forks while the others are ended. */
  private get kill(): Effect.Effect<void> {
    return Effect.uninterruptible(Effect.gen(this, function*() {
      yield* this.discover
      for (let pass = 0, fresh = yield* this.living; fresh.length > 0 && pass < freezePasses; pass++) {
        yield* this.send(fresh, "SIGSTOP")
        fresh = yield* this.discover
      }
      yield* this.send(yield* this.living, "SIGKILL")
    }))
  }

  private get forced(): Effect.Effect<boolean> {
    return Effect.gen(this, function*() {
      const until = this.now() + Duration.toMillis(bounds.kill)
      for (;;) {
        yield* this.kill
        const gone = yield* this.gone(Math.min(until, this.now() + nowAndThen), closely)
        if (gone && (yield* this.discover).length === 0) return true
        const left = yield* this.living
        if (this.now() >= until || (left.length > 0 && left.every((orphan) => this.denied.has(idOf(orphan))))) {
          return false
        }
      }
    })
  }

  get run(): Effect.Effect<ReadonlyArray<Orphan>, Unkillable> {
    return Effect.gen(this, function*() {
      yield* this.discover
      const isPolite = this.terms.signal !== "SIGKILL"
      if (!(isPolite && (yield* this.polite)) && !(yield* this.forced)) yield* this.unkillable
      return [...this.tracked.values()]
    })
  }

  private get unkillable(): Effect.Effect<void, Unkillable> {
    return Effect.flatMap(this.living, (left) =>
      left.length === 0 ? Effect.void : new Unkillable({
        command: "orphans",
        pids: left.map(({ pid }) => pid),
        state: left.map(stateOf).join(", ")
      }))
  }
}

const stateOf = ({ commandLine, pid, state, user }: ProcessInfo): string =>
  `pid ${pid} (${commandLine.slice(0, 60)}) of ${user} is in state ${state}`

/** @internal */
export const reap = (source: OrphanSource, terms: Terms): Effect.Effect<ReadonlyArray<Orphan>, Unkillable> =>
  Effect.suspend(() => new Reaper(source, terms).run)
