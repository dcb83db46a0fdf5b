/**
 * Adding a finalizer to a scope, and taking it out again, in one synchronous step. `Scope.addFinalizer` is an effect of
 * three operations, which costs as much as the rest of a lease; and nothing in the module takes a finalizer out.
 *
 * A scope's state is public and says how it is built: one finalizer inline, a map from the second on.
 *
 * A scope that closes with nothing left to be run answers with `undefined` instead of an effect. So does one whose only
 * finalizer does, which saves a lease a quarter of its time. Effect does not promise that: it is tried, once, when this
 * module is loaded.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/** What is to be done when its scope closes. */
export interface Ending {
  /** Does it at once, or answers with what is still to be run. */
  onClose(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> | undefined
}

type Finalizer = (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>

/** `false` if the scope is closed and takes no finalizers any more. */
export const addFinalizerUnsafe = (scope: Scope.Scope, ending: Ending): boolean => {
  const { state } = scope
  if (state._tag === "Closed") return false
  if (state._tag === "Empty") {
    const own: Scope.State.Open = {
      _tag: "Open",
      finalizerKey: ending,
      // The scope may have been given others since.
      finalizer: ((exit) => ending.onClose(exit) ?? (own.finalizer === undefined ? Effect.void : nothing)) as Finalizer,
      finalizers: undefined
    }
    scope.state = own
    return true
  }
  if (state.finalizers === undefined) {
    state.finalizers = new Map([[state.finalizerKey!, state.finalizer!]])
    state.finalizerKey = undefined
    state.finalizer = undefined
  }
  state.finalizers.set(ending, (exit) => ending.onClose(exit) ?? Effect.void)
  return true
}

export const removeFinalizerUnsafe = (scope: Scope.Scope, ending: Ending): void => {
  const { state } = scope
  if (state._tag !== "Open") return
  if (state.finalizerKey === ending) scope.state = { _tag: "Empty" }
  else state.finalizers?.delete(ending)
}

/** What the only finalizer of a scope answers with that has nothing left to be run. */
let nothing: Effect.Effect<void> | undefined = undefined

const closesWithNothing = (): boolean => {
  let closed = 0
  const add = (scope: Scope.Scope): boolean => addFinalizerUnsafe(scope, { onClose: () => void closed++ })
  const scoped = Effect.scoped(
    Effect.withFiber((fiber) => Effect.succeed(add(Context.getUnsafe(fiber.context, Scope.Scope))))
  )
  const scope = Scope.makeUnsafe()
  add(scope)
  try {
    Effect.runSync(Effect.andThen(scoped, Scope.close(scope, Exit.void)))
    return closed === 2
  } catch {
    return false
  }
}

if (!closesWithNothing()) nothing = Effect.void
