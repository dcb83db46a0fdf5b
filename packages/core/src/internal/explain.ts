import type { Admission } from "../Admission.ts"
import type { Lease } from "../Lease.ts"
import * as PoolError from "../PoolError.ts"

/** The state of a pool, in the words of {@link PoolError.AcquireTimeout}. */
export type State = Omit<PoolError.AcquireTimeout["explanation"], "heldByCaller">

export const stateOf = (admission: Admission<any, any>): State => {
  let oldest: Lease<any> | undefined
  for (const lease of admission.store.leases()) {
    if (oldest === undefined || lease.since < oldest.since) oldest = lease
  }
  return {
    idle: admission.idle,
    used: admission.used,
    creating: admission.creating,
    pending: admission.pending,
    max: admission.max,
    oldestLease: oldest === undefined ? undefined : admission.clock.now() - oldest.since,
    oldestLeaseTakenAt: oldest?.request.callSite,
    lastCreateFailure: admission.store.lastCreateFailure(),
    budget: admission.permits?.shortage
  }
}

export const acquireTimeout = (
  admission: Admission<any, any>,
  phase: PoolError.AcquireTimeout["phase"],
  waited: number,
  state: State,
  heldByCaller: number
): PoolError.PoolError =>
  PoolError.make(
    () => new PoolError.AcquireTimeout({ pool: admission.name, phase, waited, explanation: { ...state, heldByCaller } })
  )
