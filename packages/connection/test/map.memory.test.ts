/** That keys, calls and streams leave nothing behind in a map that stays open. */
import { ConnectionPoolMap } from "@effect-pools/connection"
import { Footprint } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** Bytes that may stay with a cycle, on average: less than anything that a map could keep of it. */
const bound = 100

type Map = ConnectionPoolMap.ConnectionPoolMap<number, object>
type Options = ConnectionPoolMap.Options<number, object, never, Scope.Scope>

const isFlat = (
  name: string,
  options: Partial<Options>,
  cycle: (map: Map) => Effect.Effect<unknown, unknown>,
  units = 500
) =>
  it.live(`is flat: ${name}`, () =>
    Effect.gen(function* () {
      const acquire = Effect.acquireRelease(
        Effect.sync(() => ({})),
        () => Effect.void
      )
      const map = yield* ConnectionPoolMap.make({
        name: "tenants",
        max: 4,
        lookup: () => ({ acquire, health: false, closeGrace: 0 }),
        ...options
      })
      const round = Effect.repeat(cycle(map), { times: units - 1 })
      const { perUnit } = yield* Footprint.growth({ round, units, rounds: 7, bound })
      assert.isBelow(perUnit, bound)
    }).pipe(Effect.scoped)
  )

let lastKey = 0
const next = Effect.sync(() => ++lastKey)
const use = (map: Map, key: number) => ConnectionPoolMap.use(map, key, () => Effect.void)

describe("memory of a map over many", { timeout: 300_000 }, () => {
  isFlat("keys that are used once and closed", {}, (map) =>
    Effect.flatMap(next, (key) => Effect.andThen(use(map, key), ConnectionPoolMap.invalidate(map, key)))
  )

  isFlat("keys that take each other's place", { capacity: 3 }, (map) => Effect.flatMap(next, (key) => use(map, key)))

  isFlat("pools that are given up under their holders", {}, (map) =>
    Effect.gen(function* () {
      const key = yield* next
      const [begun, gate] = [Deferred.makeUnsafe<void>(), Deferred.makeUnsafe<void>()]
      const holder = yield* Effect.forkChild(
        ConnectionPoolMap.use(map, key, () => Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(gate)))
      )
      yield* Deferred.await(begun)
      yield* ConnectionPoolMap.invalidate(map, key)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(holder)
    })
  )

  isFlat("callers that leave, of a pool that opens and of one that is full", { max: 1 }, (map) =>
    Effect.gen(function* () {
      const key = yield* next
      const left = yield* Effect.forEach([key, key, 0, 0], (key) =>
        Effect.forkChild(
          ConnectionPoolMap.use(map, key, () => Effect.never),
          { startImmediately: true }
        )
      )
      yield* Effect.forEach(left, Fiber.interrupt)
      yield* ConnectionPoolMap.invalidate(map, key)
    })
  )

  isFlat("streams of events that end before the map", {}, (map) =>
    Effect.gen(function* () {
      const reader = yield* Effect.forkChild(Stream.runDrain(ConnectionPoolMap.events(map)), { startImmediately: true })
      yield* use(map, 0)
      yield* Fiber.interrupt(reader)
    })
  )
})
