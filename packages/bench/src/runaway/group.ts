import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"

/** What a runaway can be asked for: to run away. */
export const Runaway = RpcGroup.make(Rpc.make("Spin"))
