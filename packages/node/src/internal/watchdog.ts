/**
 * What ends the jobs when the owner dies: one POSIX shell in a session of its own, which reads the live process groups from
 * a pipe and ends them at its end of file, which the kernel delivers however the owner died.
 *
 * Between the fork of a child and the line that registers its group the owner may die as well. So an intent is written
 * before each spawn, and every child carries a mark in its environment: the watchdog also ends what bears the mark, and
 * with an intent open it keeps looking until the child must have come to its exec.
 */
import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process"
import type { Socket } from "node:net"
import type { Writable } from "node:stream"

/** The watchdog is idle when its layer closes, so it goes at once; this bounds the wait when the machine is overloaded. */
const closeBound = 2_000

/** An intent stays open for this long after a spawn: each line costs a switch to the shell, and spawns come in bursts. */
const intentLinger = 100

/**
 * Its first line is what a person sees of it in ps(1). A group whose members are all
 * zombies, in each of their threads, is gone: they are init's to reap.
 *
 * Times are hundredths of a second. `i` announces spawns, `x` says that they are over, `+` registers a group, `-` ends that,
 * and `q` says that the end of file to come is the orderly close of the layer, with no need to look for strays.
 *
 * What it reads was written by those that it is to end. A name may hold newlines and parentheses, so a line counts by its end,
 * which has more numbers than a name has room for. An environment may be made to have no end, so the look for marks has a second
 * of processor time, after which it is taken a bounded piece at a time; and it is beside the end of the groups, which waits for none of it.
 */
const script = (owner: number): string =>
  `: effect-process watchdog of process ${owner}
trap '' HUP INT QUIT TERM PIPE TSTP TTIN TTOU USR1 USR2
mark=$1 open=0 orderly=0 stray_signal=TERM stray_grace=500
while read -r verb a b c; do
  case $verb in
    i) open=1 stray_signal=$a stray_grace=$b ;;
    x) open=0 ;;
    +) eval "job_$a='$b $c'" ;;
    -) unset "job_$a" ;;
    q) orderly=1 ;;
  esac
done
groups=$(set | sed -n 's/^job_\\([0-9][0-9]*\\)=.*/\\1/p')
pause() { sleep 0.05 2>/dev/null || sleep 1; }
send() { kill -s "$1" -- "-$2" 2>/dev/null; kill -s CONT -- "-$2" 2>/dev/null; }
clock() {
  if read -r up rest 2>/dev/null </proc/uptime; then now=$((\${up%.*} * 100 + 1\${up#*.} - 100))
  else ticks=$((ticks + 1)) now=$((ticks * 5)); fi
}
one_by_one() {
  for file in /proc/[0-9]*/environ; do
    head -c 8388608 "$file" 2>/dev/null | grep -qF "EFFECT_PROCESS_OWNER=$mark" && echo "$file"
  done
}
marked() {
  if [ -r /proc/self/environ ]; then
    { (ulimit -t 1; exec grep -lsF "EFFECT_PROCESS_OWNER=$mark" /proc/[0-9]*/environ) || [ $? -lt 128 ] || one_by_one; } |
      sed 's|/proc/||; s|/environ||'
  else
    ps -A -E -ww -o pid=,command= | sed -n "s|^ *\\([0-9]*\\) .*EFFECT_PROCESS_OWNER=$mark.*|\\1|p"
  fi
}
group_of() {
  if [ -r "/proc/$1/stat" ]; then
    line=''
    while read -r next; do line=$next; done 2>/dev/null <"/proc/$1/stat"
    set -- \${line##*) }; echo "$3"
  else ps -o pgid= -p "$1" | tr -d ' '; fi
}
living() {
  if [ -r /proc/self/stat ]; then
    sed -n 's/^.*) [^ZX] [0-9]* \\([0-9]*\\) [-0-9 ]\\{40,\\}$/\\1/p' /proc/[0-9]*/task/[0-9]*/stat 2>/dev/null
  else ps -A -o state=,pgid= | sed -n 's/^ *[^Z ][^ ]* *\\([0-9]*\\) *$/\\1/p'; fi
}
ticks=0; clock; began=$now
for g in $groups; do eval "set -- \\$job_$g"; send "$1" "$g"; done
end_strays() {
  seen=' '
  while :; do
    clock; elapsed=$((now - began)) strays=''
    for p in $(marked); do
      case "$groups " in *" $(group_of "$p") "*) continue ;; esac
      signal=KILL
      if [ $elapsed -lt $stray_grace ]; then
        case $seen in *" $p "*) signal='' ;; *) signal=$stray_signal ;; esac
      fi
      seen="$seen$p "
      [ -z "$signal" ] || { send "$signal" "$p"; kill -s "$signal" "$p" 2>/dev/null; kill -s CONT "$p" 2>/dev/null; }
      [ $elapsed -gt $((stray_grace + 100)) ] || strays="$strays $p"
    done
    [ $open = 1 ] && [ $elapsed -lt 100 ] || [ -n "$strays" ] || break
    pause
  done
}
set -- $groups; groups=\${*:+" $*"}
[ $orderly = 1 ] || [ -z "$mark" ] || end_strays &
while [ -n "$groups" ]; do
  clock; elapsed=$((now - began)) left=''
  live=" $(living | tr '\\n' ' ') "
  for g in $groups; do
    case $live in *" $g "*) ;; *) continue ;; esac
    eval "set -- \\$job_$g"
    [ $elapsed -lt "$2" ] || send KILL "$g"
    [ $elapsed -gt $(($2 + 100)) ] || left="$left $g"
  done
  groups=$left
  [ -z "$groups" ] || pause
done
wait
`

