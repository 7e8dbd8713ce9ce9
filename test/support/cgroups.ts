/** Whether this machine lets us make a cgroup, found out without the library. */
import * as fs from "node:fs"
import * as path from "node:path"

const read = (file: string): string => {
  try {
    return fs.readFileSync(file, "utf8")
  } catch {
    return ""
  }
}

/** The cgroup v2 that we are in, as a directory; `undefined` where none is mounted. */
export const own = (): string | undefined => {
  const mount = read("/proc/self/mountinfo").split("\n").find((line) => line.includes(" - cgroup2 "))?.split(" ")
  const inside = /^0::(.*)$/m.exec(read("/proc/self/cgroup"))?.[1]
  if (mount?.[4] === undefined || inside === undefined) return undefined
  const root = mount[3] ?? "/"
  return path.join(mount[4], root !== "/" && inside.startsWith(root) ? inside.slice(root.length) : inside)
}

export const canMake = (): boolean => {
  const parent = own()
  if (parent === undefined) return false
  const directory = path.join(parent, `ep-test-${process.pid}`)
  try {
    fs.mkdirSync(directory)
  } catch {
    return false
  }
  const can = fs.existsSync(path.join(directory, "cgroup.kill"))
  fs.rmdirSync(directory)
  return can
}

/** Those that a server with this pid has made. */
export const of = (server: number): ReadonlyArray<string> => {
  const parent = own()
  if (parent === undefined) return []
  return fs.readdirSync(parent).filter((name) => name.startsWith(`effect-process-${server}-`)).map((name) =>
    path.join(parent, name)
  )
}
