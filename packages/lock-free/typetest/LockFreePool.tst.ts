import type { InvalidOptions, Pool, PoolError } from "@effect-pools/core"
import { LockFreePool } from "@effect-pools/lock-free"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { describe, expect, it } from "tstyche"

class MakeError {
  readonly _tag = "MakeError"
}
interface Config {
  readonly config: unique symbol
}
interface Buffer {
  readonly bytes: Uint8Array
}
interface Context {
  readonly size: number
}
type Invalid = InvalidOptions.InvalidOptions
type PoolFailure = PoolError.PoolError

declare const create: () => Buffer
declare const context: Context
declare const pool: LockFreePool.LockFreePool<Buffer, MakeError>
declare const later: Effect.Effect<LockFreePool.Options<Buffer>, MakeError, Config>
const scale = { mode: "static", count: 1 } as const
const reset = () => true

describe("make", () => {
  it("infers the item, and has no failure but that of bad options", () => {
    expect(LockFreePool.make({ create, reset, scale })).type.toBe<
      Effect.Effect<LockFreePool.LockFreePool<Buffer>, Invalid, Scope.Scope>
    >()
  })

  it("infers the failure from `catch`", () => {
    expect(LockFreePool.make({ create, reset, scale, catch: () => new MakeError() })).type.toBe<
      Effect.Effect<LockFreePool.LockFreePool<Buffer, MakeError>, Invalid, Scope.Scope>
    >()
  })

  it("gives every step the item and the context", () => {
    LockFreePool.make({
      context,
      create: (given) => {
        expect(given).type.toBe<Context>()
        return create()
      },
      reset: (item, given) => {
        expect(item).type.toBe<Buffer>()
        expect(given).type.toBe<Context>()
        return true
      },
      destroy: (item, given) => {
        expect(item).type.toBe<Buffer>()
        expect(given).type.toBe<Context>()
      },
      scale
    })
  })

  it("refuses steps that need a context when there is none", () => {
    expect(LockFreePool.make).type.not.toBeCallableWith({ create: (given: Context) => given, reset, scale })
  })

  it("requires create, reset and scale", () => {
    expect(LockFreePool.make).type.not.toBeCallableWith({ reset, scale })
    expect(LockFreePool.make).type.not.toBeCallableWith({ create, scale })
    expect(LockFreePool.make).type.not.toBeCallableWith({ create, reset })
  })

  it("does not mix the scales", () => {
    expect(LockFreePool.make).type.not.toBeCallableWith({ create, reset, scale: { mode: "static", initial: 1 } })
    expect(LockFreePool.make).type.not.toBeCallableWith({ create, reset, scale: { mode: "auto", count: 1 } })
    expect(LockFreePool.make).type.toBeCallableWith({ create, reset, scale: { mode: "auto" } })
  })

  it("wants an answer of reset, now", () => {
    expect(LockFreePool.make).type.not.toBeCallableWith({ create, reset: () => {}, scale })
    expect(LockFreePool.make).type.not.toBeCallableWith({ create, reset: async () => true, scale })
  })
})

describe("guards", () => {
  it("hold the item, or there is none", () => {
    expect(LockFreePool.getUnsafe(pool)).type.toBe<LockFreePool.Guard<Buffer> | undefined>()
    expect(LockFreePool.getOrThrowUnsafe(pool)).type.toBe<LockFreePool.Guard<Buffer>>()
    expect<LockFreePool.Guard<Buffer>["value"]>().type.toBe<Buffer>()
    expect<LockFreePool.Guard<Buffer>>().type.toBeAssignableTo<Disposable>()
  })

  it("go back data-first and data-last", () => {
    const guard = LockFreePool.getOrThrowUnsafe(pool)
    expect(LockFreePool.releaseUnsafe(pool, guard)).type.toBe<void>()
    expect(pool.pipe((self) => LockFreePool.releaseUnsafe(guard)(self as typeof pool))).type.toBe<void>()
  })
})

describe("leases", () => {
  it("fail with the failure of create or of the pool", () => {
    expect(LockFreePool.get(pool)).type.toBe<Effect.Effect<Buffer, MakeError | PoolFailure, Scope.Scope>>()
    expect(LockFreePool.getIfAvailable(pool)).type.toBe<
      Effect.Effect<Option.Option<Buffer>, PoolFailure, Scope.Scope>
    >()
  })

  it("are a pool's like any other", () => {
    expect(pool).type.toBeAssignableTo<Pool.Pool<Buffer, MakeError>>()
  })
})

describe("Service", () => {
  class Buffers extends LockFreePool.Service<Buffers>()("app/Buffers", later) {}

  it("needs and fails with what its options do", () => {
    expect(Buffers.layer).type.toBe<Layer.Layer<Buffers, MakeError | Invalid, Config>>()
    expect(Buffers.layerTest({ create, reset, scale })).type.toBe<Layer.Layer<Buffers, Invalid>>()
  })
})
