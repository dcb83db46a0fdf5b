/** The loops in which contenders are run. Each is the same for all contenders of a case. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Contender } from "./harness.ts"

/** One fiber performs `next()` again and again, in Effect's own loop primitive. */
export const inOneFiber = (name: string, next: () => Effect.Effect<unknown, unknown>): Contender => ({
  name,
  run: async (operations) => {
    const loop = times(operations, next)
    const start = performance.now()
    await Effect.runPromise(loop)
    return performance.now() - start
  }
})

/** One fiber performs these in turn. */
export const inTurns = (name: string, effects: ReadonlyArray<Effect.Effect<unknown, unknown>>): Contender => {
  let turn = 0
  return inOneFiber(name, () => effects[turn++ % effects.length]!)
}

/**
 * Many fibers perform `next()` again and again, until they have performed `operations` between them. They are made, and
 * stand at a gate, before the clock starts.
 */
export const inManyFibers = (name: string, fibers: number, next: () => Effect.Effect<unknown, unknown>): Contender => ({
  name,
  run: (operations) =>
    new Promise((resolve, reject) => {
      const gates: Array<(effect: Effect.Effect<void>) => void> = []
      let running = fibers
      for (let i = 0; i < fibers; i++) {
        const gate = Effect.callback<void>((resume) => {
          gates.push(resume)
        })
        const fiber = Effect.runFork(Effect.andThen(gate, times(operations / fibers, next)))
        fiber.addObserver((exit) => {
          if (Exit.isFailure(exit)) reject(new Error(`${name} failed`, { cause: exit.cause }))
          else if (--running === 0) resolve(performance.now() - start)
        })
      }
      const start = performance.now()
      for (const open of gates) open(Effect.void)
    })
})

/**
 * As many callers in plain code await `next()` again and again, until they have performed `operations` between them. They
 * stand at a gate before the clock starts, as fibers do.
 */
export const inPromises = (name: string, callers: number, next: () => Promise<unknown>): Contender => ({
  name,
  run: async (operations) => {
    let open = (): void => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const caller = async (): Promise<void> => {
      await gate
      for (let n = 0; n < operations / callers; n++) await next()
    }
    const all = Promise.all(Array.from({ length: callers }, caller))
    const start = performance.now()
    open()
    await all
    return performance.now() - start
  }
})

/** Plain code performs `next()` again and again. */
export const inPlainCode = (name: string, next: () => void): Contender => ({
  name,
  run: (operations) => {
    const start = performance.now()
    for (let n = 0; n < operations; n++) next()
    return Promise.resolve(performance.now() - start)
  }
})

/** What is not run, but known or asked for, in milliseconds per operation. */
export const fixed = (name: string, millis: number): Contender => ({
  name,
  run: (operations) => Promise.resolve(operations * millis)
})

const times = (count: number, next: () => Effect.Effect<unknown, unknown>): Effect.Effect<void, unknown> => {
  let left = count
  return Effect.whileLoop({
    while: () => left-- > 0,
    body: next,
    step: () => {}
  })
}

/**
 * One fiber performs `next()` again and again, each time when `isReady`; only `next()` is timed. For what is got ready in
 * the background: what counts is how long whoever comes has to wait.
 */
export const oneByOne = (
  name: string,
  next: () => Effect.Effect<unknown, unknown>,
  isReady: () => boolean = () => true
): Contender => ({
  name,
  run: async (operations) => {
    let elapsed = 0
    const timed = Effect.suspend(() => {
      const start = performance.now()
      return Effect.map(next(), () => {
        elapsed += performance.now() - start
      })
    })
    const ready = Effect.whileLoop({ while: () => !isReady(), body: () => turn, step: () => {} })
    await Effect.runPromise(times(operations, () => Effect.andThen(Effect.andThen(turn, ready), timed)))
    return elapsed
  }
})

const turn = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})
