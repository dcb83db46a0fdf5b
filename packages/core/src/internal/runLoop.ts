/**
 * What leases do with Effect's run loop beyond its public functions. All of it is here.
 *
 * - The run loop evaluates an effect by calling its one method with the fiber, and goes on with what that answers. The
 *   instances of any class can be effects: {@link makeEffects}.
 * - An exit handler is a frame on the fiber's stack, which the effect made by `Effect.onExitPrimitive` pushes when it is
 *   evaluated. The instances of any class can be such frames, and need no closure and no effect around them:
 *   {@link makeFrames}. To push one and to go on is a single synchronous step: {@link enter}.
 * - Effect makes a fiber uninterruptible for each of its handlers, and interruptible again behind it. A handler that is
 *   plain code cannot be interrupted. It only has to be shielded from being skipped, as handlers of a fiber that is being
 *   interrupted are, and when it is told of a failure, from an interruption that would take the failure's place.
 * - A fiber that waits is one whose effect has answered with a sentinel, until somebody evaluates another one:
 *   {@link suspend} and {@link proceed}.
 *
 * Effect promises none of this. So all of it is tried, once, when this module is loaded. Should anything be different, the
 * callers do the same by Effect's public functions, which takes up to 1.6 times the time.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"

type AnyEffect = Effect.Effect<any, any, any>
type AnyFiber = Fiber.Fiber<unknown, unknown>

/** What the run loop can be given. */
export interface Evaluated {
  evaluate(fiber: AnyFiber): AnyEffect
}

/** What goes on with `evaluate`, and is told once how that ended. */
export interface Frame extends Evaluated {
  onExit(exit: Exit.Exit<unknown, unknown>): void
}

/** What a fiber has beside its interface. */
interface Internals {
  readonly _interruptedCause: Cause.Cause<never> | undefined
  succeedWith(value: unknown): AnyEffect
  yieldWith(resumed: () => void): AnyEffect
  evaluate(effect: AnyEffect): void
}

const nothing = (): undefined => undefined
const internals = (fiber: AnyFiber): Internals => fiber as unknown as Internals

/** The prototype of Effect's own exit handlers. */
const handler: Record<string, (this: unknown, fiber: AnyFiber) => unknown> = Object.getPrototypeOf(
  Effect.onExitPrimitive(Effect.void, nothing)
)
const pushed = "~effect/Effect/evaluate"
const popped = "~effect/Effect/ensureCont"
const succeeded = "~effect/Effect/successCont"
const failed = "~effect/Effect/failureCont"

const evaluated = (label: string): object =>
  Effectable.Prototype<any>({
    label,
    evaluate(fiber) {
      return this.evaluate(fiber)
    }
  })

/** Makes the instances of a class effects. */
export const makeEffects = (prototype: Evaluated, label: string): void => {
  Object.setPrototypeOf(prototype, evaluated(label))
}

/** Makes the instances of a class effects, and frames that can be {@link enter entered}. */
export const makeFrames = (prototype: Frame, label: string): void => {
  Object.setPrototypeOf(
    prototype,
    Object.assign(Object.create(handler), evaluated(label), {
      [popped](this: Frame, fiber: AnyFiber) {
        if (internals(fiber)._interruptedCause !== undefined) handler[popped]!.call(this, fiber)
      },
      [succeeded](this: Frame, value: unknown, fiber: AnyFiber, exit: Exit.Exit<unknown> = Exit.succeed(value)) {
        this.onExit(exit)
        return internals(fiber).succeedWith(value)
      },
      [failed](
        this: Frame,
        cause: Cause.Cause<unknown>,
        fiber: AnyFiber,
        exit: Exit.Exit<never, unknown> = Exit.failCause(cause)
      ) {
        // An interruption that comes meanwhile is to be added to the failure, not to replace it.
        handler[popped]!.call(this, fiber)
        this.onExit(exit)
        return exit
      }
    })
  )
}

const pushHandler = handler[pushed]!
const push = (frame: Frame, fiber: AnyFiber): void => {
  pushHandler.call(frame, fiber)
}

/** Installs the frame on the fiber that is running, and evaluates it. */
export const enter = (frame: Frame, fiber: AnyFiber): AnyEffect => {
  if (!isRunLoopKnown) {
    return Effect.onExitPrimitive(frame as never, (exit) => {
      frame.onExit(exit)
      return undefined
    })
  }
  push(frame, fiber)
  return frame.evaluate(fiber)
}

/**
 * What to answer the run loop with, so that the fiber is suspended until {@link proceed}, which must not come in the same
 * step. Only if the {@link isRunLoopKnown run loop is known}. Whoever does it has to know, by a frame, when that fiber has
 * been interrupted.
 */
export const suspend = (fiber: AnyFiber): AnyEffect => internals(fiber).yieldWith(nothing)

/** What a suspended fiber goes on with. */
export const proceed = (fiber: AnyFiber, effect: AnyEffect): void => internals(fiber).evaluate(effect)

// Trying it ----------------------------------------------------------------------------------------------------------

class Probe implements Frame {
  readonly body: (fiber: AnyFiber) => unknown
  readonly exits: Array<Exit.Exit<unknown, unknown>> = []

  constructor(body: (fiber: AnyFiber) => unknown) {
    this.body = body
  }

  evaluate(fiber: AnyFiber): AnyEffect {
    return this.body(fiber) as AnyEffect
  }

  onExit(exit: Exit.Exit<unknown, unknown>): void {
    this.exits.push(exit)
  }
}

const tryOut = (
  body: (fiber: AnyFiber) => unknown,
  isExpected: (exit: Exit.Exit<unknown, unknown>) => boolean,
  meanwhile?: (fiber: AnyFiber) => void
): boolean => {
  const probe = new Probe(body)
  const fiber = Effect.runFork(
    Effect.withFiber<unknown, unknown>((fiber) => {
      push(probe, fiber)
      return probe.evaluate(fiber) as Effect.Effect<unknown, unknown>
    })
  )
  if (meanwhile !== undefined) {
    if (fiber.pollUnsafe() !== undefined || probe.exits.length > 0) return false
    meanwhile(fiber)
  }
  const exit = fiber.pollUnsafe()
  return exit !== undefined && isExpected(exit) && probe.exits.length === 1 && isExpected(probe.exits[0]!)
}

const isOne = (exit: Exit.Exit<unknown, unknown>): boolean => Exit.isSuccess(exit) && exit.value === 1
const isFailure = (exit: Exit.Exit<unknown, unknown>): boolean => Exit.isFailure(exit) && Cause.hasFails(exit.cause)
const isInterrupt = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause)

const tryAll = (): boolean => {
  try {
    makeFrames(Probe.prototype, "effect-pools/probe")
    return (
      tryOut(() => Effect.succeed(1), isOne) &&
      tryOut(() => Effect.sync(() => 1), isOne) &&
      tryOut(() => Effect.fail(1), isFailure) &&
      tryOut(suspend, isOne, (fiber) => proceed(fiber, Effect.succeed(1))) &&
      tryOut(suspend, isFailure, (fiber) => proceed(fiber, Effect.fail(1))) &&
      tryOut(suspend, isInterrupt, (fiber) => fiber.interruptUnsafe()) &&
      tryOut((fiber) => {
        fiber.interruptUnsafe()
        return suspend(fiber)
      }, isInterrupt) &&
      tryOut((fiber) => {
        fiber.interruptUnsafe()
        return Effect.succeed(1)
      }, isInterrupt)
    )
  } catch {
    return false
  }
}

/** Whether all of this works here. If not, no fiber is to be suspended by hand. */
export const isRunLoopKnown = tryAll()
