import { type Pool, PoolEvent } from "@effect-pools/core"
import type { Combination } from "../GateCombinations.ts"
import type { Gate, GateFailure, Gates } from "../Gates.ts"
import type { Callers } from "./gateCallers.ts"
import type { World } from "./world.ts"

/** More faults of one run tell nothing new. */
const ENOUGH = 5

/** What has to be true of the pool at any time. */
export class Watch<A> {
  readonly faults: Array<string> = []
  /** How many items there may be; changes as the pool is resized. */
  max: number
  readonly #pool: Pool.Pool<A, GateFailure>
  readonly #gates: Gates
  /** Items that the pool has given up may be there beside those it has. */
  readonly #isExact: boolean
  readonly #isEndless: boolean
  readonly #hasGrace: boolean
  #allowed: number
  /** How many leases had begun when the pool no longer let anybody in. */
  #acquired: number | undefined

  constructor(given: {
    readonly pool: Pool.Pool<A, GateFailure>
    readonly gates: Gates
    readonly combination: Combination
    readonly max: number
    readonly hasGrace: boolean
  }) {
    this.max = given.max
    this.#allowed = given.max
    this.#pool = given.pool
    this.#gates = given.gates
    this.#hasGrace = given.hasGrace
    const { create, destroy, ...others } = given.combination
    const isGivenUp = (gate: Gate) => gate === "hang" || gate === "stuck" || typeof gate === "object"
    this.#isExact = !isGivenUp(destroy) && typeof create !== "object"
    this.#isEndless = destroy === "hang" || [create, destroy, ...Object.values(others)].includes("stuck")
  }

  look(): void {
    if (this.faults.length >= ENOUGH) return
    const { creating, destroying, idle, lifecycle, live, observer, pending, used } = this.#pool.admission
    // After a shrink there may be more, but only on the way down.
    this.#allowed = Math.max(this.max, Math.min(this.#allowed, live))
    const counts = () => JSON.stringify({ idle, used, creating, destroying, pending })
    if (idle + used + creating + destroying > this.#allowed) {
      this.faults.push(`there may be ${this.#allowed} items: ${counts()}`)
    }
    if (Math.min(idle, used, creating, destroying, pending) < 0) this.faults.push(`a count is negative: ${counts()}`)
    let gone = 0
    for (const reason of PoolEvent.destroyReasons) gone += observer.destroyed[reason]
    const here = observer.created - gone
    if (here < idle + used || here > idle + used + destroying) {
      this.faults.push(`${observer.created} created, ${gone} destroyed: ${counts()}`)
    }
    const isOver = lifecycle === "draining" || lifecycle === "closed"
    if (isOver) this.#acquired ??= observer.acquired
    if (isOver && observer.acquired !== this.#acquired) this.faults.push("somebody is let in after the close began")
    let present = 0
    for (const item of this.#gates.items) {
      if (item.destroyed === 0) present++
      if (item.holders > 0 && item.destroying > 0 && (this.#hasGrace || !isOver)) {
        this.faults.push(`item ${item.id} is destroyed under its holder`)
      }
      if (item.destroying > 1) this.faults.push(`item ${item.id} is destroyed ${item.destroying} times`)
    }
    if (this.#isExact && present > this.#allowed) {
      this.faults.push(`${present} items are there, ${this.#allowed} may be: ${counts()}`)
    }
  }

  /** After a shrink, when there was time for everything to end. */
  expectAtMost(max: number): void {
    const { live } = this.#pool.admission
    if (live > max) this.faults.push(`${live} items are left after the pool has shrunk to ${max}`)
  }

  expectAnswers({ complaints, running }: Callers<A>, when: string): void {
    if (running.size > 0) this.faults.push(`${when}: ${running.size} callers have no answer`)
    const { pending, used } = this.#pool.admission
    if (pending > 0) this.faults.push(`${when}: ${pending} are pending`)
    if (used > 0) this.faults.push(`${when}: ${used} items are in use by nobody`)
    this.faults.push(...complaints.splice(0))
  }

  expectNothingLeft(world: World): void {
    // Without a grace an item may be gone before its holder has begun.
    if (this.#hasGrace) this.faults.push(...this.#gates.faults)
    this.faults.push(...world.leftovers(this.#isEndless))
    for (const item of this.#gates.items) {
      if (item.holders > 0) this.faults.push(`item ${item.id} is in use`)
      if (item.destroying !== 1) this.faults.push(`item ${item.id} was destroyed ${item.destroying} times`)
      if (!this.#isEndless && item.destroyed !== 1) this.faults.push(`the end of item ${item.id} has not ended`)
    }
  }
}
