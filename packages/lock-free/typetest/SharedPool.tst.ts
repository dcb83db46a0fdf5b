import type { InvalidOptions, PoolError } from "@effect-pools/core"
import { SharedPermits, SharedPool } from "@effect-pools/lock-free"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { describe, expect, it } from "tstyche"

declare const pool: SharedPool.SharedPool
declare const permits: SharedPermits.SharedPermits

describe("SharedPool", () => {
  it("is made with slots of a size", () => {
    expect(SharedPool.make({ slots: 1, slotBytes: 8 })).type.toBe<
      Effect.Effect<SharedPool.SharedPool, InvalidOptions.InvalidOptions, Scope.Scope>
    >()
    expect(SharedPool.make).type.not.toBeCallableWith({ slots: 1 })
    expect(SharedPool.make).type.not.toBeCallableWith({ slots: 1, slotBytes: 8, reset: "ones" })
  })

  it("is attached by its handle, which may be none", () => {
    expect(SharedPool.attach(pool.handle, { wait: true })).type.toBe<
      Effect.Effect<SharedPool.SharedPool, InvalidOptions.InvalidOptions | SharedPool.AttachError, Scope.Scope>
    >()
    expect(SharedPool.attach).type.not.toBeCallableWith(pool)
  })

  it("hands out slots", () => {
    expect(SharedPool.use(pool, ({ bytes }) => Effect.succeed(bytes))).type.toBe<
      Effect.Effect<Uint8Array<SharedArrayBuffer>, PoolError.PoolError>
    >()
    expect(SharedPool.get(pool)).type.toBe<Effect.Effect<SharedPool.Slot, PoolError.PoolError, Scope.Scope>>()
    expect(SharedPool.getUnsafe(pool)).type.toBe<SharedPool.Guard | undefined>()
  })

  it("watches workers, and answers them", () => {
    const worker = { threadId: 1, once: (_event: "exit", _listener: () => void) => 1, postMessage: () => {} }
    expect(SharedPool.watch(pool, worker)).type.toBe(worker)
    expect(SharedPool.watch).type.not.toBeCallableWith(pool, { threadId: 1 })
  })

  it("is a service, of its own or of a handle", () => {
    class Frames extends SharedPool.Service<Frames>()("app/Frames", { slots: 1, slotBytes: 8 }) {}
    expect(Frames.layer).type.toBe<Layer.Layer<Frames, InvalidOptions.InvalidOptions | SharedPool.AttachError>>()
    expect(Frames.handle).type.toBe<Effect.Effect<SharedPool.Handle, never, Frames>>()
    class Same extends SharedPool.Service<Same>()(
      "app/Same",
      Effect.map(Frames.handle, (handle) => ({ handle }))
    ) {}
    expect(Same.layer).type.toBe<Layer.Layer<Same, InvalidOptions.InvalidOptions | SharedPool.AttachError, Frames>>()
  })
})

describe("SharedPermits", () => {
  it("run an effect with some of them", () => {
    expect(SharedPermits.use(permits, 2, Effect.fail("no" as const))).type.toBe<
      Effect.Effect<never, "no" | PoolError.PoolError | InvalidOptions.InvalidOptions>
    >()
    expect(SharedPermits.attach).type.not.toBeCallableWith(permits)
  })
})
