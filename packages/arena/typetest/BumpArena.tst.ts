import { ArenaBacking, type ArenaError, BumpArena } from "@effect-pools/arena"
import type { InvalidOptions } from "@effect-pools/core"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { describe, expect, it } from "tstyche"

type Made<M extends ArenaBacking.ArenaMemory> = Effect.Effect<
  BumpArena.BumpArena<M>,
  InvalidOptions.InvalidOptions | ArenaError.BackingFailed,
  Scope.Scope
>
type Allocation<A> = Effect.Effect<A, ArenaError.ArenaExhausted>

declare const arena: BumpArena.BumpArena
declare const work: Effect.Effect<number, "failed", Scope.Scope>

describe("make", () => {
  it("knows the memory of a backing that is given", () => {
    expect(BumpArena.make({ size: 1, backing: ArenaBacking.wasm })).type.toBe<Made<ArenaBacking.WasmArenaMemory>>()
  })

  it("knows nothing more of one that is named", () => {
    expect(BumpArena.make({ size: 1, backing: "wasm" })).type.toBe<Made<ArenaBacking.ArenaMemory>>()
    expect(BumpArena.make({ size: 1 })).type.toBe<Made<ArenaBacking.ArenaMemory>>()
  })

  it("refuses what is not known", () => {
    expect(BumpArena.make).type.not.toBeCallableWith({})
    expect(BumpArena.make).type.not.toBeCallableWith({ size: 1, backing: "disk" })
    expect(BumpArena.make).type.not.toBeCallableWith({ size: 1, overflow: "grow" })
  })
})

describe("an arena", () => {
  it("of more special memory is an arena", () => {
    expect<BumpArena.BumpArena<ArenaBacking.WasmArenaMemory>>().type.toBeAssignableTo<BumpArena.BumpArena>()
    expect<BumpArena.BumpArena>().type.not.toBeAssignableTo<BumpArena.BumpArena<ArenaBacking.WasmArenaMemory>>()
  })
})

describe("allocations", () => {
  it("have the type of their views, over memory of whatever kind", () => {
    expect(BumpArena.allocBytes(arena, 1)).type.toBe<Allocation<Uint8Array<ArrayBufferLike>>>()
    expect(BumpArena.allocArray(arena, Float64Array, 1)).type.toBe<Allocation<Float64Array<ArrayBufferLike>>>()
    expect(BumpArena.allocDataView(arena, 1)).type.toBe<Allocation<DataView<ArrayBufferLike>>>()
    expect(BumpArena.allocString(arena, "")).type.toBe<Allocation<Uint8Array<ArrayBufferLike>>>()
    expect(BumpArena.allocUnsafe(arena, 1)).type.toBe<number>()
  })

  it("of copies have the class of the original", () => {
    expect(BumpArena.allocCopyUnsafe(arena, new Float64Array(1))).type.toBe<Float64Array<ArrayBufferLike>>()
    expect(BumpArena.allocCopyUnsafe(arena, new BigInt64Array(1))).type.toBe<BigInt64Array<ArrayBufferLike>>()
    expect(BumpArena.allocCopyUnsafe).type.not.toBeCallableWith(arena, [1, 2])
  })
})

describe("scope", () => {
  it("has what its effect has", () => {
    expect(BumpArena.scope(arena, work)).type.toBe<Effect.Effect<number, "failed", Scope.Scope>>()
  })
})
