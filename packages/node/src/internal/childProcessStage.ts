/** One command of a job on `node:child_process`: its descriptors, and what stands before it where Node alone cannot do it. */
import { type Redirect, SpawnFailure, type StageRequest } from "effect-process/Engine"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import { Socket } from "node:net"
import * as path from "node:path"
import type { Stream } from "node:stream"
import type { Program, Shield } from "./descriptorShield.ts"
import { errnoOf, failure } from "./errno.ts"
import type { KernelPipe } from "./kernelPipes.ts"

/** What Node takes for one descriptor: a pipe to us, /dev/null, or a descriptor of ours. */
type Stdio = "pipe" | "ignore" | number

/** A child, and our ends of its pipes by their index. Where it starts through the shield, the stream that tells of its exec. */
export interface Started {
  readonly child: ChildProcess
  readonly ends: ReadonlyMap<number, Socket>
  readonly status: Stream | undefined
}

export const unsupported = (what: string, remedy: string): SpawnFailure =>
  new SpawnFailure({
    reason: "Unsupported",
    stage: "validate",
    errno: undefined,
    path: undefined,
    detail: `${what} is not supported by the engine on node:child_process; ${remedy}`
  })

export const noTerminal = unsupported("Command.terminal", "use NodeProcess.layerSpawnServer, or run script(1)")

const flags = { read: "r", write: "w", append: "a" } as const

const isFifo = (file: string): boolean => {
  try {
    return fs.statSync(file).isFIFO()
  } catch {
    return false
  }
}

const operators = { read: "<", write: ">", append: ">>" } as const

/** The descriptors of a child, and what a shell has to do for it before the exec. */
class Descriptors {
  readonly stdio: Array<Stdio> = []
  /** Of each pipe, the descriptor of the child that it is. */
  readonly pipes = new Map<number, number>()
  readonly redirections: Array<string> = []
  readonly words: Array<string> = []
  private readonly opened: Array<number> = []
  private readonly links: ReadonlyMap<number, KernelPipe>

  constructor(redirects: ReadonlyArray<Redirect>, links: ReadonlyMap<number, KernelPipe>) {
    this.links = links
    try {
      for (const redirect of redirects) this.stdio[redirect.fd] = this.stdioOf(redirect)
    } catch (error) {
      this.close()
      throw error
    }
    // A hole in the array would be a pipe.
    for (let fd = 0; fd < this.stdio.length; fd++) this.stdio[fd] ??= "ignore"
  }

  private stdioOf(redirect: Redirect): Stdio {
    switch (redirect.to) {
      case "inherit":
        return redirect.fd
      case "null":
        // Above 2 Node takes "ignore" for none at all.
        return redirect.fd < 3 ? "ignore" : this.null()
      case "file":
        return this.file(redirect)
      case "descriptor":
        return this.shell(redirect.fd, `${redirect.fd}>&${redirect.of}`)
      case "pipe":
        return this.pipe(redirect)
      case "terminal":
        throw noTerminal
    }
  }

  private pipe({ end, fd, pipe }: Extract<Redirect, { to: "pipe" }>): Stdio {
    const link = this.links.get(pipe)
    if (link !== undefined) return link[end]
    const same = this.pipes.get(pipe)
    // Each pipe that Node makes is one descriptor of one child.
    if (same !== undefined) return this.shell(fd, `${fd}>&${same}`)
    this.pipes.set(pipe, fd)
    return "pipe"
  }

  private file({ fd, mode, path: name }: Extract<Redirect, { to: "file" }>): Stdio {
    const file = path.resolve(name)
    if (isFifo(file)) {
      // The open may wait for the other end for ever; the child is to wait, not we.
      this.words.push(file)
      return this.shell(fd, `${fd}${operators[mode]}"$f${this.words.length}"`)
    }
    try {
      const opened = fs.openSync(file, flags[mode], 0o666)
      this.opened.push(opened)
      return opened
    } catch (error) {
      throw failure(errnoOf(error), "open", file)
    }
  }

  /** A descriptor of `/dev/null`. */
  null(): number {
    const opened = fs.openSync("/dev/null", "r+")
    this.opened.push(opened)
    return opened
  }

  /** sh(1) knows descriptors of one digit. */
  private shell(fd: number, redirection: string): Stdio {
    if (fd > 9) throw unsupported(`descriptor ${fd} as a FIFO or a copy of another one`, "use one below 10")
    this.redirections.push(redirection)
    return "ignore"
  }

  /** Whatever is said of it: the child has its own, and runs. */
  close(): void {
    for (const fd of this.opened) {
      try {
        fs.closeSync(fd)
      } catch {
        // A network file system, say; the number is free all the same. See close(2).
      }
    }
  }
}

/** The program itself, or a shell that becomes it once its redirections are made. */
const programOf = (file: string, stage: StageRequest, { redirections, words }: Descriptors): Program => {
  if (redirections.length === 0) return { file, args: stage.args, argv0: stage.argv0 ?? stage.file }
  if (stage.argv0 !== undefined) {
    throw unsupported("Command.argv0 with Stdio.toStdout or a FIFO", "leave one of them out, or use the spawn server")
  }
  const variables = words.map((_, i) => `f${i + 1}=$1; shift; `).join("")
  const script = `${variables}exec "$@" ${redirections.join(" ")}`
  return { file: "/bin/sh", args: ["-c", script, "sh", ...words, file, ...stage.args], argv0: "sh" }
}

/** `links` are the pipes between stages. */
export const start = (
  file: string,
  stage: StageRequest,
  env: Readonly<Record<string, string>>,
  links: ReadonlyMap<number, KernelPipe>,
  shield: Shield | undefined
): Started => {
  const descriptors = new Descriptors(stage.redirects, links)
  try {
    const program = programOf(file, stage, descriptors)
    const { stdio } = descriptors
    const options = {
      detached: true,
      cwd: stage.workingDirectory,
      env,
      ...(stage.user === undefined ? {} : { uid: stage.user.uid, gid: stage.user.gid })
    }
    if (shield === undefined) {
      const child = spawn(program.file, program.args, { ...options, stdio, argv0: program.argv0 })
      return { child, ends: endsOf(child, descriptors.pipes, (fd) => fd), status: undefined }
    }
    const status = stdio.length
    const stderr = status + 1
    const shielded: Array<Stdio> = [...stdio, "pipe", stdio[2] === "ignore" ? descriptors.null() : stdio[2] ?? 2]
    shielded[2] = "ignore"
    const child = spawn(shield.command, shield.args(program, { status, stderr }), { ...options, stdio: shielded })
    return {
      child,
      ends: endsOf(child, descriptors.pipes, (fd) => fd === 2 ? stderr : fd),
      // Node makes none when it runs out of descriptors.
      status: child.stdio?.[status] ?? undefined
    }
  } finally {
    descriptors.close()
  }
}

const endsOf = (
  child: ChildProcess,
  pipes: ReadonlyMap<number, number>,
  place: (fd: number) => number
): ReadonlyMap<number, Socket> => {
  const ends = new Map<number, Socket>()
  for (const [pipe, fd] of pipes) {
    const end: unknown = child.stdio?.[place(fd)]
    if (end instanceof Socket) ends.set(pipe, end)
  }
  return ends
}
