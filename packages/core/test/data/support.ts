/** What the tests of the data structures share: repeatable random numbers, and a scale for what stays in memory. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

/** Uniform numbers in [0, 1), the same for the same seed (mulberry32). */
export const random = (seed: number): (() => number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** A number in [0, below), for indexes. */
export const below = (next: () => number, limit: number): number => Math.floor(next() * limit)

setFlagsFromString("--expose-gc")
const collectGarbage = runInNewContext("gc") as () => void

const inUse = (): number => {
  collectGarbage()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return arrayBuffers + heapUsed
}

/** How many bytes more are reachable after `work` than before. */
export const retainedBytes = (work: () => void): number => {
  const before = inUse()
  work()
  return inUse() - before
}

export const MiB = 1024 * 1024
