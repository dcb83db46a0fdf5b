/** Who may hold how many, and in which order. For those who build pools. */
export * as Admission from "./Admission.ts"
/** A pool's work in fibers of its own, and its alarms. For those who build pools. */
export * as Background from "./Background.ts"
/** Permits shared by several pools. */
export * as Budget from "./Budget.ts"
/** Elapsed time, cheap enough for the lease path. For those who build pools. */
export * as CoarseClock from "./CoarseClock.ts"
/** Histograms with logarithmic buckets and bounded memory. */
export * as Histogram from "./data/Histogram.ts"
/** Lists whose links live in their members. */
export * as LinkedList from "./data/LinkedList.ts"
/** Waiters in the order in which they are served. */
export * as PriorityQueue from "./data/PriorityQueue.ts"
/** Options that make no sense, and the checks that find them. */
export * as InvalidOptions from "./InvalidOptions.ts"
/** Instances that have their fields at hand. For those who build pools. */
export * as Layout from "./Layout.ts"
/** One holder's use of an item. For those who build pools. */
export * as Lease from "./Lease.ts"
/** What a pool counts, times and tells. */
export * as Observer from "./Observer.ts"
/** What every kind of pool offers. */
export * as Pool from "./Pool.ts"
/** What can go wrong between a pool and its caller. */
export * as PoolError from "./PoolError.ts"
/** One event per transition of a pool. */
export * as PoolEvent from "./PoolEvent.ts"
/** A pool's numbers as Effect metrics. */
export * as PoolMetrics from "./PoolMetrics.ts"
/** Every open pool of the process. */
export * as PoolRegistry from "./PoolRegistry.ts"
/** Pools as services. */
export * as PoolService from "./PoolService.ts"
/** A consistent snapshot of a pool. */
export * as PoolStats from "./PoolStats.ts"
/** What a kind of pool brings. For those who build pools. */
export type * as Store from "./Store.ts"
/** How items come and go. For those who build pools. */
export * as Supply from "./Supply.ts"
/** Leases that are taken and ended in plain code. For those who build pools. */
export * as SynchronousLeases from "./SynchronousLeases.ts"
/** The store of pools whose items are made in plain code. For those who build pools. */
export * as SynchronousStore from "./SynchronousStore.ts"
/** How long work under way counts as help for those who wait. For those who build pools. */
export * as Underway from "./Underway.ts"
/** A lease's place in the queue. For those who build pools. */
export * as Waiter from "./Waiter.ts"
