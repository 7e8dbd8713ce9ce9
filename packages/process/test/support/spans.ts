/** A tracer that keeps its spans, with times in milliseconds since it was made. */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

export class KeptSpan implements Tracer.Span {
  readonly _tag = "Span"
  readonly traceId: string
  readonly spanId: string
  readonly sampled = true
  readonly attributes = new Map<string, unknown>()
  readonly links: ReadonlyArray<Tracer.SpanLink> = []
  readonly events: Array<readonly [name: string, millis: number, attributes: Record<string, unknown>]> = []
  status: Tracer.SpanStatus
  readonly name: string
  readonly parent: Option.Option<Tracer.AnySpan>
  readonly context: Context.Context<never>
  readonly kind: Tracer.SpanKind
  readonly startTime: bigint

  constructor(
    name: string,
    parent: Option.Option<Tracer.AnySpan>,
    context: Context.Context<never>,
    startTime: bigint,
    kind: Tracer.SpanKind,
    id: number
  ) {
    this.name = name
    this.parent = parent
    this.context = context
    this.kind = kind
    this.startTime = startTime
    this.status = { _tag: "Started", startTime }
    this.traceId = parent._tag === "Some" ? parent.value.traceId : `${id}`.padStart(32, "a")
    this.spanId = `${id}`.padStart(16, "b")
  }

  end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
    if (this.status._tag === "Ended") throw new Error(`${this.name} was ended twice`)
    this.status = { _tag: "Ended", startTime: this.startTime, endTime, exit }
  }

  attribute(key: string, value: unknown): void {
    if (this.status._tag === "Ended") throw new Error(`${key} comes after the end`)
    this.attributes.set(key, value)
  }

  event(name: string, time: bigint, attributes: Record<string, unknown> = {}): void {
    if (this.status._tag === "Ended") throw new Error(`${name} comes after the end`)
    this.events.push([name, Number(time - this.startTime) / 1e6, attributes])
  }

  addLinks(): void {
    throw new Error("nobody links")
  }

  get eventNames(): ReadonlyArray<string> {
    return this.events.map(([name]) => name)
  }

  /** Milliseconds from its begin to its end, where it has ended. */
  get duration(): number | undefined {
    return this.status._tag === "Ended" ? Number(this.status.endTime - this.startTime) / 1e6 : undefined
  }

  /** What it ended with: nothing, or what an exporter would print. */
  get failure(): string | undefined {
    if (this.status._tag !== "Ended") return "(not ended)"
    const { exit } = this.status
    return exit._tag === "Success" ? undefined : Cause.pretty(exit.cause).split("\n")[0]
  }
}

export const collect = () => {
  const spans: Array<KeptSpan> = []
  const tracer = Tracer.make({
    span: (name, parent, context, _links, startTime, kind) => {
      const span = new KeptSpan(name, parent, context, startTime, kind, spans.length)
      spans.push(span)
      return span
    },
    context: (f) => f()
  })
  return {
    spans,
    provide: Effect.withTracer(tracer),
    /** The span of the only job. */
    get job(): KeptSpan {
      const [span, another] = spans.filter(({ name }) => name === "process.spawn")
      if (span === undefined || another !== undefined) throw new Error(`${spans.length} spans, and not one of one job`)
      return span
    }
  }
}
