import type { InvalidOptions, Pool, PoolError } from "@effect-pools/core"
import { Resource, ResourcePool } from "@effect-pools/resource"
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { describe, expect, it } from "tstyche"

interface Socket {
  readonly ask: (question: string) => string
}

type Invalid = InvalidOptions.InvalidOptions
type Host = Context.Service<"Host", string>
type Log = Context.Service<"Log", string>

declare const pool: ResourcePool.ResourcePool
declare const connect: Effect.Effect<Socket, "refused", Host | Scope.Scope>
declare const disconnect: (socket: Socket) => Effect.Effect<void, "stuck", Log>
declare const socket: Resource.Resource<Socket, "refused">
declare const work: (socket: Socket) => Effect.Effect<number, "failed", Log>

describe("make", () => {
  it("needs a max, and refuses what is not known", () => {
    expect(ResourcePool.make({ max: 1 })).type.toBe<Effect.Effect<ResourcePool.ResourcePool, Invalid, Scope.Scope>>()
    expect(ResourcePool.make).type.not.toBeCallableWith({})
    expect(ResourcePool.make).type.not.toBeCallableWith({ max: "1" })
    expect(ResourcePool.make).type.not.toBeCallableWith({ max: 1, min: 1 })
  })

  it("makes a pool, as others are", () => {
    expect(pool).type.toBeAssignableTo<Pool.Pool<unknown, unknown>>()
    expect(ResourcePool.resize).type.not.toBeCallableWith(pool, { min: 1, max: 2 })
    expect(ResourcePool.resize(pool, { max: 2 })).type.toBe<Effect.Effect<void, Invalid>>()
    expect(ResourcePool.resize({ max: 2 })(pool)).type.toBe<Effect.Effect<void, Invalid>>()
  })
})

describe("create", () => {
  it("knows what is allocated and what that needs, but for the scope, which is the pool's", () => {
    type Made = Effect.Effect<Resource.Resource<Socket, "refused">, Invalid, Host>
    expect(ResourcePool.create(pool, { allocate: connect })).type.toBe<Made>()
    expect(ResourcePool.create({ allocate: connect })(pool)).type.toBe<Made>()
  })

  it("needs what the release needs, whose failure is nobody's but who asks for it", () => {
    expect(ResourcePool.create(pool, { allocate: connect, release: disconnect })).type.toBe<
      Effect.Effect<Resource.Resource<Socket, "refused">, Invalid, Host | Log>
    >()
  })

  it("refuses what is not known, or does not fit", () => {
    expect(ResourcePool.create).type.not.toBeCallableWith(pool, {})
    expect(ResourcePool.create).type.not.toBeCallableWith(pool, { allocate: connect, weight: "1" })
    expect(ResourcePool.create).type.not.toBeCallableWith(pool, { allocate: connect, max: 1 })
    expect(ResourcePool.create).type.not.toBeCallableWith(pool, {
      allocate: connect,
      release: (_: number) => disconnect({ ask: (it) => it })
    })
  })
})

describe("a resource", () => {
  it("is one of what it is more special than", () => {
    expect(socket).type.toBeAssignableTo<Resource.Resource<unknown, string>>()
    expect(socket).type.not.toBeAssignableTo<Resource.Resource<Socket>>()
  })

  it("is had for a scope, with failures of options only where there are any", () => {
    type Had<E> = Effect.Effect<Socket, "refused" | PoolError.PoolError | E, Scope.Scope>
    expect(Resource.get(socket)).type.toBe<Had<never>>()
    expect(Resource.get(socket, { wait: false })).type.toBe<Had<Invalid>>()
    expect(Resource.getIfAvailable(socket)).type.toBe<
      Effect.Effect<Option.Option<Socket>, PoolError.PoolError, Scope.Scope>
    >()
  })

  it("is had for an effect, first or last", () => {
    type Used<E> = Effect.Effect<number, "refused" | "failed" | PoolError.PoolError | E, Log>
    expect(Resource.use(socket, work)).type.toBe<Used<never>>()
    expect(Resource.use(work)(socket)).type.toBe<Used<never>>()
    expect(Resource.use(socket, work, { priority: 1 })).type.toBe<Used<Invalid>>()
    expect(Resource.use(work, { priority: 1 })(socket)).type.toBe<Used<Invalid>>()
    expect(Resource.useIfAvailable(socket, work)).type.toBe<
      Effect.Effect<Option.Option<number>, "failed" | PoolError.PoolError, Log>
    >()
    expect(socket.pipe(Resource.useIfAvailable(work))).type.toBe<
      Effect.Effect<Option.Option<number>, "failed" | PoolError.PoolError, Log>
    >()
  })

  it("is released, with a failure of its own", () => {
    expect(Resource.release(socket)).type.toBe<Effect.Effect<void, Resource.ReleaseError>>()
    expect(Resource.scheduleRelease(socket)).type.toBe<Effect.Effect<void>>()
    expect(Resource.isAllocated(socket)).type.toBe<Effect.Effect<boolean>>()
  })

  it("refuses options and pools in place of it", () => {
    expect(Resource.get).type.not.toBeCallableWith(pool)
    expect(Resource.get).type.not.toBeCallableWith(socket, { timeout: 1 })
    expect(Resource.get).type.not.toBeCallableWith(socket, { wait: "no" })
    expect(Resource.use).type.not.toBeCallableWith(socket, () => 1)
  })
})

class Sockets extends ResourcePool.Service<Sockets>()("app/Sockets", { max: 1 }) {}
declare const configured: Effect.Effect<ResourcePool.Options, "no config", Context.Service<"Config", string>>
class Configured extends ResourcePool.Service<Configured>()("app/Configured", configured) {}

describe("a service", () => {
  it("has a layer with what its options need", () => {
    expect(Sockets.layer).type.toBe<Layer.Layer<Sockets, Invalid>>()
    expect(Configured.layer).type.toBe<
      Layer.Layer<Configured, Invalid | "no config", Context.Service<"Config", string>>
    >()
    expect(Configured.layerTest()).type.toBe<Layer.Layer<Configured, Invalid>>()
    expect(Sockets.layerTest).type.not.toBeCallableWith({ min: 1 })
  })

  it("creates resources", () => {
    expect(Sockets.create({ allocate: connect, release: disconnect })).type.toBe<
      Effect.Effect<Resource.Resource<Socket, "refused">, Invalid, Sockets | Host | Log>
    >()
  })

  it("has no leases of its own", () => {
    expect(Sockets).type.not.toHaveProperty("get")
    expect(Sockets).type.not.toHaveProperty("use")
  })
})
