/**
 * Terminates backends under the application.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { SqlError } from "effect/sql/SqlError"
import type { Database } from "./database.ts"

/**
 * Terminates one of the application's backends, any of them, every 50 to 100 ms, and reports each.
 */
export const terminateBackends = (database: Database, onTerminated: () => void): Effect.Effect<never, SqlError> =>
  terminateOne(database).pipe(
    Effect.map((terminated) => {
      if (terminated) onTerminated()
    }),
    Effect.andThen(Random.nextBetween(50, 100)),
    Effect.flatMap((millis) => Effect.sleep(millis)),
    Effect.forever
  )

const terminateOne = ({ applicationName, observer }: Database): Effect.Effect<boolean, SqlError> =>
  Effect.map(
    observer.query(
      `select pg_terminate_backend(pid) as terminated from
        (select pid from pg_stat_activity where application_name = $1 order by random() limit 1) victim`,
      [applicationName]
    ),
    ({ rows }) => rows[0]?.terminated === true
  )
