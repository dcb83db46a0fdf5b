import { describe, expect, it } from "@effect/vitest"
import { InvalidOptions } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { SharedPermits } from "../src/index.ts"

const held = (permits: SharedPermits.SharedPermits): Effect.Effect<number> =>
  Effect.map(SharedPermits.stats(permits), ({ used }) => used)

describe("shared permits", () => {
  it.effect("are taken all or none, and given back by who has them", () =>
    Effect.gen(function* () {
      const permits = yield* SharedPermits.make({ permits: 5 })
      const other = yield* SharedPermits.attach(permits.handle, { thread: 50 })
      expect(SharedPermits.takeUnsafe(permits, 3)).toBe(true)
      expect(SharedPermits.takeUnsafe(other, 3)).toBe(false)
      expect(SharedPermits.takeUnsafe(other, 2)).toBe(true)
      expect(SharedPermits.takeUnsafe(other)).toBe(false)
      expect(SharedPermits.giveUnsafe(other, 3)).toBe(false)
      expect(yield* held(permits)).toBe(5)
      expect(SharedPermits.giveUnsafe(permits, 3)).toBe(true)
      expect(SharedPermits.giveUnsafe(permits)).toBe(false)
      expect(yield* held(permits)).toBe(2)
      expect(SharedPermits.giveUnsafe(other, 2)).toBe(true)
    })
  )

  it.effect.each([0, -1, 1.5, NaN, Infinity])("can't be taken or given %d at a time", (wrong) =>
    Effect.gen(function* () {
      const permits = yield* SharedPermits.make({ permits: 5 })
      SharedPermits.takeUnsafe(permits, 2)
      expect(SharedPermits.takeUnsafe(permits, wrong)).toBe(false)
      expect(SharedPermits.giveUnsafe(permits, wrong)).toBe(false)
      expect(() =>
        SharedPermits.waitUnsafe(
          permits,
          wrong,
          () => {},
          () => {}
        )
      ).toThrow(RangeError)
      expect(yield* Effect.flip(SharedPermits.use(permits, wrong, Effect.void))).toMatchObject({ field: "permits" })
      expect(yield* held(permits)).toBe(2)
    })
  )

  it.effect("serve those who wait in order, some at a time", () =>
    Effect.gen(function* () {
      const permits = yield* SharedPermits.make({ permits: 3 })
      const order: Array<string> = []
      SharedPermits.takeUnsafe(permits, 3)
      const wait = (name: string, count: number) =>
        Effect.forkChild(
          SharedPermits.use(
            permits,
            count,
            Effect.sync(() => order.push(name))
          )
        )
      const many = yield* wait("many", 3)
      const one = yield* wait("one", 1)
      yield* Effect.yieldNow
      SharedPermits.giveUnsafe(permits, 2)
      expect(SharedPermits.takeUnsafe(permits)).toBe(false)
      yield* Effect.yieldNow
      expect(order).toEqual([])
      SharedPermits.giveUnsafe(permits, 1)
      yield* Fiber.join(many)
      yield* Fiber.join(one)
      expect(order).toEqual(["many", "one"])
      expect(yield* SharedPermits.stats(permits)).toMatchObject({ used: 0, held: 0, pending: 0 })
    })
  )

  it.effect("go to the next when who waited first leaves", () =>
    Effect.gen(function* () {
      const permits = yield* SharedPermits.make({ permits: 3 })
      SharedPermits.takeUnsafe(permits, 2)
      const many = yield* Effect.forkChild(SharedPermits.use(permits, 3, Effect.void))
      const one = yield* Effect.forkChild(SharedPermits.use(permits, 1, Effect.succeed("served")))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(many)
      expect(yield* Fiber.join(one)).toBe("served")
      expect(yield* held(permits)).toBe(2)
    })
  )

  it.effect("are waited for until a deadline, or not at all", () =>
    Effect.gen(function* () {
      const permits = yield* SharedPermits.make({ permits: 1, name: "cap" })
      SharedPermits.takeUnsafe(permits)
      expect(yield* Effect.flip(SharedPermits.use(permits, 1, Effect.void, { timeout: 0 }))).toMatchObject({
        reason: { _tag: "Exhausted", pool: "cap" }
      })
      const late = yield* Effect.forkChild(
        Effect.flip(SharedPermits.use(permits, 1, Effect.void, { timeout: "1 second" }))
      )
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(late)).toMatchObject({ reason: { _tag: "AcquireTimeout", waited: 1000 } })
      expect(yield* SharedPermits.stats(permits)).toMatchObject({ used: 1, pending: 0 })
    })
  )

  it.effect("go back however the effect ends, and with the scope", () =>
    Effect.gen(function* () {
      const permits = yield* SharedPermits.make({ permits: 2 })
      yield* Effect.exit(SharedPermits.use(permits, 2, Effect.fail("no")))
      expect(yield* held(permits)).toBe(0)
      const never = yield* Effect.forkChild(SharedPermits.use(permits, 2, Effect.never))
      yield* Effect.yieldNow
      expect(yield* held(permits)).toBe(2)
      yield* Fiber.interrupt(never)
      expect(yield* held(permits)).toBe(0)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* SharedPermits.get(permits, 2)
          expect(yield* held(permits)).toBe(2)
        })
      )
      expect(yield* held(permits)).toBe(0)
    })
  )

  it.effect("end with the scope they were made in, for everybody", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const permits = yield* Effect.provideService(SharedPermits.make({ permits: 1 }), Scope.Scope, scope)
      SharedPermits.takeUnsafe(permits)
      const waiting = yield* Effect.forkChild(Effect.flip(SharedPermits.use(permits, 1, Effect.void)))
      yield* Effect.yieldNow
      yield* Scope.close(scope, undefined as never)
      expect(yield* Fiber.join(waiting)).toMatchObject({ reason: { _tag: "Closed" } })
      expect(SharedPermits.takeUnsafe(permits)).toBe(false)
      expect(yield* Effect.flip(SharedPermits.use(permits, 1, Effect.void))).toMatchObject({
        reason: { _tag: "Closed" }
      })
    })
  )

  it.effect("come back from an attachment that ends, and from a thread that is reclaimed", () =>
    Effect.gen(function* () {
      const permits = yield* SharedPermits.make({ permits: 4 })
      const scope = yield* Scope.make()
      const first = yield* SharedPermits.attach(permits.handle, { thread: 51 }).pipe(
        Effect.provideService(Scope.Scope, scope)
      )
      const second = yield* SharedPermits.attach(permits.handle, { thread: 52 })
      SharedPermits.takeUnsafe(first, 2)
      SharedPermits.takeUnsafe(second, 2)
      const waiting = yield* Effect.forkChild(SharedPermits.use(permits, 4, Effect.succeed("all")))
      yield* Effect.yieldNow
      yield* Scope.close(scope, undefined as never)
      expect(yield* SharedPermits.reclaim(permits, 52)).toBe(2)
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)))
      expect(yield* Fiber.join(waiting)).toBe("all")
      expect(yield* SharedPermits.stats(permits)).toMatchObject({ used: 0, reclaimed: 2 })
    })
  )

  it.effect.each([
    ["permits", { permits: 0 }],
    ["permits", { permits: 65_537 }],
    ["permits", {}],
    ["thread", { permits: 1, thread: -1 }],
    ["max", { permits: 1, max: 2 }]
  ] as const)("with a wrong %s are refused", ([field, options]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(SharedPermits.make(options as SharedPermits.Options))
      expect(error).toBeInstanceOf(InvalidOptions.InvalidOptions)
      expect(error.field).toBe(field)
    })
  )

  it.effect("are counted as metrics, the same in every thread, while they are open", () =>
    Effect.gen(function* () {
      const seen = Effect.map(Metric.snapshot, (metrics) =>
        Object.fromEntries(
          metrics
            .filter(({ attributes }) => attributes?.["pool.name"] === "sockets")
            .map(({ attributes, id, state }) => [[id, attributes?.["pool.state"]].filter(Boolean).join(" "), state])
        )
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          const permits = yield* SharedPermits.make({ permits: 5, name: "sockets" })
          const other = yield* SharedPermits.attach(permits.handle, { thread: 51 })
          SharedPermits.takeUnsafe(other, 3)
          const waiting = yield* Effect.forkChild(SharedPermits.use(permits, 4, Effect.void), {
            startImmediately: true
          })
          expect(yield* seen).toEqual({
            "pool.count idle": { value: 2 },
            "pool.count used": { value: 3 },
            "pool.max": { value: 5 },
            "pool.pending_requests": { value: 1 }
          })
          yield* Fiber.interrupt(waiting)
        })
      )
      expect(yield* seen).toEqual({})
    })
  )

  it.effect("are a service", () =>
    Effect.gen(function* () {
      class Cap extends SharedPermits.Service<Cap>()("app/Cap", { permits: 2 }) {}
      const program = Effect.flatMap(Cap, (cap) => SharedPermits.use(cap, 2, Effect.succeed(cap.name)))
      expect(yield* Effect.provide(program, Cap.layer)).toBe("app/Cap")
    })
  )
})
