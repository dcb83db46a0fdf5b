/** The README's first example: what an application takes into its bundle with it. */
import { ConnectionPool } from "@effect-pools/connection"
import * as Effect from "effect/Effect"

class Db extends ConnectionPool.Service<Db>()("app/Db", {
  acquire: Effect.succeed({ users: Effect.succeed(["Ada", "Grace"]) }),
  max: 10,
  acquireTimeout: "5 seconds"
}) {}

export const program = Db.use((connection) => connection.users).pipe(
  Effect.catchReason("PoolError", "AcquireTimeout", (timeout) => Effect.logWarning(timeout.message)),
  Effect.provide(Db.layer)
)
