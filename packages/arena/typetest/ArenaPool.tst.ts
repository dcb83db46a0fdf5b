import { ArenaBacking, type ArenaError, ArenaPool, type BumpArena } from "@effect-pools/arena"
import type { InvalidOptions, Pool, PoolError } from "@effect-pools/core"
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { describe, expect, it } from "tstyche"

type Made<M extends ArenaBacking.ArenaMemory> = Effect.Effect<
  ArenaPool.ArenaPool<M>,
  InvalidOptions.InvalidOptions,
  Scope.Scope
>

declare const pool: ArenaPool.ArenaPool
declare const wasm: ArenaPool.ArenaPool<ArenaBacking.WasmArenaMemory>
declare const work: (arena: BumpArena.BumpArena) => Effect.Effect<number, "failed">

describe("make", () => {
  it("knows the memory of a backing that is given", () => {
    expect(ArenaPool.make({ size: 1, backing: ArenaBacking.wasm })).type.toBe<Made<ArenaBacking.WasmArenaMemory>>()
    expect(ArenaPool.make({ size: 1, backing: "wasm" })).type.toBe<Made<ArenaBacking.ArenaMemory>>()
  })

  it("refuses what is not known", () => {
    expect(ArenaPool.make).type.not.toBeCallableWith({})
    expect(ArenaPool.make).type.not.toBeCallableWith({ size: 1, clear: "always" })
    expect(ArenaPool.make).type.not.toBeCallableWith({ size: 1, cap: "3" })
  })
})

describe("an arena pool", () => {
  it("is a pool of its arenas", () => {
    expect(pool).type.toBeAssignableTo<Pool.Pool<BumpArena.BumpArena, ArenaError.BackingFailed>>()
  })

  it("lends for an effect", () => {
    expect(ArenaPool.use(pool, work)).type.toBe<
      Effect.Effect<number, ArenaError.BackingFailed | PoolError.PoolError | "failed">
    >()
    expect(ArenaPool.get(wasm)).type.toBe<
      Effect.Effect<
        BumpArena.BumpArena<ArenaBacking.WasmArenaMemory>,
        ArenaError.BackingFailed | PoolError.PoolError,
        Scope.Scope
      >
    >()
    expect(ArenaPool.useIfAvailable(pool, work)).type.toBe<
      Effect.Effect<Option.Option<number>, PoolError.PoolError | "failed">
    >()
  })

  it("lends to plain code", () => {
    expect(ArenaPool.checkoutUnsafe(wasm)).type.toBe<BumpArena.BumpArena<ArenaBacking.WasmArenaMemory>>()
    expect(ArenaPool.checkoutUnsafe(pool)).type.toBeAssignableTo<Disposable>()
    expect(ArenaPool.giveBackUnsafe).type.not.toBeCallableWith(wasm, ArenaPool.checkoutUnsafe(pool))
  })

  it("is administered", () => {
    type Counted = Effect.Effect<number, ArenaError.PrewarmFailed | InvalidOptions.InvalidOptions>
    expect(ArenaPool.prewarm(pool, 1)).type.toBe<Counted>()
    expect(ArenaPool.prewarm(1)(pool)).type.toBe<Counted>()
    expect(ArenaPool.trim(pool, 1)).type.toBe<Effect.Effect<number, InvalidOptions.InvalidOptions>>()
    expect(ArenaPool.clear(pool)).type.toBe<Effect.Effect<number>>()
    expect(ArenaPool.releaseIdle(pool)).type.toBe<Effect.Effect<number>>()
    expect(ArenaPool.idleCount(pool)).type.toBe<Effect.Effect<number>>()
  })
})

class Scratch extends ArenaPool.Service<Scratch>()("app/Scratch", { size: 1, backing: ArenaBacking.wasm }) {}
declare const configured: Effect.Effect<ArenaPool.Options, "no config", Context.Service<"Config", string>>
class Configured extends ArenaPool.Service<Configured>()("app/Configured", configured) {}

describe("a service", () => {
  it("has a layer with what its options need", () => {
    expect(Scratch.layer).type.toBe<Layer.Layer<Scratch, InvalidOptions.InvalidOptions>>()
    expect(Configured.layer).type.toBe<
      Layer.Layer<Configured, InvalidOptions.InvalidOptions | "no config", Context.Service<"Config", string>>
    >()
    expect(Scratch.layerTest({ size: 1 })).type.toBe<Layer.Layer<Scratch, InvalidOptions.InvalidOptions>>()
  })

  it("knows its arenas", () => {
    expect(Scratch.get()).type.toBe<
      Effect.Effect<
        BumpArena.BumpArena<ArenaBacking.WasmArenaMemory>,
        ArenaError.BackingFailed | PoolError.PoolError,
        Scratch | Scope.Scope
      >
    >()
    expect(Scratch.releaseIdle).type.toBe<Effect.Effect<number, never, Scratch>>()
  })
})
