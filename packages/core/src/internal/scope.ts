/**
 * Adding a finalizer to a scope, and taking it out again, in one synchronous step. `Scope.addFinalizer` is an effect of
 * three operations, which costs as much as the rest of a lease; and nothing in the module takes a finalizer out.
 *
 * A scope's state is public and says how it is built: one finalizer inline, a map from the second on.
 */
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"

/** `false` if the scope is closed and takes no finalizers any more. */
export const addFinalizerUnsafe = (
  scope: Scope.Scope,
  key: object,
  finalizer: (exit: Exit.Exit<any, any>) => Effect.Effect<void>
): boolean => {
  const state = scope.state
  if (state._tag === "Closed") return false
  if (state._tag === "Empty") {
    scope.state = { _tag: "Open", finalizerKey: key, finalizer, finalizers: undefined }
    return true
  }
  if (state.finalizers === undefined) {
    state.finalizers = new Map([[state.finalizerKey!, state.finalizer!]])
    state.finalizerKey = undefined
    state.finalizer = undefined
  }
  state.finalizers.set(key, finalizer)
  return true
}

export const removeFinalizerUnsafe = (scope: Scope.Scope, key: object): void => {
  const state = scope.state
  if (state._tag !== "Open") return
  if (state.finalizerKey === key) scope.state = { _tag: "Empty" }
  else state.finalizers?.delete(key)
}
