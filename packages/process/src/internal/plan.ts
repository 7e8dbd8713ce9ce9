/** Checks a command and reveals it for an engine: which programs, joined by which pipes, and who of us is at their ends. */
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { type PipeRequest, type Redirect, SpawnFailure, type StageRequest, type TerminalRequest } from "../Engine.ts"
import { File, ToStdout } from "../Stdio.ts"
import {
  type Descriptor,
  type ErrorOutput,
  type Input,
  isObject,
  type Output,
  show,
  type Size,
  type Spec,
  type Stage,
  unredact
} from "./spec.ts"
import { printable } from "./text.ts"
import { reveal } from "./words.ts"

type AnyStream = Stream.Stream<Uint8Array | string, unknown, unknown>
type AnySink = Sink.Sink<unknown, Uint8Array, unknown, unknown, unknown>

/** A Stream that one of us writes into a pipe. @internal */
export interface Feed {
  readonly pipe: number
  readonly name: string
  readonly stream: AnyStream
}

/** A Sink that one of us runs on what comes out of a pipe of one stage. @internal */
export interface Drain {
  readonly pipe: number
  readonly name: "stdout" | "stderr" | `descriptor ${number}`
  readonly stage: number
  readonly sink: AnySink
}

/** A pipe that a stage writes and the handle reads. @internal */
export interface Source {
  readonly pipe: number
  readonly stage: number
}

/** @internal */
export interface Plan {
  readonly stages: readonly [StageRequest, ...ReadonlyArray<StageRequest>]
  readonly pipes: ReadonlyArray<PipeRequest>
  /** The pipe that the handle's `stdin` writes. */
  readonly stdin: number | undefined
  /** Of the last stage, and of those of which only the stderr is piped on. */
  readonly stdout: ReadonlyArray<Source>
  readonly stderr: ReadonlyArray<Source>
  readonly feeds: ReadonlyArray<Feed>
  readonly drains: ReadonlyArray<Drain>
  readonly terminal: TerminalRequest | undefined
}

/** Thrown within this module only: a check is deep inside what it is a check of. */
class Bad {
  readonly detail: string
  readonly path: string | undefined
  constructor(detail: string, path?: string) {
    this.detail = detail
    this.path = path
  }
}

type Variables = Readonly<Record<string, string | undefined>>

const environment = (
  stage: Stage,
  owner: Readonly<Record<string, string>>,
  trace: Variables
): Readonly<Record<string, string>> => {
  // What the command itself says comes last, and wins.
  const added = Object.entries(stage.traced ? { ...trace, ...stage.env } : stage.env)
  if (added.length === 0 && stage.extendEnv) return owner
  const env: Record<string, string> = stage.extendEnv ? { ...owner } : {}
  for (const [name, value] of added) {
    if (name === "" || /[=\0]/.test(name)) {
      throw new Bad(`${show(name)} cannot name a variable; leave out "=" and NUL`)
    }
    const text = Redacted.isRedacted(value) ? unredact(value) : value
    if (text === undefined) {
      delete env[name]
      continue
    }
    if (typeof text !== "string") throw new Bad(`variable ${name} is no string; convert it`)
    if (text.includes("\0")) throw new Bad(`variable ${name} holds a NUL byte; remove it`)
    env[name] = text
  }
  return env
}

const wordsOf = (stage: Stage): readonly [string, ReadonlyArray<string>] => {
  const which = (index: number) => index === 0 ? "the command" : `argument ${index}`
  const words = stage.words.map((word, index) => {
    if (word.some((piece) => Redacted.isRedacted(piece) && unredact(piece) === null)) {
      throw new Bad(`${which(index)} is redacted and holds no string, or was wiped; make it anew`)
    }
    return reveal(word)
  })
  const [file, ...args] = words
  if (file === undefined || file === "") throw new Bad("the command is empty; name a program")
  const at = words.findIndex((word) => word.includes("\0"))
  if (at >= 0) throw new Bad(`${which(at)} holds a NUL byte, which no argument can; remove it`)
  return [file, args]
}

const directoryOf = (stage: Stage): string | undefined => {
  const directory: unknown = stage.workingDirectory
  if (directory === undefined) return undefined
  if (typeof directory !== "string") throw new Bad(`workingDirectory ${show(directory)} is no string; write a path`)
  if (directory === "" || directory.includes("\0")) {
    throw new Bad(`${show(directory)} is no directory; leave it out or name one`, printable(directory))
  }
  return directory
}

const argv0Of = (stage: Stage): string | undefined => {
  const argv0: unknown = stage.argv0
  if (argv0 === undefined) return undefined
  if (typeof argv0 !== "string") throw new Bad(`argv0 ${show(argv0)} is no string; write a name`)
  if (argv0.includes("\0")) throw new Bad("argv0 holds a NUL byte; remove it")
  return argv0
}

