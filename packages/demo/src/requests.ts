/**
 * What users ask of the shop: which requests are repeated, which have a deadline, and what of it is written down.
 */
import { randomUUID } from "node:crypto"
import type { ArenaError } from "@effect-pools/arena"
import { ConnectionPool } from "@effect-pools/connection"
import { type InvalidOptions, PoolError } from "@effect-pools/core"
import type { PostgresPool } from "@effect-pools/postgres"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type { SqlError } from "effect/sql/SqlError"
import { customers, products } from "./catalogue.ts"
import type { Ledger } from "./ledger.ts"
import type { NewOrder, Orders, OutOfStock } from "./orders.ts"
import type { Request, TypedError } from "./part.ts"
import type { ReceiptsPart } from "./parts/receipts.ts"

/**
 * The user did not want to wait longer.
 */
export class DeadlineExceeded extends Schema.TaggedError<DeadlineExceeded>("effect-pools/demo/DeadlineExceeded")(
  "DeadlineExceeded",
  {}
) {}

/** There was no connection at once. */
class TooBusy extends Schema.TaggedError<TooBusy>("effect-pools/demo/TooBusy")("TooBusy", {}) {}

/** The user was in a hurry, and it took longer. */
class TooSlow extends Schema.TaggedError<TooSlow>("effect-pools/demo/TooSlow")("TooSlow", {}) {}

/** No user waits longer than this, retries included. */
const limit = "10 seconds"
/** Some are in a hurry. */
const hurry = "50 millis"

/**
 * Everything that can be asked for, with the services it is asked of.
 */
export const requests = (
  orders: Orders["Service"],
  pool: PostgresPool.PostgresPool,
  ledger: Ledger,
  printReceipt: ReceiptsPart["print"]
): ReadonlyArray<Request> => [
  { name: "place an order", weight: 30, run: asUser(placeOrder(orders, ledger, printReceipt), limit) },
  { name: "view a product", weight: 10, run: asUser(viewProduct(orders, ledger), limit) },
  // Once in a stage is enough: the pool warns of each.
  { name: "walk out of a transaction", weight: 0, run: asUser(walkOut(pool, ledger), limit) },
  { name: "read an order", weight: 30, run: asUser(repeated(Effect.flatMap(anyCustomer, orders.read)), limit) },
  { name: "list recent orders", weight: 15, run: asUser(repeated(orders.listRecent), limit) },
  { name: "list recent orders, in a hurry", weight: 5, run: asUser(repeated(orders.listRecent), hurry, new TooSlow()) },
  { name: "sum up what was sold", weight: 2, run: asUser(repeated(orders.sums), limit) },
  { name: "sum up what was sold, in a hurry", weight: 3, run: asUser(repeated(orders.sums), hurry, new TooSlow()) },
  { name: "look at the stock", weight: 5, run: asUser(lookAtStock(pool), limit) }
]

/** Safe to repeat by its key, and repeated with the same. Its receipt is printed when it is placed. */
const placeOrder = (orders: Orders["Service"], ledger: Ledger, printReceipt: ReceiptsPart["print"]) =>
  Effect.flatMap(newOrder, (order) => {
    ledger.asked(order.key)
    return repeated(orders.place(order)).pipe(
      Effect.tap(() => Effect.sync(() => ledger.confirmed(order.key))),
      Effect.tapError((error) =>
        Effect.sync(() => {
          if (error._tag === "OutOfStock") ledger.refused(order.key)
        })
      ),
      Effect.andThen(printReceipt(order))
    )
  })

/** Not safe to repeat: a failure is the user's to see. */
const viewProduct = (orders: Orders["Service"], ledger: Ledger) =>
  Effect.flatMap(anyProduct, (product) => {
    ledger.viewsAsked++
    return Effect.tap(orders.view(product), () =>
      Effect.sync(() => {
        ledger.viewsConfirmed++
      })
    )
  })

/**
 * Not through the client but with a connection of the pool itself: this user would rather have no answer than wait.
 */
const lookAtStock = (pool: PostgresPool.PostgresPool) =>
  Effect.flatMap(anyProduct, (product) =>
    ConnectionPool.use(pool, (connection) => connection.query("select stock from products where id = $1", [product]), {
      acquireTimeout: "20 millis"
    }).pipe(Effect.catchReason("PoolError", "AcquireTimeout", () => new TooBusy()))
  )

/** A bug of the application's: nobody else may be given the open transaction, who would commit it. */
const walkOut = (pool: PostgresPool.PostgresPool, ledger: Ledger) =>
  ConnectionPool.use(pool, (connection) =>
    Effect.gen(function* () {
      yield* connection.query("begin")
      yield* connection.query("insert into unfinished values ($1)", [randomUUID()])
      ledger.unfinished++
    })
  )

/** For what is safe to repeat: errors say themselves whether repeating them may help. */
const repeated = <A, E extends TypedError>(request: Effect.Effect<A, E>) =>
  Effect.retry(request, {
    while: (error) => "isRetryable" in error && error.isRetryable === true,
    schedule: Schedule.exponential("10 millis").pipe(Schedule.jittered),
    times: 5
  })

type Failure =
  | SqlError
  | OutOfStock
  | TooBusy
  | InvalidOptions.InvalidOptions
  | PoolError.PoolError
  | ArenaError.BackingFailed

/**
 * A request as the user sees it. The client has one error for both, that the pool had no connection to give and that
 * the connection broke; here they are told apart.
 */
const asUser = (
  request: Effect.Effect<unknown, Failure>,
  deadline: Duration.Input,
  late: DeadlineExceeded | TooSlow = new DeadlineExceeded()
) =>
  request.pipe(
    Effect.catchReason("SqlError", "ConnectionError", (reason, error) =>
      Effect.fail(reason.cause instanceof PoolError.PoolError ? reason.cause : error)
    ),
    Effect.timeoutOrElse({ duration: deadline, orElse: () => Effect.fail(late) })
  )

const newOrder: Effect.Effect<NewOrder> = Effect.gen(function* () {
  const lines = new Map<number, number>()
  const count = yield* Random.nextIntBetween(1, 4)
  for (let n = 0; n < count; n++) lines.set(yield* anyProduct, yield* Random.nextIntBetween(1, 3))
  return {
    key: randomUUID(),
    customer: yield* anyCustomer,
    lines: Array.from(lines, ([product, quantity]) => ({ product, quantity }))
  }
})

const anyCustomer = Random.nextIntBetween(1, customers)
const anyProduct = Random.nextIntBetween(1, products)
