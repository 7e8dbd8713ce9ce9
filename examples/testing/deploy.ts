/** A script as programs have them: what it starts is all that it does. The suites beside it test it without starting anything. */
import { Data, Effect, Redacted, Schedule } from "effect"
import { Command, Stdio } from "effect-process"

export class DirtyTree extends Data.TaggedError("DirtyTree")<{ readonly files: ReadonlyArray<string> }> {}

export interface Deployment {
  readonly commit: string
  readonly image: string
}

/** What is deployed must be what is committed. */
export const cleanCommit = (project: string) =>
  Effect.gen(function*() {
    const git = (...args: ReadonlyArray<string>) =>
      Command.lines(Command.make("git", ...args).pipe(Command.workingDirectory(project)))
    const changed = yield* git("status", "--porcelain")
    if (changed.length > 0) return yield* new DirtyTree({ files: changed.map((line) => line.slice(3)) })
    const [commit = "unknown"] = yield* git("rev-parse", "--short", "HEAD")
    return commit
  })

const project = "/srv/shop"

/** The registry is slow to answer at times: three tries, a second apart, two minutes each. */
const push = (image: string) =>
  Command.run(
    Command.make("docker", "push", image).pipe(Command.timeout("2 minutes"), Command.gracePeriod("10 seconds"))
  ).pipe(
    Effect.retry({ schedule: Schedule.spaced("1 second"), times: 2 })
  )

/** Builds, backs up the database, pushes, and has the host take the new image. */
export const deploy = (host: string, token: Redacted.Redacted<string>) =>
  Effect.gen(function*() {
    const commit = yield* cleanCommit(project)
    const image = `registry.example.com/shop:${commit}`
    yield* Command.run(
      Command.make("docker", "login", "--username", "deploy", "--password-stdin", "registry.example.com").pipe(
        Command.feed(Redacted.value(token))
      )
    )
    yield* Command.run(Command.make("docker", "build", "--tag", image, ".").pipe(Command.workingDirectory(project)))
    yield* Command.run(
      Command.make("pg_dump", "shop").pipe(
        Command.pipeTo(Command.make("gzip", "-c")),
        Command.stdout(Stdio.file("/var/backups/shop.sql.gz"))
      )
    )
    yield* push(image)
    yield* Command.run(
      Command.make("ssh", host, "systemctl", "restart", "shop").pipe(Command.env({ DEPLOY_TOKEN: token }))
    )
    return { commit, image } satisfies Deployment
  })
