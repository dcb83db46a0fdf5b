import { Pool, PoolRegistry } from "@effect-pools/core"
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
import type { Callers } from "./callers.ts"
import { type AnyPool, TIMES, type World } from "./world.ts"

/** In milliseconds: by then whatever else was under way has failed or ended, and a new attempt been made. */
const RECOVERY = 600

/** What a body takes at most, in milliseconds. */
const BODY = 150

/** How many leases a pool can have at a time. */
export type Places = (max: number) => number

/** All is well again: everybody is answered, the pool comes to rest, and all its places can be taken together. */
export const heal = async <P extends AnyPool>(world: World<P>, callers: Callers<P>, places: Places): Promise<void> => {
  const { gates, model, pool, settings } = world
  gates.allWell()
  model.resumes()
  world.sync(Pool.resume(pool))
  letEverythingGo(callers)
  if (!model.isOver) {
    model.waiting.forEach((call, place) => {
      const isInTime = call.deadline - world.now > settings.createTimeout + RECOVERY + place * BODY
      if (isInTime && !call.ask.isOptional && !call.isCalledOff) callers.hopeful.add(call)
    })
  }
  // Who is served by that goes on before time does.
  await world.advance(0)
  await world.advance(6000)
  callers.isLettingGo = false
  if (callers.open.length > 0) world.broken(3, `call ${callers.open[0]!.call.id} has had no answer`)
  if (model.isOver) return
  expectRest(world)
  await takeAllPlaces(world, callers, places(model.max))
}

/** Closes the pool, if that has not been done, and expects that nothing is left of it. */
export const finish = async <P extends AnyPool>(
  world: World<P>,
  callers: Callers<P>,
  places: Places
): Promise<void> => {
  const { gates, model, pool } = world
  if (!model.isOver) await heal(world, callers, places)
  model.closes(world.now + TIMES.closeGrace)
  world.closers.push(world.runtime.fork(Scope.close(world.scope, Exit.void)))
  await world.advance(5000)
  if (world.closers.some((closer) => closer.pollUnsafe() === undefined)) world.broken(9, "closing does not end")
  callers.use("ok", {})
  await world.advance(1)
  letEverythingGo(callers)
  await world.advance(3000)
  const { live, observer, pending } = pool.admission
  if (callers.open.length > 0) world.broken(9, `call ${callers.open[0]!.call.id} has no answer from a closed pool`)
  if (live + pending > 0) world.broken(9, "the pool has closed and something of it is left")
  if (observer.acquired !== observer.released) {
    world.broken(2, `${observer.acquired} leases have begun, ${observer.released} ended`)
  }
  for (const { destroying, id } of gates.items) {
    if (destroying !== 1) world.broken(2, `item ${id} was destroyed ${destroying} times`)
  }
  for (const leftover of leftovers(world)) world.broken(9, leftover)
}

const letEverythingGo = <P extends AnyPool>(callers: Callers<P>): void => {
  callers.isLettingGo = true
  for (const { letGo } of callers.open) letGo?.("ok")
  for (const scope of Array.from(callers.scopes)) callers.closeScope(scope)
}

const expectRest = <P extends AnyPool>(world: World<P>): void => {
  const { creating, destroying, idle, pending, used } = world.pool.admission
  if (used + pending + creating + destroying > 0) world.broken(5, "the pool does not come to rest")
  for (const what of world.gates.audit(idle)) world.broken(2, what)
}

const takeAllPlaces = async <P extends AnyPool>(
  world: World<P>,
  callers: Callers<P>,
  places: number
): Promise<void> => {
  const before = callers.served
  const isOneByOne = places > world.model.maxWaiters
  for (let place = 0; place < places; place++) {
    callers.use("hold", { timeout: 50 })
    if (isOneByOne) await world.advance(0)
  }
  await world.advance(0)
  const taken = callers.served - before
  if (taken !== places || callers.open.length !== places) world.broken(5, `${taken} of ${places} places work`)
  letEverythingGo(callers)
  await world.advance(100)
  callers.isLettingGo = false
  if (callers.open.length > 0) world.broken(3, `call ${callers.open[0]!.call.id} has had no answer`)
  expectRest(world)
}

const leftovers = <P extends AnyPool>({ fibers, isHung, runtime }: World<P>): Array<string> => {
  const found: Array<string> = []
  if (runtime.sleeps > 0) found.push(`${runtime.sleeps} sleeps are left`)
  if (fibers !== 0 && !isHung) found.push(`${fibers} fibers are left`)
  const registered = Context.get(runtime.context, PoolRegistry.PoolRegistry).list().length
  if (registered > 0) found.push(`the registry has ${registered} pools`)
  const metrics = Context.get(runtime.context, Metric.MetricRegistry).size
  if (metrics > 0) found.push(`${metrics} metrics are left`)
  return found
}
