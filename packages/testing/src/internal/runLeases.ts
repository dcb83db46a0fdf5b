import type { Lease, Pool, PoolEvent } from "@effect-pools/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** The runs that a fiber is part of, each an object of its own: fibers inherit it from who starts them. */
export const Runs: Context.Reference<ReadonlyArray<object>> = Context.Reference<ReadonlyArray<object>>(
  "@effect-pools/testing/LeakCheck/Runs",
  { defaultValue: () => [] }
)

/** What runs that have ended left out, by pool: several may have left something in one that they share. */
const lost = new WeakMap<object, Set<RunLeases>>()

/** Which leases of a pool that others use as well were taken by the fibers of a run, and are out. */
export class RunLeases {
  readonly #pool: Pool.Pool<any, any>
  readonly #run: object
  readonly #held = new Set<number>()
  readonly #stopListening: () => void
  #hasEnded = false

  constructor(pool: Pool.Pool<any, any>, run: object) {
    this.#pool = pool
    this.#run = run
    this.#stopListening = pool.admission.observer.listen((event) => this.#handle(event))
  }

  has(lease: number): boolean {
    return this.#held.has(lease)
  }

  /** Those of the callers that wait now. */
  waiting(): ReadonlySet<number> {
    const { admission } = this.#pool
    const waiting = new Set<number>()
    for (const { lease } of admission.waiters) if (this.#isOwn(lease)) waiting.add(admission.leaseId(lease))
    return waiting
  }

  /** The run has ended. What it left behind is watched on, so that a pool which closes does not wait for it. */
  end(): void {
    this.#hasEnded = true
    const { admission } = this.#pool
    lost.set(admission, (lost.get(admission) ?? new Set()).add(this))
    this.#stopIfDone()
  }

  #handle(event: PoolEvent.PoolEvent): void {
    // Now: what a fiber is part of later, when the lease is found to be out, need not be what it was.
    if (event._tag === "LeaseAcquired" && this.#isOwn(this.#find(event.lease))) this.#held.add(event.lease)
    if (event._tag === "LeaseReleased") this.#held.delete(event.lease)
    if (this.#hasEnded) this.#stopIfDone()
  }

  #stopIfDone(): void {
    const ended = lost.get(this.#pool.admission)
    const isOver = this.#held.size === 0 && this.waiting().size === 0
    if (isOver) ended?.delete(this)
    const isLost = (lease: number) => Array.from(ended ?? []).some((run) => run.has(lease))
    if (isOver || giveUp(this.#pool, isLost)) this.#stopListening()
  }

  #find(id: number): Lease.Lease<unknown> | undefined {
    for (const lease of this.#pool.admission.store.leases()) if (lease.id === id) return lease
    return undefined
  }

  #isOwn(lease: Lease.Lease<unknown> | undefined): boolean {
    return lease?.fiber !== undefined && Context.get(lease.fiber.context, Runs).includes(this.#run)
  }
}

/**
 * Ends the grace of a pool that closes, if only leases are out that will not come back. Under a `TestClock` nobody's time
 * passes meanwhile: what is a leak would be a test that hangs.
 */
export const giveUp = ({ admission }: Pool.Pool<any, any>, isLost: (lease: number) => boolean): boolean => {
  if (admission.lifecycle !== "closed") return false
  const out = Array.from(admission.store.leases(), (lease) => admission.leaseId(lease))
  if (out.length === 0 || !out.every(isLost)) return false
  // After the close that may just have begun.
  admission.background.fork(Effect.andThen(Effect.yieldNow, admission.close(0)))
  return true
}
