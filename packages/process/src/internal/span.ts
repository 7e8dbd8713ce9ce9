/** The span of a job, `process.spawn`, by the conventions of OpenTelemetry, and how a child is told of it. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as Runtime from "effect/Runtime"
import * as Tracer from "effect/Tracer"
import { type ExitStatus, isExited } from "../ExitStatus.ts"
import { stageName } from "./command.ts"
import { secretsOf, type Spec, type Stage } from "./spec.ts"
import { scrub } from "./text.ts"
import { shown } from "./words.ts"

/** Nobody sees the spans of the tracer that every program has, so they are not made. */
const native = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/**
 * The name of the program, without its directory.
 *
 * @internal
 */
export const programOf = (spec: Spec): string => {
  const [file = []] = spec.stages[0].words
  const path = scrub(shown(file), secretsOf(spec))
  return path.slice(path.lastIndexOf("/") + 1)
}

/**
 * What a job is, in the words of the conventions for processes and for programs that are called.
 *
 * Source: https://opentelemetry.io/docs/specs/semconv/registry/attributes/process/ and
 * https://opentelemetry.io/docs/specs/semconv/cli/cli-spans/#client-caller-spans
 */
const describe = (spec: Spec): Record<string, unknown> => {
  const [first, ...rest] = spec.stages
  const secrets = secretsOf(spec)
  const safe = (text: string) => scrub(text, secrets)
  const [file = "", ...args] = first.words.map((word) => safe(shown(word)))
  const { label } = spec.settings
  return {
    "process.command": typeof first.argv0 === "string" ? safe(first.argv0) : file,
    "process.command_args": [file, ...args],
    "process.args_count": first.words.length,
    "process.executable.name": programOf(spec),
    ...(typeof first.workingDirectory === "string" && {
      "process.working_directory": safe(first.workingDirectory)
    }),
    ...(rest.length > 0 && { "effect_process.stages": spec.stages.map((stage) => safe(stageName(stage))) }),
    ...(typeof label === "string" && { "effect_process.label": safe(label) })
  }
}

/** An exit code, or a signal, for which the conventions have no word. @internal */
export const statusAttributes = (exit: ExitStatus): Record<string, unknown> =>
  isExited(exit) ? { "process.exit.code": exit.code } : { "process.exit.signal": exit.signal }

const withoutSpace = (text: string): string => text.replace(/\s/g, "")

/** A user's error may quote what it was given, and a rendered one breaks and indents its lines. */
const withoutSecrets = (exit: Exit.Exit<unknown, unknown>, secrets: ReadonlyArray<string>) => {
  if (Exit.isSuccess(exit) || secrets.length === 0) return exit
  const text = withoutSpace(Cause.pretty(exit.cause, { renderErrorCause: true }))
  if (!secrets.some((secret) => text.includes(withoutSpace(secret)))) return exit
  const [error] = Cause.prettyErrors(exit.cause)
  const safe = new Error(scrub(error?.message ?? "", secrets))
  safe.name = scrub(error?.name ?? safe.name, secrets)
  safe.stack = `${safe.name}: ${safe.message}`
  return Exit.fail(safe)
}

/** @internal */
export class JobSpan {
  readonly span: Tracer.Span
  private readonly secrets: ReadonlyArray<string>
  private readonly now: () => bigint

  private constructor(span: Tracer.Span, secrets: ReadonlyArray<string>, now: () => bigint) {
    this.span = span
    this.secrets = secrets
    this.now = now
  }

  /**
   * Begins one below the current span, where somebody is there to see it: a tracer of the user's, or a child that is to be told.
   */
  static open(spec: Spec, runtime: Runtime.Runtime<never>): JobSpan | undefined {
    const { fiberRefs } = runtime
    if (!FiberRefs.getOrDefault(fiberRefs, FiberRef.currentTracerEnabled)) return undefined
    const services = FiberRefs.getOrDefault(fiberRefs, DefaultServices.currentServices)
    if (Context.get(services, Tracer.Tracer) === native && !spec.stages.some(tellsTrace)) return undefined
    const make = Effect.makeSpan("process.spawn", {
      kind: "client",
      captureStackTrace: false,
      attributes: describe(spec)
    })
    const clock = Context.get(services, Clock.Clock)
    const isTimed = FiberRefs.getOrDefault(fiberRefs, FiberRef.currentTracerTimingEnabled)
    const now = () => isTimed ? clock.unsafeCurrentTimeNanos() : 0n
    return new JobSpan(Runtime.runSync(runtime)(make), secretsOf(spec), now)
  }

  get time(): bigint {
    return this.now()
  }

  get hasEnded(): boolean {
    return this.span.status._tag === "Ended"
  }

  attributes(all: Record<string, unknown>): void {
    for (const [key, value] of Object.entries(all)) this.span.attribute(key, value)
  }

  event(name: string, attributes?: Record<string, unknown>): void {
    if (!this.hasEnded) this.span.event(name, this.now(), attributes)
  }

  end(exit: Exit.Exit<unknown, unknown>, at: bigint): void {
    if (!this.hasEnded) this.span.end(at, withoutSecrets(exit, this.secrets))
  }
}

const tellsTrace = ({ traced }: Stage): boolean => traced

const isSpanContext = ({ spanId, traceId }: Tracer.AnySpan): boolean =>
  /^(?!0+$)[0-9a-f]{32}$/.test(traceId) && /^(?!0+$)[0-9a-f]{16}$/.test(spanId)

/**
 * The variables by which a child continues a trace. A trace state of the owner's own environment belongs to the trace that is
 * named beside it, and says nothing of another one. Nothing where there is no trace to continue.
 *
 * Source: https://www.w3.org/TR/trace-context/#traceparent-header and
 * https://opentelemetry.io/docs/specs/otel/context/env-carriers/
 *
 * @internal
 */
export const traceVariables = (
  span: Tracer.AnySpan | undefined,
  owner: Readonly<Record<string, string>>
): Readonly<Record<string, string | undefined>> => {
  if (span === undefined || !isSpanContext(span)) return {}
  const isOwners = owner["TRACEPARENT"]?.split("-")[1] === span.traceId
  return {
    TRACEPARENT: `00-${span.traceId}-${span.spanId}-${span.sampled ? "01" : "00"}`,
    ...(!isOwners && { TRACESTATE: undefined })
  }
}
