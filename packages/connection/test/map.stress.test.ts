/** Many callers of many keys, with everything that can happen to a key beside them, under a TestClock. */
import { ConnectionPoolMap } from "@effect-pools/connection"
import { PoolRegistry } from "@effect-pools/core"
import { Gates } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"

const MAX = 6
const KEYS = 20
const CALLERS = 60

type Map = ConnectionPoolMap.ConnectionPoolMap<number, Gates.Item, Gates.GateFailure>

const below = (limit: number) => Random.nextIntBetween(0, limit)

describe("a map under load", () => {
  for (const seed of ["one", "two", "three", "four", "five", "six"]) {
    it.effect(`keeps its cap, answers everybody and loses nothing: seed ${seed}`, () =>
      Effect.gen(function* () {
        const gates = Object.assign(Gates.make(), { create: 3, destroy: 2 })
        const registry = PoolRegistry.makeUnsafe()
        const scope = yield* Scope.make()
        const answers: Record<string, number> = {}
        const map: Map = yield* ConnectionPoolMap.make({
          max: MAX,
          capacity: KEYS - 4,
          idleTimeToLive: 40,
          lookup: (key: number) => {
            const options = { acquire: gates.make, max: 3, acquireTimeout: 200, closeGrace: 50, health: false } as const
            if (key % 3 === 0) return options
            const failure = new Gates.GateFailure({ at: "create" })
            return Effect.flatMap(below(20), (dice) =>
              Effect.andThen(Effect.sleep(1 + (dice % 5)), dice === 0 ? failure : Effect.succeed(options))
            )
          }
        }).pipe(Effect.provideService(Scope.Scope, scope), Effect.provideService(PoolRegistry.PoolRegistry, registry))

        const call = Effect.gen(function* () {
          const key = yield* below(KEYS)
          const options = (yield* below(4)) === 0 ? { acquireTimeout: yield* below(30) } : undefined
          const body = (item: Gates.Item, millis: number) => gates.holding(item, Effect.sleep(millis), 1)
          const millis = 1 + (yield* below(6))
          const isScoped = (yield* below(2)) === 0
          const lease = isScoped
            ? Effect.scoped(Effect.flatMap(ConnectionPoolMap.get(map, key, options), (item) => body(item, millis)))
            : ConnectionPoolMap.use(map, key, (item) => body(item, millis), options)
          const fiber = yield* Effect.forkChild(Effect.exit(lease))
          if ((yield* below(5)) === 0) {
            yield* Effect.sleep(yield* below(10))
            yield* Fiber.interrupt(fiber)
            return
          }
          const exit = yield* Fiber.join(fiber)
          const error = Exit.isSuccess(exit) ? undefined : Cause.squash(exit.cause)
          const answer = Exit.isSuccess(exit)
            ? "served"
            : error instanceof Gates.GateFailure
              ? "GateFailure"
              : ((error as { readonly reason?: { readonly _tag: string } }).reason?._tag ?? String(error))
          answers[answer] = (answers[answer] ?? 0) + 1
        })
        const disturb = Effect.gen(function* () {
          yield* Effect.sleep(1 + (yield* below(5)))
          const key = yield* below(KEYS)
          const pools = registry.list()
          switch (yield* below(4)) {
            case 0:
              return yield* ConnectionPoolMap.invalidate(map, key)
            case 1: {
              const pool = pools[yield* below(Math.max(1, pools.length))]
              return void (yield* Effect.forkChild(pool?.drain(20) ?? Effect.void))
            }
            case 2:
              yield* ConnectionPoolMap.suspend(map)
              yield* Effect.sleep(2)
              return yield* ConnectionPoolMap.resume(map)
            default: {
              const { creating, destroying, idle, used } = yield* ConnectionPoolMap.stats(map)
              assert.isAtMost(idle + used + creating + destroying, MAX)
            }
          }
        })
        const disturbing = yield* Effect.forkChild(Effect.forever(disturb))
        const calling = yield* Effect.forkChild(
          Effect.forEach(Array.from({ length: CALLERS }), () => Effect.repeat(call, { times: 15 }), {
            concurrency: "unbounded",
            discard: true
          })
        )
        while (calling.pollUnsafe() === undefined) yield* TestClock.adjust(20)
        yield* Fiber.join(calling)
        yield* Fiber.interrupt(disturbing)
        yield* ConnectionPoolMap.resume(map)
        yield* TestClock.adjust(1000)

        assert.isAtMost(gates.most, MAX)
        assert.deepStrictEqual(gates.audit(0), [])
        assert.deepStrictEqual(
          Object.keys(answers).filter(
            (answer) => !["served", "AcquireTimeout", "Exhausted", "Suspended", "GateFailure"].includes(answer)
          ),
          []
        )
        assert.isAbove(answers["served"]!, 200)
        const { acquired, keys, pending, released } = yield* ConnectionPoolMap.stats(map)
        assert.deepStrictEqual({ acquired, keys, pending }, { acquired: released, keys: 0, pending: 0 })
        assert.strictEqual(map.budget.statsUnsafe().free, MAX)
        assert.deepStrictEqual(registry.list(), [])
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        yield* TestClock.adjust(1000)
        yield* Fiber.join(closing)
      }).pipe(Random.withSeed(seed))
    )
  }
})
