/**
 * What can be asked of the worker that runs the promotions plugin.
 */
import * as Schema from "effect/Schema"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"

export const Promotions = RpcGroup.make(
  /** A customer's discount, in per cent. */
  Rpc.make("Discount", { payload: { customer: Schema.Int }, success: Schema.Int })
)
