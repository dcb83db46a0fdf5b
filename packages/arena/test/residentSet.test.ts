import { existsSync, readFileSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import { ArenaBacking, ArenaPool, BumpArena } from "@effect-pools/arena"
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
/** So much that what else the process does in between is nothing against it. */
const total = 256 * MiB

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
      const zeros = new Uint8Array(size)
      for (const chunk of chunks) {
        expect(Buffer.compare(chunk.memory.view, zeros)).toBe(0)
        chunk.destroy()
      }
    }
  )

  it.live(
    "is returned from idle arenas of a pool, and only from those, and reads as zero",
    () =>
      Effect.gen(function* () {
        const size = 4 * MiB
        const count = total / size
        const pool = yield* ArenaPool.make({ size, backing: "resizable", cap: count })
        const held = ArenaPool.checkoutUnsafe(pool)
        BumpArena.allocBytesUnsafe(held, size).fill(1)
        yield* ArenaPool.prewarm(pool, count)
        yield* Footprint.collect
        const untouched = resident()
        yield* Effect.scoped(
          Effect.forEach(Array.from({ length: count }), () =>
            Effect.map(ArenaPool.get(pool), (arena) => void BumpArena.allocBytesUnsafe(arena, size).fill(1))
          )
        )
        const full = resident()
        expect(full - untouched).toBeGreaterThan(0.95 * total)

        expect(yield* ArenaPool.releaseIdle(pool)).toBe(total)
        const released = resident()
        expect(full - released).toBeGreaterThan(0.95 * total)
        expect(yield* ArenaPool.releaseIdle(pool)).toBe(0)
        expect((yield* ArenaPool.stats(pool)).details).toMatchObject({ residentBytes: size, releasedBytes: total })
        expect(BumpArena.bytesUnsafe(held, 0, size).every((byte) => byte === 1)).toBe(true)

        // Handed out again they are not in memory, until they are used.
        const arenas = Array.from({ length: count }, () => ArenaPool.checkoutUnsafe(pool))
        expect(resident() - released).toBeLessThan(0.05 * total)
        const zeros = new Uint8Array(size)
        for (const arena of arenas) {
          expect(Buffer.compare(BumpArena.allocBytesUnsafe(arena, size), zeros)).toBe(0)
          ArenaPool.giveBackUnsafe(pool, arena)
        }
        ArenaPool.giveBackUnsafe(pool, held)
      }).pipe(Effect.scoped),
    60_000
  )
})