const isStream = (value: unknown): value is AnyStream => isObject(value) && Stream.StreamTypeId in (value as object)

const isSink = (value: unknown): value is AnySink => isObject(value) && Sink.SinkTypeId in (value as object)

const fileAt = (name: string, fd: number, file: File, usual: "read" | "write" | undefined): Redirect => {
  const path: unknown = file.path
  if (typeof path !== "string" || path === "" || path.includes("\0")) {
    throw new Bad(`${name}: ${show(path)} is no file; name one`)
  }
  const mode: unknown = file.mode ?? usual
  if (mode !== "read" && mode !== "write" && mode !== "append") {
    throw new Bad(`${name}: file ${show(path)} with mode ${show(mode)}; write "read", "write" or "append"`)
  }
  if (usual !== undefined && (mode === "read") !== (usual === "read")) {
    throw new Bad(`${name}: file ${show(path)} with mode ${show(mode)}; ${name} is there to ${usual}`)
  }
  return { fd, to: "file", path, mode }
}

/** The pipes and redirections of all stages, as they are found. */
class Wiring {
  readonly pipes: Array<PipeRequest> = []
  readonly feeds: Array<Feed> = []
  readonly drains: Array<Drain> = []
  readonly stdout: Array<Source> = []
  readonly stderr: Array<Source> = []
  stdin: number | undefined
  /** Between the last stage and this one. */
  private link: number | undefined
  /** Whether what is piped to and from us is on a terminal instead. */
  private readonly isOnTerminal: boolean
  private typed: number | undefined
  /** Who takes what is shown: stdout where it is on the terminal, else stderr. */
  private shown: { readonly fd: 1 | 2; readonly stage: number; readonly sink: AnySink | undefined } | undefined

  constructor(isOnTerminal: boolean) {
    this.isOnTerminal = isOnTerminal
  }

  private pipe(owner: PipeRequest["owner"]): number {
    return this.pipes.push({ owner }) - 1
  }

  private fedPipe(): number {
    return this.pipes.push({ owner: "writes", fed: true }) - 1
  }

  private read(fd: number, pipe: number): Redirect {
    return { fd, to: "pipe", pipe, end: "read" }
  }

  private write(fd: number, pipe: number): Redirect {
    return { fd, to: "pipe", pipe, end: "write" }
  }

  private feed(name: string, fd: number, stream: AnyStream): Redirect {
    const pipe = this.fedPipe()
    this.feeds.push({ pipe, name, stream })
    return this.read(fd, pipe)
  }

  private drain(name: Drain["name"], fd: number, stage: number, sink: AnySink): Redirect {
    const pipe = this.pipe("reads")
    this.drains.push({ pipe, name, stage, sink })
    return this.write(fd, pipe)
  }

  /** The stdin of the first stage. */
  private fromUs(pipe: number): Redirect {
    if (!this.isOnTerminal) return this.read(0, pipe)
    this.typed = pipe
    return { fd: 0, to: "terminal" }
  }

  private onScreen(fd: 1 | 2, stage: number, sink: AnySink | undefined): Redirect {
    // Whichever it is, all that is shown comes out there: it cannot be told who wrote what.
    if (fd === 1 || this.shown?.fd !== 1) this.shown = { fd, stage, sink: sink ?? this.shown?.sink }
    return { fd, to: "terminal" }
  }

  /** The pipes that the terminal is joined to, once all stages are known. */
  terminal(size: Size): TerminalRequest {
    const { shown, typed: input } = this
    if (shown === undefined) return { ...size, input, output: undefined }
    const { fd, sink, stage } = shown
    const name = fd === 1 ? "stdout" : "stderr"
    if (sink === undefined) this.source(fd, this[name], stage)
    else this.drain(name, fd, stage, sink)
    return { ...size, input, output: this.pipes.length - 1 }
  }

  private source(fd: 1 | 2, sources: Array<Source>, stage: number): Redirect {
    const pipe = this.pipe("reads")
    sources.push({ pipe, stage })
    return this.write(fd, pipe)
  }

