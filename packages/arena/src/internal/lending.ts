import type * as Admission from "@effect-pools/core/Admission"
import type * as Lease from "@effect-pools/core/Lease"
import * as PoolError from "@effect-pools/core/PoolError"
import * as SynchronousLeases from "@effect-pools/core/SynchronousLeases"
import type { ArenaMemory } from "../ArenaBacking.ts"
import { ArenaMisuse, type BackingFailed } from "../ArenaError.ts"
import { type BumpArena, isBumpArena } from "../BumpArena.ts"
import { type Arena, type ChunkSource, makeArena } from "./arena.ts"
import { Chunk } from "./chunk.ts"
import type { Checked } from "./poolOptions.ts"
import { show } from "./limits.ts"

/**
 * The arenas of one pool, and the leases on them that plain code has: an application's, and those of arenas that have
 * chained others. What an arena chains is the memory of another arena of the pool, which it leases; so all of it counts.
 */
export class Lending<M extends ArenaMemory> {
  readonly #admission: Admission.Admission<BumpArena<M>, BackingFailed>
  readonly #options: Checked<M>
  readonly #leases: SynchronousLeases.SynchronousLeases<BumpArena<M>, BackingFailed>
  readonly #source: ChunkSource<M> | undefined
  readonly #made = new WeakSet<object>()
  /** Whose own memory it is. */
  readonly #owners = new WeakMap<Chunk<M>, Arena<M>>()

  constructor(admission: Admission.Admission<BumpArena<M>, BackingFailed>, options: Checked<M>) {
    this.#admission = admission
    this.#options = options
    this.#leases = new SynchronousLeases.SynchronousLeases(admission)
    if (!options.chains) return
    this.#source = {
      take: (arena) => this.#checkOutFor(arena)?.chain(),
      giveBack: (chunk) => this.#end(this.#owners.get(chunk)!)
    }
  }

  make(): Arena<M> {
    const { backing, checked, size } = this.#options
    const chunk = new Chunk(backing, size)
    const arena = makeArena<M>({
      name: this.#admission.name,
      chunk,
      source: this.#source,
      checked,
      onDispose: (arena) => this.giveBack(arena)
    })
    this.#made.add(arena)
    if (this.#source !== undefined) this.#owners.set(chunk, arena)
    return arena
  }

  /** Throws why there is none. */
  checkOut(): Arena<M> {
    return this.#lend(this.#leases.take())
  }

  #lend(lease: Lease.Lease<BumpArena<M>>): Arena<M> {
    const arena = lease.entry!.value as Arena<M>
    arena.lease = lease
    return arena
  }

  #checkOutFor(arena: Arena<M>): Arena<M> | undefined {
    try {
      const other = this.#admission.tracksCallSites ? this.#leaseOn(arena) : undefined
      return this.#lend(other === undefined ? this.#leases.take() : this.#leases.takeFor(other))
    } catch (error) {
      if (error instanceof PoolError.PoolError) return undefined
      throw error
    }
  }

  #leaseOn(arena: Arena<M>): Lease.Lease<BumpArena<M>> | undefined {
    for (const lease of this.#admission.store.leases()) {
      if (lease.entry?.value === (arena as unknown as BumpArena<M>)) return lease
    }
    return undefined
  }

  /** Throws `ArenaMisuse` for what plain code has not checked out of this pool. */
  giveBack(arena: BumpArena): void {
    if (!isBumpArena(arena)) throw this.#misuse("arena", `${show(arena)} is no arena to give back`)
    const own = arena as unknown as Arena<M>
    const isCheckedOut = own.lease !== undefined && own.state !== "chained" && this.#leases.owns(own.lease)
    if (!isCheckedOut) throw this.#misuse(arena.name, this.#rule(own))
    this.#end(own)
  }

  #end(arena: Arena<M>): void {
    const lease = arena.lease!
    arena.lease = undefined
    this.#leases.end(lease)
  }

  #rule(arena: Arena<M>): string {
    if (!this.#made.has(arena)) return "it is not one of this pool's"
    if (arena.state === "open") return "it was taken by an effect, which gives it back by itself"
    return arena.state === "destroyed" ? "it is destroyed" : "it was given back already"
  }

  #misuse(arena: string, rule: string): ArenaMisuse {
    return new ArenaMisuse({ arena, rule: `pool "${this.#admission.name}" takes back what was checked out: ${rule}` })
  }
}