const name = "effect-process-watchdog"

/** The mark whose processes a watchdog looks after, by its command line. */
export const markOfWatchdog = (commandLine: string): string | undefined =>
  commandLine.startsWith("/bin/sh -c : effect-process watchdog of process ")
    ? commandLine.slice(commandLine.lastIndexOf(name) + name.length + 1)
    : undefined

/** Of its own: with the owner's it might bear the mark of an owner further up, whose watchdog would end it too early. */
export const environment = { PATH: "/usr/bin:/bin" }

export class Watchdog {
  private readonly mark: string
  private child: ChildProcess | undefined
  private closing = false
  private readonly groups = new Map<number, string>()
  /** The terms of the open intent. */
  private intent: string | undefined
  private idle: NodeJS.Timeout | undefined
  /** What need not be said at once. */
  private pending = ""

  /** `mark` is the value of `EFFECT_PROCESS_OWNER` in the children, empty when they carry none. */
  constructor(mark: string) {
    this.mark = mark
    this.start()
  }

  private spawn(): ChildProcessByStdio<Writable, null, null> | undefined {
    try {
      return spawn("/bin/sh", ["-c", script(process.pid), name, this.mark], {
        detached: true,
        cwd: "/",
        env: environment,
        stdio: ["pipe", "ignore", "ignore"]
      })
    } catch {
      // Out of memory; other wants are told by an event.
      return undefined
    }
  }

  private start(): void {
    const child = this.spawn()
    this.child = undefined
    child?.on("error", () => {
      // Without resources for it there are none for the owner's spawns either, before each of which it is tried again.
    })
    // Out of descriptors, Node makes no pipe.
    if (child?.pid === undefined) return
    this.child = child
    child.stdin.on("error", () => {
      // The exit of the watchdog is what is acted on.
    })
    child.on("exit", () => {
      if (this.child !== child || this.closing) return
      this.start()
    })
    // The watchdog must not keep the owner's event loop alive.
    child.unref()
    // Node types it as a Writable; a pipe of a child is a socket.
    const socket = child.stdin as unknown as Socket
    socket.unref()
    this.pending = ""
    this.write([this.intent === undefined ? "" : `i ${this.intent}\n`, ...this.groups.values()].join(""))
  }

  /** Node writes to a pipe at once, in the call, so a line is out before the owner can be lost to anything later. */
  private write(line: string): void {
    const lines = this.pending + line
    this.pending = ""
    if (lines !== "") this.child?.stdin?.write(lines)
  }

  /** Before a spawn. */
  announce(signal: string, graceMillis: number): void {
    if (this.child === undefined) this.start()
    const terms = `${signal.replace(/^SIG/, "")} ${Math.ceil(graceMillis / 10)}`
    if (this.intent !== terms) this.write(`i ${terms}\n`)
    this.intent = terms
    this.whenIdle()
  }

  /** After a spawn, on the terms of its announcement. */
  register(pgid: number): void {
    const line = `+ ${pgid} ${this.intent ?? "TERM 500"}\n`
    this.groups.set(pgid, line)
    this.write(line)
  }

  /** The group is empty. A group id is not reused as fast as this is said. */
  forget(pgid: number): void {
    if (!this.groups.delete(pgid)) return
    this.pending += `- ${pgid}\n`
    this.whenIdle()
  }

  private whenIdle(): void {
    if (this.idle !== undefined) {
      this.idle.refresh()
      return
    }
    this.idle = setTimeout(() => {
      this.idle = undefined
      this.write(this.intent === undefined ? "" : "x\n")
      this.intent = undefined
    }, intentLinger).unref()
  }

  /** Ends the watchdog, which first ends what is still registered. Resolves when it is gone. */
  close(): Promise<void> {
    this.closing = true
    clearTimeout(this.idle)
    const child = this.child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, closeBound)
      child.ref()
      child.once("exit", () => {
        clearTimeout(timer)
        resolve()
      })
      child.stdin?.end(`${this.pending}q\n`)
    })
  }
}
