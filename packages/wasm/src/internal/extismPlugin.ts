import type { CallContext, Plugin } from "@extism/extism"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { ExtismOutput } from "../ExtismOutput.ts"
import type { HostContext, HostFunctions } from "../ExtismPool.ts"
import { build, call, type Outcome, readBlock, storeBlock, type Value } from "./extismGuest.ts"
import { callFunction, isPromise, namesOf } from "./extismHost.ts"
import { type Failure, type Guest, type Plan, threw } from "./extismInstance.ts"

/** Builds a plugin in this thread. */
export const openPlugin = (plan: Plan, functions: HostFunctions): Effect.Effect<Guest, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const controller = new AbortController()
    let hostFailure: Failure | undefined

    const callHost = (context: CallContext, namespace: string, name: string, values: ReadonlyArray<Value>): unknown => {
      try {
        const result = callFunction(functions, contextOf(context, controller.signal), namespace, name, values)
        if (!isPromise(result)) return result
        // It is nobody's any more, whatever it comes to.
        result.then(undefined, () => {})
        throw new Error(`The host function ${namespace}/${name} gave a promise, which needs runInWorker`)
      } catch (cause) {
        hostFailure = threw(cause)
        throw cause
      }
    }

    const attempt = <A>(f: () => Promise<A>): Effect.Effect<A, Failure> => {
      hostFailure = undefined
      return Effect.tryPromise({ try: f, catch: (cause) => hostFailure ?? threw(cause) })
    }

    const blueprint = { ...plan.blueprint, functions: namesOf(functions) }
    const plugin: Plugin = yield* Effect.acquireRelease(
      attempt(() => build(blueprint, { callHost, log: plan.log })),
      (plugin) =>
        Effect.promise(() => {
          controller.abort()
          return plugin.close()
        })
    )
    return {
      canEnd: false,
      // Nothing could interrupt the guest; what is left when it has returned takes no time.
      call: (name, input): Effect.Effect<Outcome, Failure> =>
        Effect.uninterruptible(Effect.suspend(() => attempt(() => call(plugin, name, input))))
    }
  })

const contextOf = (context: CallContext, signal: AbortSignal): HostContext => ({
  signal,
  read: (address) => {
    const bytes = readBlock(context, address)
    return bytes === undefined ? undefined : new ExtismOutput(bytes)
  },
  store: (content) => storeBlock(context, typeof content === "string" ? new TextEncoder().encode(content) : content)
})
