/** The updates of `ProcessMetrics` for one job. No Effect for any of them: a short command has many. */
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import type * as Metric from "effect/Metric"
import * as MetricLabel from "effect/MetricLabel"
import type { StageExit } from "../Engine.ts"
import { isExited } from "../ExitStatus.ts"
import * as ProcessMetrics from "../ProcessMetrics.ts"

type Labels = ReadonlyArray<MetricLabel.MetricLabel>

/** Labels of a fiber with one more, by its value: a metric finds its state by the identity of its labels. */
class Labelled {
  private readonly key: string
  private readonly labels: Labels
  private readonly known = new Map<string | number, Labels>()

  constructor(key: string, labels: Labels) {
    this.key = key
    this.labels = labels
  }

  of(value: string | number): Labels {
    const found = this.known.get(value)
    if (found !== undefined) return found
    // In the order of `Metric.tagged`: to the registry another order is another metric.
    const made = [MetricLabel.make(this.key, String(value)), ...this.labels]
    this.known.set(value, made)
    return made
  }
}

/** By the labels of the fiber. */
const known = new WeakMap<Labels, Measures>()

/** Most fibers of a program have the same labels. */
let latest: Measures | undefined

const seconds = (nanoseconds: bigint): number => Number(nanoseconds) / 1e9

/** For all jobs with the same labels. @internal */
export class Measures {
  private readonly labels: Labels
  private readonly statuses: Labelled
  private readonly reasons: Labelled

  private constructor(labels: Labels) {
    this.labels = labels
    this.statuses = new Labelled("status", labels)
    this.reasons = new Labelled("reason", labels)
  }

  /** Nothing where the fiber has them switched off. */
  static of(refs: FiberRefs.FiberRefs): Measures | undefined {
    if (!FiberRefs.getOrDefault(refs, ProcessMetrics.enabled)) return undefined
    const labels = FiberRefs.getOrDefault(refs, FiberRef.currentMetricLabels)
    if (latest?.labels === labels) return latest
    latest = known.get(labels) ?? new Measures(labels)
    known.set(labels, latest)
    return latest
  }

  private add(metric: Metric.Metric.Counter<number> | Metric.Metric.Histogram<number>, value: number): void {
    metric.unsafeUpdate(value, this.labels)
  }

  started(latency: bigint): void {
    this.add(ProcessMetrics.spawned, 1)
    ProcessMetrics.active.unsafeModify(1, this.labels)
    this.add(ProcessMetrics.spawnLatency, seconds(latency))
  }

  exited(exits: ReadonlyArray<StageExit>): void {
    for (const { exit, usage } of exits) {
      ProcessMetrics.exits.unsafeUpdate(1, this.statuses.of(isExited(exit) ? exit.code : exit.signal))
      if (usage.maxRss > 0) this.add(ProcessMetrics.peakRss, usage.maxRss)
    }
  }

  /** `release`: since the first signal, where there was one. */
  emptied(duration: bigint, release: bigint | undefined): void {
    ProcessMetrics.active.unsafeModify(-1, this.labels)
    this.add(ProcessMetrics.jobDuration, seconds(duration))
    if (release !== undefined) this.add(ProcessMetrics.releaseDuration, seconds(release))
  }

  failed(reason: string): void {
    ProcessMetrics.failed.unsafeUpdate(1, this.reasons.of(reason))
  }

  escalated(): void {
    this.add(ProcessMetrics.escalations, 1)
  }

  leaked(count: number): void {
    this.add(ProcessMetrics.leaked, count)
  }

  read(bytes: number): void {
    this.add(ProcessMetrics.bytesOut, bytes)
  }

  wrote(bytes: number): void {
    this.add(ProcessMetrics.bytesIn, bytes)
  }
}
