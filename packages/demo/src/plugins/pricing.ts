/**
 * The plugins that the shop asks for prices: WebAssembly that it has not written, and does not trust.
 */
import * as Effect from "effect/Effect"
import wabt from "wabt"

/**
 * Counts how often it was asked, as what is used once should never get beyond 1. It spreads the costs of a delivery
 * evenly over what is delivered, and has not thought of a delivery of nothing: it divides by zero.
 */
const pricing = `(module
  (global $asked (mut i32) (i32.const 0))
  (memory (export "memory") 1)
  (func (export "price") (param $cents i32) (param $quantity i32) (param $delivery i32) (result i32)
    (global.set $asked (i32.add (global.get $asked) (i32.const 1)))
    (i32.add (local.get $cents) (i32.div_u (local.get $delivery) (local.get $quantity))))
  (func (export "asked") (result i32)
    (global.get $asked)))`

/**
 * Gives every customer a discount in per cent, found by looking for a number that their own divides by; for customer 0
 * it never finds one.
 */
const promotions = `(module
  (func (export "discount") (param $customer i32) (result i32)
    (local $tried i32)
    (local.set $tried (i32.const 7))
    (loop $next
      (local.set $tried (i32.add (local.get $tried) (i32.const 1)))
      (br_if $next (i32.eqz (local.get $customer)))
      (br_if $next (i32.rem_u (local.get $tried) (local.get $customer))))
    (i32.rem_u (local.get $tried) (i32.const 30))))`

const compile = (text: string): Effect.Effect<Uint8Array> =>
  Effect.map(
    Effect.promise(() => wabt()),
    (tools) => {
      const module = tools.parseWat("plugin.wat", text)
      try {
        return module.toBinary({}).buffer
      } finally {
        module.destroy()
      }
    }
  )

/** The price of a piece, with its share of the costs of delivery, in cents. */
export const pricingPlugin = compile(pricing)

/** A customer's discount, in per cent. */
export const promotionsPlugin = compile(promotions)
