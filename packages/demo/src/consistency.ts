/**
 * Whether the tables say what the users were told.
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Database } from "./database.ts"
import { invariant, type Invariant } from "./invariants.ts"
import type { Ledger } from "./ledger.ts"

/**
 * Asked of the server beside the pool, when nothing is under way any more.
 */
export const ordersAreConsistent = (
  { observer }: Database,
  ledger: Ledger
): Effect.Effect<ReadonlyArray<Invariant>, SqlError> =>
  Effect.gen(function* () {
    const { rows } = yield* observer.query(`select key::text from orders`)
    const { foreign, lost, unconfirmed } = ledger.compare(rows.map(({ key }) => String(key)))
    const wrong = yield* Effect.map(observer.query(contradictions), (result) => result.rows[0] ?? {})
    const wrongs = Object.entries(wrong).map(([what, count]) => `${Number(count)} ${what.replaceAll("_", " ")}`)
    const views = yield* Effect.map(observer.query(`select sum(views)::int as views from products`), (result) =>
      Number(result.rows[0]?.views)
    )
    const unfinished = yield* Effect.map(observer.query(`select count(*)::int as count from unfinished`), (result) =>
      Number(result.rows[0]?.count)
    )
    return [
      loadWasReal(ledger),
      invariant(
        "every confirmed order is there, and no other but those without an answer",
        lost === 0 && foreign === 0,
        `${rows.length} orders: ${ledger.count("confirmed")} confirmed, ${lost} lost, ${unconfirmed} placed without` +
          ` the user's knowing, ${foreign} refused or never asked for`
      ),
      invariant(
        "no order was placed twice or in part",
        Object.values(wrong).length > 0 && Object.values(wrong).every((count) => Number(count) === 0),
        wrongs.join(", ")
      ),
      invariant(
        "what must not be repeated was not",
        ledger.viewsConfirmed <= views && views <= ledger.viewsAsked,
        `${ledger.viewsConfirmed} views confirmed, ${views} counted, ${ledger.viewsAsked} asked for`
      ),
      noTransactionHandedOn(ledger, unfinished)
    ]
  })

/**
 * Else all others say less than they seem to.
 */
export const loadWasReal = (ledger: Ledger): Invariant =>
  invariant(
    "the load was real",
    ledger.count("confirmed") > 0 && ledger.viewsConfirmed > 0,
    `${ledger.count("confirmed")} orders and ${ledger.viewsConfirmed} views confirmed`
  )

/**
 * That what was written in a transaction without a COMMIT is not there. `found` is what is.
 */
export const noTransactionHandedOn = ({ unfinished }: Ledger, found: number): Invariant =>
  invariant(
    "no open transaction is handed on",
    unfinished > 0 && found === 0,
    `${unfinished} left open with a row written, ${found} of the rows committed by someone else`
  )

/** A second or partial placement shows in what an order has changed elsewhere. */
const contradictions = `
  with sold as (select product, sum(quantity) as quantity from order_lines group by product),
    sums as (select "order", sum(quantity * price) as total from order_lines group by "order"),
    bought as (select customer, count(*) as orders, sum(total) as spent from orders group by customer)
  select
    (select count(*) from orders o left join sums s on s."order" = o.id where o.total is distinct from s.total)
      as wrong_totals,
    (select count(*) from products p left join sold s on s.product = p.id
      where p.stocked <> p.stock + coalesce(s.quantity, 0)) as wrong_stocks,
    (select count(*) from customers c left join bought b on b.customer = c.id
      where c.orders <> coalesce(b.orders, 0) or c.spent <> coalesce(b.spent, 0)) as wrong_accounts`
