/** The updates of `ProcessMetrics` for one job. No Effect for any of them: a short command has many. */
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import type * as Metric from "effect/Metric"
import * as MetricLabel from "effect/MetricLabel"
import type { StageExit } from "../Engine.ts"
import { type ExitStatus, isExited } from "../ExitStatus.ts"
import * as ProcessMetrics from "../ProcessMetrics.ts"

type Labels = ReadonlyArray<MetricLabel.MetricLabel>

/** By the labels of the fiber, then by key and value: a metric finds its state by the identity of its labels. */
const known = new WeakMap<Labels, Map<string, Labels>>()

const labelled = (labels: Labels, key: string, value: string): Labels => {
  let all = known.get(labels)
  if (all === undefined) {
    all = new Map()
    known.set(labels, all)
  }
  const name = `${key}=${value}`
  const found = all.get(name)
  if (found !== undefined) return found
  // In the order of `Metric.tagged`: to the registry another order is another metric.
  const made = [MetricLabel.make(key, value), ...labels]
  all.set(name, made)
  return made
}

/** @internal */
export const statusOf = (exit: ExitStatus): string => isExited(exit) ? String(exit.code) : exit.signal

const seconds = (nanoseconds: bigint): number => Number(nanoseconds) / 1e9

/** @internal */
export class Measures {
  private readonly labels: Labels

  private constructor(labels: Labels) {
    this.labels = labels
  }

  /** Nothing where the fiber has them switched off. */
  static of(refs: FiberRefs.FiberRefs): Measures | undefined {
    return FiberRefs.getOrDefault(refs, ProcessMetrics.enabled)
      ? new Measures(FiberRefs.getOrDefault(refs, FiberRef.currentMetricLabels))
      : undefined
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
      ProcessMetrics.exits.unsafeUpdate(1, labelled(this.labels, "status", statusOf(exit)))
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
    ProcessMetrics.failed.unsafeUpdate(1, labelled(this.labels, "reason", reason))
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
