import type { PoolEvent } from "@effect-pools/core"
import * as Fiber from "effect/Fiber"
import type { Callers } from "./callers.ts"
import type { Call } from "./model.ts"
import type { AnyPool, World } from "./world.ts"

/** Tells the model what the pool does, as it does it. */
export const hear = <P extends AnyPool>(
  world: World<P>,
  callers: Callers<P>
): ((event: PoolEvent.PoolEvent) => void) => {
  const { model } = world
  const calls = new Map<number, Call>()
  /** A lease that is heard of for the first time is that of the fiber that runs. */
  const withCall = (lease: number, f: (call: Call) => void): void => {
    const call = calls.get(lease) ?? callers.callOf(Fiber.getCurrent())
    if (call === undefined) return world.broken("contract", `lease ${lease} is nobody's`)
    calls.set(lease, call)
    f(call)
  }
  return (event) => {
    const { idle } = world.pool.admission
    // What was right a moment before is right too: callers are refused between two events.
    model.passes(idle)
    switch (event._tag) {
      case "WaitStarted":
        withCall(event.lease, (call) => model.waits(call, world.now, idle))
        break
      case "LeaseAcquired":
        withCall(event.lease, (call) => {
          model.serves(call, event.item, world.now)
          callers.serves(call)
        })
        break
      case "LeaseReleased":
        withCall(event.lease, (call) => {
          model.releases(call)
          if (event.outcome === "success") callers.works(call)
        })
        break
      case "WaitEnded":
        withCall(event.lease, (call) => model.leaves(call, event.outcome, world.now))
        break
      case "ItemCreated":
        model.failures = 0
        break
      case "ItemCreateFailed":
        model.failures++
        break
      case "Draining":
        model.moves("draining")
        break
      case "Closing":
        model.moves("closed")
        break
    }
    model.passes(idle)
  }
}
