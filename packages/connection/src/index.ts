/** A pool of reused, health-checked connections. */
export * as ConnectionPool from "./ConnectionPool.ts"
/** Connection pools by key. */
export * as ConnectionPoolMap from "./ConnectionPoolMap.ts"
/** How healthy a connection is. */
export * as Health from "./Health.ts"
