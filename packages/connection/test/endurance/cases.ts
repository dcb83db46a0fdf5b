import { pools } from "./cases.cycles.ts"
import { leases } from "./cases.leases.ts"

/** The cases by the process that runs them. */
export const groups = { leases, pools }
