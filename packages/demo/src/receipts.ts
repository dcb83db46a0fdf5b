/**
 * What is printed: an order's receipt, in Apache Avro.
 */
import { randomUUID } from "node:crypto"
import avro from "avsc"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { basePrice, customers, priceStep, products } from "./catalogue.ts"
import type { NewOrder } from "./orders.ts"

export interface Receipt {
  readonly order: string
  readonly customer: number
  readonly lines: ReadonlyArray<{
    readonly product: number
    readonly title: string
    readonly quantity: number
    readonly cents: number
  }>
}

export const receiptType = avro.Type.forSchema({
  type: "record",
  name: "Receipt",
  fields: [
    { name: "order", type: "string" },
    { name: "customer", type: "int" },
    {
      name: "lines",
      type: {
        type: "array",
        items: {
          type: "record",
          name: "Line",
          fields: [
            { name: "product", type: "int" },
            { name: "title", type: "string" },
            { name: "quantity", type: "int" },
            { name: "cents", type: "int" }
          ]
        }
      }
    }
  ]
})

export const receiptOf = ({ customer, key, lines }: NewOrder): Receipt => ({
  order: key,
  customer,
  lines: lines.map(({ product, quantity }) => ({
    product,
    title: `Product № ${product}`,
    quantity,
    cents: quantity * (basePrice + product * priceStep)
  }))
})

/** Of an order at the counter, where customers buy more than by post. */
export const anyReceipt: Effect.Effect<Receipt> = Effect.gen(function* () {
  const lines: Array<NewOrder["lines"][number]> = []
  const count = yield* Random.nextIntBetween(1, 40)
  for (let n = 0; n < count; n++) {
    lines.push({
      product: yield* Random.nextIntBetween(1, products),
      quantity: yield* Random.nextIntBetween(1, 3)
    })
  }
  return receiptOf({ key: randomUUID(), customer: yield* Random.nextIntBetween(1, customers), lines })
})
