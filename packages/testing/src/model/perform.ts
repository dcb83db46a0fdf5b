import { Pool } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Gate, Step } from "../Gates.ts"
import type { Callers } from "./callers.ts"
import type { Command } from "./cases.ts"
import { heal, type Places } from "./ending.ts"
import { type AnyPool, TIMES, type World } from "./world.ts"

/** Does what a command says. It has happened when this returns, or happens as the fibers go on. */
export const perform = async <P extends AnyPool>(
  world: World<P>,
  callers: Callers<P>,
  command: Command,
  places: Places
): Promise<void> => {
  const { gates, model, pool, runtime } = world
  switch (command._tag) {
    case "use":
      return callers.use(command.body ?? "ok", command, { isTraced: command.traced === true })
    case "useIfAvailable":
      return callers.use(command.body ?? "ok", {}, { isOptional: true })
    case "get":
      return callers.get(command)
    case "getIfAvailable":
      return callers.get({}, true)
    case "release": {
      const holding = callers.open.filter((caller) => caller.letGo !== undefined)
      return pick(holding, command.which)?.letGo!(command.ending ?? "ok")
    }
    case "closeScope": {
      const scope = pick(callers.scopes, command.which)
      return scope === undefined ? undefined : callers.closeScope(scope)
    }
    case "interrupt": {
      const caller = pick(callers.open, command.which)
      return caller === undefined ? undefined : callers.interrupt(caller)
    }
    case "interruptMany":
      for (const caller of callers.open) if (caller.call.id % command.every === 0) callers.interrupt(caller)
      return
    case "invalidate": {
      const item = pick(
        gates.items.filter((item) => item.destroying === 0),
        command.which
      )
      return item === undefined ? undefined : callers.invalidate(item)
    }
    case "resize": {
      const { max = model.max, min = model.min } = command
      const exit = world.sync(Pool.resize(pool, { min: command.min, max: command.max }))
      if (Exit.isSuccess(exit) !== min <= max) {
        world.broken("contract", `resizing to min ${min} and max ${max} answered ${String(exit)}`)
      }
      return min <= max ? model.resizes(min, max) : undefined
    }
    case "suspend":
      model.suspends()
      return void world.sync(Pool.suspend(pool))
    case "resume":
      model.resumes()
      return void world.sync(Pool.resume(pool))
    case "gate":
      world.isHung ||= mayHang(command.at, command.gate)
      gates[command.at] = command.gate
      return
    case "allWell":
      return gates.allWell()
    case "advance":
      return world.advance(command.millis)
    case "heal":
      return heal(world, callers, places)
    case "drain":
      model.drains(world.now + (command.grace ?? Infinity))
      world.closers.push(runtime.fork(Effect.orDie(Pool.drain(pool, command.grace))))
      return
    case "close":
      model.closes(world.now + TIMES.closeGrace)
      world.closers.push(runtime.fork(Scope.close(world.scope, Exit.void)))
  }
}

/** That of several which is meant, counted round. */
export const pick = <A>(from: ReadonlyArray<A>, which = 0): A | undefined => from[which % from.length]

const mayHang = (at: Step, gate: Gate): boolean =>
  gate === "stuck" || typeof gate === "object" || (at === "destroy" && (gate === "hang" || gate === 300))
