import { InvalidOptions, Pool, type PoolError, type PoolEvent, PoolRegistry, type PoolStats } from "@effect-pools/core"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "tstyche"

declare const sure: Pool.Pool<string>
declare const value: unknown
declare const event: PoolEvent.PoolEvent
declare const pool: Pool.Pool<string, "refused">

describe("a pool", () => {
  it("without a failure cannot fail as a creation does", () => {
    expect(Pool.use(sure, () => Effect.void)).type.toBe<Effect.Effect<void, PoolError.PoolError>>()
  })

  it("is invariant in its item, which goes in and out", () => {
    expect<Pool.Pool<"a">>().type.not.toBeAssignableTo<Pool.Pool<string>>()
    expect<Pool.Pool<string>>().type.not.toBeAssignableTo<Pool.Pool<"a">>()
  })

  it("is recognised among other values", () => {
    if (Pool.isPool(value)) expect(value).type.toBe<Pool.Pool<unknown, unknown>>()
  })

  it("has operations that refuse what is wrong", () => {
    expect(Pool.use).type.not.toBeCallableWith(pool, (_: number) => Effect.void)
    expect(Pool.resize).type.not.toBeCallableWith(pool, { size: 5 })
    expect(Pool.resize).type.not.toBeCallableWith(pool)
    expect(Pool.drain).type.not.toBeCallableWith(pool, "soon")
    expect(Pool.events).type.not.toBeCallableWith(pool, { size: 5 })
  })
})

describe("events", () => {
  it("are told apart by tag", () => {
    if (event._tag === "ItemDestroyed") expect(event.reason).type.toBe<PoolEvent.DestroyReason>()
    if (event._tag === "WaitEnded") expect(event.outcome).type.toBe<PoolEvent.WaitOutcome>()
    expect(event.at).type.toBe<number>()
    expect<(typeof PoolEvent.destroyReasons)[number]>().type.toBe<PoolEvent.DestroyReason>()
  })
})

describe("errors", () => {
  it("have the six reasons", () => {
    expect<PoolError.PoolError["reason"]["_tag"]>().type.toBe<
      "AcquireTimeout" | "Exhausted" | "QueueFull" | "Suspended" | "Closed" | "BudgetClosed"
    >()
    expect<PoolError.PoolError["isRetryable"]>().type.toBe<boolean>()
  })

  it("a check is an effect that fails with InvalidOptions", () => {
    expect(InvalidOptions.check(() => 5)).type.toBe<Effect.Effect<number, InvalidOptions.InvalidOptions>>()
  })
})

describe("the registry", () => {
  it("needs nothing, and shows pools without their items", () => {
    expect(Effect.map(PoolRegistry.PoolRegistry, (registry) => registry.list())).type.toBe<
      Effect.Effect<ReadonlyArray<PoolRegistry.RegisteredPool>>
    >()
    expect<PoolRegistry.RegisteredPool["stats"]>().type.toBe<Effect.Effect<PoolStats.PoolStats>>()
    expect<Parameters<PoolRegistry.RegisteredPool["drain"]>[0]>().type.toBe<Duration.Input | undefined>()
  })
})
