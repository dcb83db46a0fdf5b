/**
 * The demo's own corner of a database: a schema that is dropped at the end, and a connection beside the pool, by which
 * the server is asked what is true.
 */
import { randomBytes } from "node:crypto"
import * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import { basePrice, customers, priceStep, products, rareProducts, rareStock, stock } from "./catalogue.ts"

/**
 * Where the application's tables are, and who watches them.
 */
export interface Database {
  readonly url: Redacted.Redacted
  readonly schema: string
  /** By which the server tells the application's backends from all others. */
  readonly applicationName: string
  /** Not from the pool: it watches the pool. */
  readonly observer: PgConnection.PgConnection
}

/**
 * Creates the schema; it is dropped when the scope closes.
 */
export const open = (url: Redacted.Redacted): Effect.Effect<Database, SqlError, Scope.Scope> =>
  Effect.gen(function* () {
    const id = randomBytes(4).toString("hex")
    const schema = `effect_pools_demo_${id}`
    const observer = yield* PgConnection.make({
      url,
      applicationName: `effect-pools-demo-observer-${id}`,
      startupParameters: { search_path: schema }
    })
    yield* Effect.acquireRelease(observer.query(`create schema ${schema}`), () =>
      Effect.ignore(observer.query(`drop schema ${schema} cascade`), { log: true })
    )
    for (const statement of tables) yield* observer.query(statement)
    return { url, schema, applicationName: `effect-pools-demo-${id}`, observer }
  })

const tables = [
  `create table customers (
    id int primary key,
    orders int not null default 0,
    spent bigint not null default 0
  )`,
  `create table products (
    id int primary key,
    price int not null,
    stocked int not null,
    stock int not null check (stock >= 0),
    views int not null default 0
  )`,
  // The key is the request's own: who asks twice for the same thing gets it once.
  `create table orders (
    id bigint generated always as identity primary key,
    key uuid not null unique,
    customer int not null references customers,
    total int not null,
    placed_at timestamptz not null default clock_timestamp()
  )`,
  `create table order_lines (
    "order" bigint not null references orders,
    product int not null references products,
    quantity int not null,
    price int not null,
    primary key ("order", product)
  )`,
  // Written to in transactions that nobody commits.
  `create table unfinished (id uuid primary key)`,
  `create index on orders (customer)`,
  `create index on orders (placed_at)`,
  `insert into customers (id) select generate_series(1, ${customers})`,
  `insert into products (id, price, stocked, stock)
    select id, ${basePrice} + id * ${priceStep}, stocked, stocked
    from generate_series(1, ${products}) id, lateral (
      select case when id <= ${rareProducts} then ${rareStock} else ${stock} end as stocked
    ) supply`
]
