/** What the tests of arenas share. */
import { ArenaBacking, type BumpArena } from "@effect-pools/arena"

export const MiB = 1024 * 1024

/** Memory carved out of the middle of a larger buffer, whose other bytes show who wrote outside. */
export const carved = (margin: number) => {
  const wholes: Array<{ readonly bytes: Uint8Array; readonly size: number }> = []
  let destroyed = 0
  const backing: ArenaBacking.ArenaBacking = {
    name: "carved",
    canRelease: false,
    detaches: false,
    isShared: false,
    reserve: (size) => {
      const bytes = new Uint8Array(size + 2 * margin).fill(0xaa)
      bytes.fill(0, margin, margin + size)
      wholes.push({ bytes, size })
      return {
        view: bytes.subarray(margin, margin + size),
        commit: () => {},
        release: () => {},
        destroy: () => void destroyed++
      }
    }
  }
  return {
    backing,
    get reserved() {
      return wholes.length
    },
    get destroyed() {
      return destroyed
    },
    isIntact: () =>
      wholes.every(({ bytes, size }) =>
        bytes.every((byte, at) => (at >= margin && at < margin + size) || byte === 0xaa)
      )
  }
}

/** All four, and one that is written by a user. */
export const everyBacking: ReadonlyArray<readonly [string, ArenaBacking.ArenaBacking]> = [
  ...Object.entries(ArenaBacking.byName),
  ["a user's own", carved(64).backing]
]

/** What can be seen of an arena, for telling whether a call has changed anything. */
export const look = (arena: BumpArena.BumpArena) => ({
  state: arena.state,
  capacity: arena.capacity,
  allocated: arena.allocated,
  remaining: arena.remaining,
  generation: arena.generation,
  memory: arena.memory,
  bytes: Buffer.from(arena.memory.view).toString("latin1")
})

/** A backing of a user's own that counts what it is asked for, and fails when told to. */
export const counted = () => {
  const counts = { reserved: 0, committed: 0, released: 0, destroyed: 0 }
  const fails: { reserve?: unknown; commit?: unknown; release?: unknown; destroy?: unknown } = {}
  const passing = (step: keyof typeof fails): void => {
    if (fails[step] !== undefined) throw fails[step]
  }
  const backing: ArenaBacking.ArenaBacking = {
    name: "counted",
    canRelease: true,
    detaches: false,
    isShared: false,
    reserve: (size) => {
      passing("reserve")
      counts.reserved++
      const view = new Uint8Array(size)
      return {
        view,
        commit: () => {
          passing("commit")
          counts.committed++
        },
        release: () => {
          passing("release")
          counts.released++
          view.fill(0)
        },
        destroy: () => {
          counts.destroyed++
          passing("destroy")
        }
      }
    }
  }
  return { backing, counts, fails }
}

/** What is thrown. */
export const thrownBy = (f: () => unknown): unknown => {
  try {
    f()
  } catch (error) {
    return error
  }
  throw new Error("nothing was thrown")
}
