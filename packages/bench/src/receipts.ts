/** Messages as applications encode them: an order's receipt in Apache Avro. */
import avro from "avsc"

export interface Receipt {
  readonly order: string
  readonly customer: { readonly id: number; readonly name: string; readonly email: string }
  readonly placedAt: number
  readonly lines: ReadonlyArray<{
    readonly product: number
    readonly title: string
    readonly quantity: number
    readonly price: number
  }>
  readonly note: string | null
}

export const receiptType = avro.Type.forSchema({
  type: "record",
  name: "Receipt",
  fields: [
    { name: "order", type: "string" },
    {
      name: "customer",
      type: {
        type: "record",
        name: "Customer",
        fields: [
          { name: "id", type: "int" },
          { name: "name", type: "string" },
          { name: "email", type: "string" }
        ]
      }
    },
    { name: "placedAt", type: "long" },
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
            { name: "price", type: "double" }
          ]
        }
      }
    },
    { name: "note", type: ["null", "string"] }
  ]
})

const titles = ["Espresso machine", "Kaffeemühle", "Filter papers, 100", "Crème brûlée torch", "Tea kettle"]

/** The same ones each time, with as many lines as orders have, or more. */
export const receipts = (count: number): ReadonlyArray<Receipt> =>
  Array.from({ length: count }, (_, index) => ({
    order: `2026-${String(index).padStart(6, "0")}`,
    customer: { id: index, name: `Customer ${index}`, email: `customer.${index}@example.com` },
    placedAt: 1_780_000_000_000 + index,
    lines: Array.from({ length: 3 + (index % 20) }, (_, line) => ({
      product: line,
      title: titles[line % titles.length]!,
      quantity: 1 + (line % 3),
      price: 9.5 + line
    })),
    note: index % 4 === 0 ? "Please leave it with the neighbours." : null
  }))
