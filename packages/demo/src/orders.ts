/**
 * The application: a shop's orders, written against `SqlClient` alone. Which pool is behind it, it cannot tell.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/**
 * An order as a customer makes it out. The key is made with it: however often it is placed, it is placed once.
 */
export interface NewOrder {
  readonly key: string
  readonly customer: number
  readonly lines: ReadonlyArray<{ readonly product: number; readonly quantity: number }>
}

/**
 * There is less of a product than was ordered. Nothing of the order was placed.
 */
export class OutOfStock extends Schema.TaggedError<OutOfStock>("effect-pools/demo/OutOfStock")("OutOfStock", {
  product: Schema.Number
}) {}

export class Orders extends Context.Service<
  Orders,
  {
    /** Safe to repeat. */
    readonly place: (order: NewOrder) => Effect.Effect<void, OutOfStock | SqlError>
    /** An order of this customer, with its lines, if there is one. */
    readonly read: (customer: number) => Effect.Effect<unknown, SqlError>
    readonly listRecent: Effect.Effect<unknown, SqlError>
    /** What was sold, by customer; takes a while. */
    readonly sums: Effect.Effect<unknown, SqlError>
    /** Counts a view of a product. Not safe to repeat. */
    readonly view: (product: number) => Effect.Effect<void, SqlError>
  }
>()("effect-pools/demo/Orders") {
  static readonly layer = Layer.effect(
    Orders,
    Effect.map(SqlClient.SqlClient, (sql) => ({
      place: (order: NewOrder) => sql.withTransaction(place(sql, order)),

      read: (customer: number) => sql`
        select o.id, o.total, l.product, l.quantity, l.price
        from orders o join order_lines l on l."order" = o.id
        where o.id = (select max(id) from orders where customer = ${customer})`,

      listRecent: sql`select id, customer, total from orders order by placed_at desc limit 20`,

      sums: sql`
        select o.customer, count(*), sum(l.quantity * l.price)
        from orders o join order_lines l on l."order" = o.id
        group by o.customer order by 3 desc limit 10`,

      view: (product: number) => Effect.asVoid(sql`update products set views = views + 1 where id = ${product}`)
    }))
  )
}

const place = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, order: NewOrder) {
  const placed = yield* sql<{ id: string }>`
    insert into orders (key, customer, total) values (${order.key}, ${order.customer}, 0)
    on conflict (key) do nothing returning id`
  const id = placed[0]?.id
  // An earlier attempt got through, and only its answer was lost.
  if (id === undefined) return
  let total = 0
  // In one order for all: two transactions never wait for each other.
  for (const { product, quantity } of order.lines.toSorted((a, b) => a.product - b.product)) {
    const taken = yield* sql<{ price: number }>`
      update products set stock = stock - ${quantity} where id = ${product} and stock >= ${quantity} returning price`
    const price = taken[0]?.price
    if (price === undefined) return yield* new OutOfStock({ product })
    yield* sql`
      insert into order_lines ("order", product, quantity, price) values (${id}, ${product}, ${quantity}, ${price})`
    total += quantity * price
  }
  yield* sql`update orders set total = ${total} where id = ${id}`
  yield* sql`update customers set orders = orders + 1, spent = spent + ${total} where id = ${order.customer}`
})
