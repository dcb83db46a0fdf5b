import type { Admission } from "../Admission.ts"
import type { Lease } from "../Lease.ts"
import * as PoolError from "../PoolError.ts"
import type { WaitsFor } from "../Store.ts"

/** The state of a pool, in the words of {@link PoolError.AcquireTimeout}. */
export type State = Omit<PoolError.AcquireTimeout["explanation"], "heldByCaller">

export const stateOf = (admission: Admission<any, any>): State => {
  let oldest: Lease<any> | undefined
  for (const lease of admission.store.leases()) {
    if (oldest === undefined || lease.since < oldest.since) oldest = lease
  }
  return {
    ...age(admission, oldest),
    idle: admission.idle,
    used: admission.used,
    creating: admission.creating,
    pending: admission.pending,
    max: admission.max,
    lastCreateFailure: admission.store.lastCreateFailure(),
    budget: admission.permits?.shortage
  }
}

const age = (
  admission: Admission<any, any>,
  lease: Lease<any> | undefined
): Pick<State, "oldestLease" | "oldestLeaseTakenAt"> => ({
  oldestLease: lease === undefined ? undefined : admission.clock.now() - lease.since,
  oldestLeaseTakenAt: lease?.request.callSite
})

/** Whoever waits for one item rather than for any is told of who has that. */
export const acquireTimeout = (
  admission: Admission<any, any>,
  {
    heldByCaller = 0,
    phase,
    resource,
    state,
    waited,
    waitsFor
  }: {
    readonly waited: number
    readonly state: State
    readonly phase?: PoolError.AcquireTimeout["phase"]
    readonly resource?: string | undefined
    readonly heldByCaller?: number
    readonly waitsFor?: WaitsFor<any> | undefined
  }
): PoolError.PoolError => {
  const name = resource ?? waitsFor?.name
  const holder = waitsFor?.holder === undefined ? {} : age(admission, waitsFor.holder)
  return PoolError.make(
    () =>
      new PoolError.AcquireTimeout({
        pool: admission.name,
        phase: phase ?? waitsFor?.phase ?? "queue",
        ...(name === undefined ? {} : { resource: name }),
        waited,
        explanation: { ...state, ...holder, heldByCaller }
      })
  )
}
