/** What the tests of the lock-free pool share. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { LockFreePool } from "@effect-pools/lock-free"
import { Sandbox } from "@effect-pools/testing"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"

export interface Thing {
  readonly id: number
  isDirty: boolean
}

/** A factory of things, every step of which can be made to go wrong. */
export const makeFactory = () => {
  const factory = {
    made: [] as Array<Thing>,
    destroyed: [] as Array<number>,
    resets: 0,
    create: (): Thing => {
      const thing = { id: factory.made.length + 1, isDirty: false }
      factory.made.push(thing)
      return thing
    },
    reset: (thing: Thing): boolean => {
      factory.resets++
      thing.isDirty = false
      return true
    },
    destroy: (thing: Thing): void => void factory.destroyed.push(thing.id)
  }
  return factory
}

export type Factory = ReturnType<typeof makeFactory>

type Settings = Partial<LockFreePool.Options<Thing, Error>>

/** Opens a pool of things, every trace of which can be looked at. Its steps can be changed as the test goes on. */
export const open = Effect.fnUntraced(function* (
  scale: LockFreePool.Scale,
  settings?: Settings,
  factory: Factory = makeFactory()
) {
  const sandbox: Sandbox.Sandbox<LockFreePool.LockFreePool<Thing, Error>> = yield* Sandbox.open(
    LockFreePool.make<Thing, Error>({
      create: () => factory.create(),
      reset: (thing) => factory.reset(thing),
      destroy: (thing) => factory.destroy(thing),
      scale,
      closeGrace: 0,
      ...settings
    })
  )
  return { ...sandbox, factory }
})

export const { settle } = Sandbox

/** As many guards as there are, or `count`. */
export const take = <A, E>(pool: LockFreePool.LockFreePool<A, E>, count = 1000): Array<LockFreePool.Guard<A>> => {
  const guards: Array<LockFreePool.Guard<A>> = []
  while (guards.length < count) {
    const guard = LockFreePool.getUnsafe(pool)
    if (guard === undefined) break
    guards.push(guard)
  }
  return guards
}

export const release = (guards: ReadonlyArray<LockFreePool.Guard<unknown>>): void => {
  for (const guard of guards) guard[Symbol.dispose]()
}

export const thrownBy = (f: () => unknown): unknown => {
  try {
    f()
  } catch (error) {
    return error
  }
  return assert.fail("nothing was thrown")
}

export const statsOf = <A, E>(pool: LockFreePool.LockFreePool<A, E>) => LockFreePool.statsUnsafe(pool)

/** Nothing is out, nothing is lost, and as many items as there may be can be had, all together. */
export const expectEveryPlaceWorks = <A, E>(pool: LockFreePool.LockFreePool<A, E>): void => {
  const { acquired, max, pending, released, used } = statsOf(pool)
  assert.deepStrictEqual({ used, pending, out: acquired - released }, { used: 0, pending: 0, out: 0 })
  const guards = take(pool, max + 1)
  assert.strictEqual(guards.length, max)
  assert.strictEqual(new Set(guards.map(({ value }) => value)).size, max)
  release(guards)
  assert.deepInclude(statsOf(pool), { used: 0, size: statsOf(pool).idle })
}

setFlagsFromString("--expose-gc")
const gc = runInNewContext("gc") as () => void

/** Collects garbage, and lets those hear of it who asked for that, until `isDone`; fails if that never is. */
export const collectUntil = (isDone: () => boolean): Effect.Effect<void> =>
  Effect.promise(async () => {
    for (let round = 0; !isDone(); round++) {
      assert.isBelow(round, 50, "the garbage collector has found nothing")
      await new Promise((resolve) => setImmediate(resolve))
      gc()
    }
  })

/** The same, for what is not to be found. */
export const collect: Effect.Effect<void> = Effect.promise(async () => {
  for (let round = 0; round < 3; round++) {
    await new Promise((resolve) => setImmediate(resolve))
    gc()
  }
})
