/** Names of signals and their numbers on Linux. Source: signal(7). */
import { isSignal, type Signal } from "effect-process/Signal"
import * as os from "node:os"

/** As glibc's programs count: the kernel's first real-time signal is 32, and libc keeps two for itself. */
const firstRealTime = 34
const lastRealTime = 64

const numbers = new Map<string, number>(Object.entries(os.constants.signals))
const names = new Map<number, Signal>()
for (const [name, number] of numbers) if (isSignal(name)) names.set(number, name)

/** Undefined for what is no signal here, such as `SIGRTMIN+40`. */
export const numberOf = (signal: Signal): number | undefined => {
  const known = numbers.get(signal)
  if (known !== undefined) return known
  const offset = Number(/[+-]\d+$/.exec(signal)?.[0] ?? 0)
  const number = (signal.startsWith("SIGRTMIN") ? firstRealTime : lastRealTime) + offset
  return signal.startsWith("SIGRT") && number >= firstRealTime && number <= lastRealTime ? number : undefined
}

export const nameOf = (number: number): Signal => {
  const known = names.get(number)
  if (known !== undefined) return known
  const offset = number - firstRealTime
  return offset === 0 ? "SIGRTMIN" : `SIGRTMIN${offset < 0 ? "" : "+"}${offset}`
}
