/**
 * One step of Effect's run loop, taken by hand.
 *
 * To evaluate an effect is to call its one method with the fiber, which answers with the effect to go on with. The run
 * loop does that over and over, with checks for interruption and yielding in between. Taking the step that installs an
 * exit handler here puts it and what follows into one synchronous step, which is safer and saves a turn of the loop.
 *
 * The method's key is not part of Effect's interface, but `Effectable.Prototype`, which is, makes objects that have it.
 */
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import type * as Fiber from "effect/Fiber"

const evaluate = (): Effect.Effect<void> => Effect.void

const prototype: object = Effectable.Prototype<Effect.Effect<void>>({ label: "effect-pools/probe", evaluate })

const key = Reflect.ownKeys(prototype).find((key) => Reflect.get(prototype, key) === evaluate)

/** What the fiber goes on with after `effect`: `effect` itself if no step can be taken. Only while that fiber runs. */
export const step = (
  effect: Effect.Effect<any, any, any>,
  fiber: Fiber.Fiber<unknown, unknown>
): Effect.Effect<any, any, any> =>
  key === undefined ? effect : (effect as unknown as Record<PropertyKey, (fiber: unknown) => any>)[key]!(fiber)
