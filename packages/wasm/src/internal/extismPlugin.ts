import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { HostFunctions } from "../ExtismPool.ts"
import { type Blocks, ExtismGuest, type Outcome, type Value } from "./extismGuest.ts"
import { callFunction, makeContext, namesOf } from "./extismHost.ts"
import { type Failure, type Guest, type Plan, threw, threwInHost } from "./extismInstance.ts"
import { isPromise } from "./isPromise.ts"
import { kindOfTrap } from "./kindOfTrap.ts"

/** Builds a plugin in this thread. */
export const openPlugin = (plan: Plan, functions: HostFunctions): Effect.Effect<Guest, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const controller = new AbortController()

    const callHost = (blocks: Blocks, namespace: string, name: string, values: ReadonlyArray<Value>): unknown => {
      try {
        const context = makeContext({ ...blocks, room: blocks.room(), signal: controller.signal })
        const result = callFunction(functions, context, namespace, name, values)
        if (!isPromise(result)) return result
        // It is nobody's any more, whatever it comes to.
        result.then(undefined, () => {})
        throw new Error(`The host function ${namespace}/${name} gave a promise, which needs runInWorker`)
      } catch (cause) {
        // The guest has gone too deep, even if the host had the last of its calls.
        throw kindOfTrap(cause) === "StackOverflow" ? cause : new HostThrew(threwInHost(cause))
      }
    }

    const attempt = <A>(f: () => Promise<A>): Effect.Effect<A, Failure> =>
      Effect.tryPromise({
        try: f,
        catch: (cause) => (cause instanceof HostThrew ? cause.failure : threw(cause))
      })

    const blueprint = { ...plan.blueprint, functions: namesOf(functions) }
    const guest = yield* Effect.acquireRelease(
      attempt(() => ExtismGuest.build(blueprint, { callHost, log: plan.log })),
      (guest) =>
        Effect.promise(() => {
          controller.abort()
          return guest.close()
        })
    )
    return {
      canEnd: false,
      // Nothing could interrupt the guest; what is left when it has returned takes no time.
      call: (name, input): Effect.Effect<Outcome, Failure> =>
        Effect.uninterruptible(Effect.suspend(() => attempt(() => guest.call(name, input))))
    }
  })

/** What the guest is thrown instead: it may catch it, and then fail with something else. */
class HostThrew extends Error {
  readonly failure: Failure

  constructor(failure: Failure) {
    super("A function of the host has failed")
    this.failure = failure
  }
}
