/**
 * Whether there is a process with this pid, a zombie or one that is hidden from us too; `denied` where it is another user's.
 * Source: kill(2) with signal 0.
 *
 * @internal
 */
export const presence = (pid: number): "there" | "denied" | "gone" => {
  try {
    process.kill(pid, 0)
    return "there"
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM" ? "denied" : "gone"
  }
}
