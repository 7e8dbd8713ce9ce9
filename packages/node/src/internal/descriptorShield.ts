/**
 * Keeps from children the descriptors that the owner itself was started with. Node marks the first ones close-on-exec when it
 * starts and leaves those above 16 open to every child, where a forgotten pipe keeps its reader waiting. Node has no call to
 * mark them, so, only where there are some, children start through a line of perl(1) that does.
 */
import type { StageRequest } from "effect-process/Engine"
import * as fs from "node:fs"
import * as os from "node:os"

/** Source: open(2), the value that /proc/PID/fdinfo shows on every Linux that Node runs on. */
const closeOnExec = 0o2000000

const perl = ["/usr/bin/perl", "/usr/local/bin/perl", "/bin/perl"]

/** The descriptors above 2 that a child would get. Elsewhere than on Linux, libuv closes them itself. */
export const inheritable = (): ReadonlyArray<number> => {
  if (process.platform !== "linux") return []
  return fs.readdirSync("/proc/self/fdinfo").map(Number).filter((fd) => {
    if (fd < 3) return false
    try {
      const flags = /^flags:\s*([0-7]+)/m.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, "latin1"))?.[1]
      return flags !== undefined && (Number.parseInt(flags, 8) & closeOnExec) === 0
    } catch {
      // The descriptor that read the directory.
      return false
    }
  })
}

/**
 * Descriptor 3 takes the errno of an exec that fails, 4 is the stderr of the program: what perl itself may have to say (of a
 * locale, say) goes nowhere. Perl marks what it opens above descriptor 2 close-on-exec, `&=` opens what is there (perlfunc,
 * "open"; perlvar, "$^F").
 */
const script = [
  "open(my $status, '>&=', 3) or exit 126;",
  "open(my $err, '>&=', 4) or exit 126;",
  "my @held = map { open(my $fd, '<&=', $_); $fd } split(/,/, shift);",
  "open(STDERR, '>&', 4) or exit 126;",
  "my $file = shift; my $name = shift;",
  "exec { $file } $name, @ARGV;",
  "syswrite($status, $! + 0); exit 127"
].join(" ")

/** How to start a program so that it gets none of these descriptors. */
export interface Shield {
  readonly command: string
  readonly args: (file: string, stage: StageRequest) => ReadonlyArray<string>
}

/** Undefined where nothing needs to be kept from children, or nothing can be. */
export const find = (descriptors: ReadonlyArray<number>): Shield | undefined => {
  const command = descriptors.length === 0 ? undefined : perl.find((path) => fs.existsSync(path))
  if (command === undefined) return undefined
  return {
    command,
    args: (file, stage) => ["-e", script, descriptors.join(","), file, stage.argv0 ?? stage.file, ...stage.args]
  }
}

/** The name of the errno that came over the status pipe. */
export const errnoName = (status: string): string => {
  const number = Number(status)
  return Object.entries(os.constants.errno).find(([, value]) => value === number)?.[0] ?? "EUNKNOWN"
}
