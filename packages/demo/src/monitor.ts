/**
 * How many backends the server has for the application: what the server says, not what the pool thinks.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import type { Database } from "./database.ts"

const interval = "20 millis"

/**
 * What the monitor has seen so far.
 */
export class Samples {
  taken = 0
  most = 0
  /** Why it stopped looking, if it had to. */
  failure: SqlError | undefined = undefined
}

/**
 * Samples until the scope closes.
 */
export const watch = (database: Database): Effect.Effect<Samples, never, Scope.Scope> => {
  const samples = new Samples()
  const sample = Effect.map(backends(database), (count) => {
    samples.taken++
    samples.most = Math.max(samples.most, count)
  })
  return sample.pipe(
    Effect.andThen(Effect.sleep(interval)),
    Effect.forever,
    Effect.catchTag("SqlError", (error) =>
      Effect.sync(() => {
        samples.failure = error
      })
    ),
    Effect.forkScoped,
    Effect.as(samples)
  )
}

/**
 * The application's backends at this moment.
 */
export const backends = ({ applicationName, observer }: Database): Effect.Effect<number, SqlError> =>
  Effect.map(
    observer.query(`select count(*)::int as count from pg_stat_activity where application_name = $1`, [
      applicationName
    ]),
    ({ rows }) => Number(rows[0]?.count)
  )