  private input(stdin: Input | undefined, stage: number): Redirect {
    const link = this.link
    this.link = undefined
    if (stdin === undefined || stdin === "pipe") {
      if (link !== undefined) return this.read(0, link)
      this.stdin = this.pipe("writes")
      return this.fromUs(this.stdin)
    }
    if (stdin === "inherit") return { fd: 0, to: "inherit" }
    if (stdin === "ignore") return { fd: 0, to: "null" }
    if (stdin instanceof File) return fileAt("stdin", 0, stdin, "read")
    if (isStream(stdin)) {
      const redirect = this.feed(stage === 0 ? "stdin" : `stdin of stage ${stage}`, 0, stdin)
      // A second use of the handle's stdin is told that it has one.
      if (stage > 0) return redirect
      this.stdin = this.pipes.length - 1
      return this.fromUs(this.stdin)
    }
    throw new Bad(`stdin ${show(stdin)}; write "pipe", "inherit", "ignore", Stdio.file(path) or a Stream`)
  }

  private output(
    name: "stdout" | "stderr",
    fd: 1 | 2,
    output: ErrorOutput | Output,
    stage: number,
    piped: () => Redirect
  ): Redirect {
    if (output === "pipe") return piped()
    if (output === "inherit") return { fd, to: "inherit" }
    if (output === "ignore") return { fd, to: "null" }
    if (output instanceof File) return fileAt(name, fd, output, "write")
    if (fd === 2 && output instanceof ToStdout) return { fd, to: "descriptor", of: 1 }
    if (isSink(output)) {
      return this.isOnTerminal && fd === 1 ? this.onScreen(1, stage, output) : this.drain(name, fd, stage, output)
    }
    const more = fd === 2 ? ", Stdio.toStdout" : ""
    throw new Bad(`${name} ${show(output)}; write "pipe", "inherit", "ignore", Stdio.file(path)${more} or a Sink`)
  }

  private descriptor(fd: number, descriptor: Descriptor, stage: number): Redirect {
    const name = `descriptor ${fd}` as const
    if (descriptor === "ignore") return { fd, to: "null" }
    if (descriptor instanceof File) return fileAt(name, fd, descriptor, undefined)
    if (isStream(descriptor)) return this.feed(name, fd, descriptor)
    if (isSink(descriptor)) return this.drain(name, fd, stage, descriptor)
    throw new Bad(`${name} ${show(descriptor)}; write "ignore", Stdio.file(path, { mode }), a Stream or a Sink`)
  }

  stage(stage: Stage, index: number): ReadonlyArray<Redirect> {
    const stdin = this.input(stage.stdin, index)
    const { feeds } = stage
    const next = feeds === undefined ? undefined : this.pipe("none")
    const stdout = this.output("stdout", 1, stage.stdout, index, () => {
      if (next !== undefined && feeds !== "stderr") return this.write(1, next)
      return this.isOnTerminal ? this.onScreen(1, index, undefined) : this.source(1, this.stdout, index)
    })
    const stderr = this.output("stderr", 2, stage.stderr, index, () => {
      if (next !== undefined && feeds !== "stdout") return this.write(2, next)
      return this.isOnTerminal ? this.onScreen(2, index, undefined) : this.source(2, this.stderr, index)
    })
    const more = [...stage.descriptors].map(([fd, descriptor]) => this.descriptor(fd, descriptor, index))
    this.link = next
    return [stdin, stdout, stderr, ...more]
  }
}

const stageOf = (
  stage: Stage,
  owner: Readonly<Record<string, string>>,
  trace: Variables,
  redirects: ReadonlyArray<Redirect>
): StageRequest => {
  const [file, args] = wordsOf(stage)
  const { limits, nice, umask, user } = stage
  return {
    file,
    args,
    argv0: argv0Of(stage),
    workingDirectory: directoryOf(stage),
    env: environment(stage, owner, trace),
    redirects,
    limits,
    nice,
    umask,
    user
  }
}

/** @internal */
export const make = (
  { settings, stages: [first, ...rest] }: Spec,
  owner: Readonly<Record<string, string>>,
  trace: Variables = {}
): Either.Either<Plan, SpawnFailure> => {
  const wiring = new Wiring(settings.terminal !== undefined)
  let index = 0
  const next = (stage: Stage): StageRequest => {
    if (stage.problem !== undefined) throw new Bad(stage.problem)
    const request = stageOf(stage, owner, trace, wiring.stage(stage, index))
    index++
    return request
  }
  try {
    const stages: Plan["stages"] = [next(first), ...rest.map(next)]
    const terminal = settings.terminal === undefined ? undefined : wiring.terminal(settings.terminal)
    const { drains, feeds, pipes, stderr, stdin, stdout } = wiring
    return Either.right({ stages, pipes, stdin, stdout, stderr, feeds, drains, terminal })
  } catch (bad) {
    if (!(bad instanceof Bad)) throw bad
    const { detail, path } = bad
    return Either.left(
      new SpawnFailure({ reason: "InvalidArgument", stage: "validate", errno: undefined, path, detail, index })
    )
  }
}
