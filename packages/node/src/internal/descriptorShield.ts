/**
 * Keeps from children the descriptors that the owner itself was started with. Node marks the first ones close-on-exec when it
 * starts and leaves those above 16 open to every child, where a forgotten pipe keeps its reader waiting. Node has no call to
 * mark them, so, only where there are some, children start through a line of perl(1) that does.
 */
import * as fs from "node:fs"

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
 * The first descriptor that is named takes the errno of an exec that fails, the second is the stderr of the program: what perl
 * itself may have to say (of a locale, say) goes nowhere. Perl marks what it opens above descriptor 2 close-on-exec, `&=`
 * opens what is there (perlfunc, "open"; perlvar, "$^F").
 */
const script = [
  "my ($s, $e) = (shift, shift);",
  "open(my $status, '>&=', $s) or exit 126;",
  "open(my $err, '>&=', $e) or exit 126;",
  "my @held = map { open(my $fd, '<&=', $_); $fd } split(/,/, shift);",
  "open(STDERR, '>&', $e) or exit 126;",
  "my $file = shift; my $name = shift;",
  "exec { $file } $name, @ARGV;",
  "syswrite($status, $! + 0); exit 127"
].join(" ")

/** What is executed. */
export interface Program {
  readonly file: string
  readonly argv0: string
  readonly args: ReadonlyArray<string>
}

/** How to start a program so that it gets none of these descriptors. */
export interface Shield {
  readonly command: string
  readonly args: (
    program: Program,
    descriptors: { readonly status: number; readonly stderr: number }
  ) => ReadonlyArray<string>
}

/** Undefined where nothing needs to be kept from children, or nothing can be. */
export const find = (descriptors: ReadonlyArray<number>): Shield | undefined => {
  const command = descriptors.length === 0 ? undefined : perl.find((path) => fs.existsSync(path))
  if (command === undefined) return undefined
  return {
    command,
    args: ({ args, argv0, file }, { status, stderr }) => [
      "-e",
      script,
      String(status),
      String(stderr),
      // What the child is to have takes the place of what the owner has there.
      descriptors.filter((fd) => fd > stderr).join(","),
      file,
      argv0,
      ...args
    ]
  }
}
