import { existsSync, readFileSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import { ArenaBacking } from "@effect-pools/arena"
import { Footprint } from "@effect-pools/testing"
import * as Effect from "effect/Effect"
import { Chunk } from "../src/internal/chunk.ts"
import { MiB } from "./support.ts"

const STATUS = "/proc/self/smaps_rollup"

/** What the operating system says this process has in physical memory, in bytes. */
const resident = (): number => {
  const [, kilobytes] = /^Rss:\s+(\d+) kB$/m.exec(readFileSync(STATUS, "utf8")) ?? []
  return Number(kilobytes) * 1024
}

const sizes = [64 * 1024, MiB, 4 * MiB]
const total = 64 * MiB

describe.skipIf(!existsSync(STATUS))("released memory, by the operating system's own figure", () => {
  it.each(sizes)(
    "is returned from pieces of %i bytes, of which at least 95 % go",
    { timeout: 60_000 },
    async (size) => {
      await Effect.runPromise(Footprint.collect)
      const chunks = Array.from({ length: total / size }, () => new Chunk(ArenaBacking.resizable, size))
      const untouched = resident()
      for (const chunk of chunks) {
        chunk.memory.view.fill(1)
        chunk.used(size)
      }
      const full = resident()
      expect(full - untouched).toBeGreaterThan(0.95 * total)

      const returned = chunks.reduce((sum, chunk) => sum + chunk.release(), 0)
      const released = resident()
      expect(returned).toBe(total)
      expect(full - released).toBeGreaterThan(0.95 * total)

      for (const chunk of chunks) chunk.commit()
      expect(resident() - released).toBeLessThan(0.05 * total)
      for (const chunk of chunks) {
        expect(Buffer.compare(chunk.memory.view, new Uint8Array(size))).toBe(0)
        chunk.destroy()
      }
    }
  )
})
