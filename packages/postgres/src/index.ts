/** A `SqlClient` for PostgreSQL on a pool of connections. */
export * as PostgresPool from "./PostgresPool.ts"
