import { Pool, PoolRegistry, PoolStats } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Gates from "../Gates.ts"
import { atLeast, equal, includes, says } from "./expect.ts"
import { group, type Plan } from "./plan.ts"
import { ended, settle, type World } from "./world.ts"

const stats = group("stats")
const events = group("events")
const metrics = group("metrics")
const registry = group("registry")
const names = group("names")

/** Some of everything that callers do. */
const busy = Effect.fnUntraced(function* (world: World) {
  for (let n = 0; n < 30; n++) {
    const body = [Effect.void, Effect.fail("no"), Effect.die("no"), Effect.sleep(3)][n % 4] as Effect.Effect<
      void,
      string
    >
    const options = n % 10 === 9 ? { acquireTimeout: 0 } : { acquireTimeout: 1 + (n % 5) }
    const caller = yield* world.start(
      Effect.exit(world.use((_, value) => (n % 6 === 5 ? world.invalidate(value) : body), options))
    )
    if (n % 7 === 6) caller.interruptUnsafe()
    if (n % 3 === 2) yield* TestClock.adjust(1)
  }
  yield* TestClock.adjust(1000)
})

/** A metric of the pool, by the end of its name and its state. */
const metric = Effect.fnUntraced(function* (world: World, suffix: string, state?: "idle" | "used") {
  const all = yield* Effect.provideService(Metric.snapshot, Metric.MetricRegistry, world.sandbox.metrics)
  const wanted = `${world.pool.kind === "connection" ? "db.client.connection" : "pool"}.${suffix}`
  const found = all.filter(
    ({ attributes, id }) => id === wanted && (state === undefined || Object.values(attributes ?? {}).includes(state))
  )
  yield* equal(`metrics named ${wanted}`, found.length, 1)
  return found[0]!
})

export const plans: ReadonlyArray<Plan> = [
  stats.pool("are valid by their Schema, and travel as JSON", { max: 2, maxCreating: 2 }, (world) =>
    Effect.gen(function* () {
      yield* busy(world)
      for (const snapshot of [world.stats, yield* Pool.stats(world.pool)]) {
        yield* equal("valid", Schema.is(PoolStats.PoolStats)(snapshot), true)
        yield* equal("after a round trip through JSON", JSON.parse(JSON.stringify(snapshot)), snapshot)
      }
      yield* includes("stats", world.stats, {
        kind: world.pool.kind,
        name: world.pool.name,
        state: "open",
        min: 0,
        max: 2
      })
    })
  ),

  stats.pool("agree with the events", { max: 2, maxCreating: 2 }, (world) =>
    Effect.gen(function* () {
      yield* busy(world)
      yield* world.close
      yield* TestClock.adjust("1 minute")
      const told = (tag: Parameters<World["tagged"]>[0]) => world.tagged(tag).length
      const { destroyed, ...totals } = world.stats
      yield* includes("totals", totals, {
        acquired: told("LeaseAcquired"),
        released: told("LeaseReleased"),
        created: told("ItemCreated"),
        createFailed: told("ItemCreateFailed"),
        timeouts: world.tagged("WaitEnded").filter(({ outcome }) => outcome === "timeout").length
      })
      for (const [reason, count] of Object.entries(destroyed)) {
        const ends = world.tagged("ItemDestroyed").filter((event) => event.reason === reason)
        yield* equal(`destroyed for the reason ${reason}`, count, ends.length)
      }
      yield* equal("items made", totals.created, world.gates.items.length)
      yield* equal("leases timed in use", totals.use.count, totals.released)
      yield* equal("leases timed in waiting", totals.wait.count, totals.acquired)
      yield* equal("items timed in the making", totals.create.count, totals.created)
    })
  ),

  stats.pool("say how many are idle and used", { max: 3, maxCreating: 3 }, (world) =>
    Effect.gen(function* () {
      yield* includes("at the start", world.stats, { idle: 0, used: 0, size: 0, pending: 0, acquired: 0 })
      const held = yield* world.holdMany(3)
      yield* includes("in use", world.stats, { used: 3, size: 3 + world.stats.idle, acquired: 3, released: 0 })
      yield* held[0]!.release
      yield* includes("with one back", world.stats, { used: 2, size: 2 + world.stats.idle, released: 1 })
    })
  ),

  stats.pool("are a snapshot: what happens later does not change it", { max: 1 }, (world) =>
    Effect.gen(function* () {
      const before = world.stats
      const copy = structuredClone(before)
      yield* world.use((_, value) => world.invalidate(value))
      yield* settle
      yield* equal("the snapshot", before, copy)
    })
  ),

  stats.pool(
    "count those who wait, time out and are turned away",
    { needs: ["waiting"], max: 1, maxWaiters: 2 },
    (world) =>
      Effect.gen(function* () {
        yield* world.holdMany(1)
        yield* world.start(world.call({ acquireTimeout: 10 }))
        yield* world.hold()
        yield* equal("pending", world.stats.pending, 2)
        yield* world.call()
        yield* world.call({ acquireTimeout: 0 })
        yield* TestClock.adjust(10)
        yield* includes("stats", world.stats, { pending: 1, timeouts: 1, exhausted: 2 })
      })
  ),

  events.pool("tell the life of an item and its leases, in order", { max: 1 }, (world) =>
    Effect.gen(function* () {
      yield* world.use((_, value) => world.invalidate(value))
      yield* settle
      const life = ["ItemCreated", "LeaseAcquired", "LeaseReleased", "ItemDestroyed"]
      const told = world.events.filter((event) => life.includes(event._tag))
      yield* equal(
        "events",
        told.map((event) => event._tag),
        life
      )
      yield* equal("their item", new Set(told.map((event) => "item" in event && event.item)).size, 1)
      const [acquired, released] = [world.tagged("LeaseAcquired")[0]!, world.tagged("LeaseReleased")[0]!]
      yield* equal("the lease that was released", released.lease, acquired.lease)
      for (const event of world.events) yield* includes("an event", event, { pool: world.pool.name, at: 0 })
    })
  ),

  events.pool("tell how each wait ends", { needs: ["waiting"], max: 1 }, (world) =>
    Effect.gen(function* () {
      const [holder] = yield* world.holdMany(1)
      // What came before is another matter: a first item may have been waited for.
      world.events.length = 0
      const served = yield* world.hold()
      yield* world.start(world.call({ acquireTimeout: 10 }))
      const leaves = yield* world.hold()
      yield* world.start(world.call())
      leaves.fiber.interruptUnsafe()
      yield* TestClock.adjust(10)
      yield* holder!.release
      yield* world.start(world.close)
      yield* settle
      const begun = world.tagged("WaitStarted")
      yield* equal(
        "waiting before each",
        begun.map(({ pending }) => pending),
        [1, 2, 3, 4]
      )
      const outcomes = begun.map(({ lease }) => {
        const end = world.tagged("WaitEnded").find((event) => event.lease === lease)
        const start = world.tagged("LeaseAcquired").find((event) => event.lease === lease)
        return end?.outcome ?? (start === undefined ? "nothing" : `served after ${start.waited} ms`)
      })
      yield* equal("how each wait ended", outcomes, ["served after 10 ms", "timeout", "interrupted", "closed"])
      served.fiber.interruptUnsafe()
    })
  ),

  events.pool("tell what operators do", { max: 1 }, (world) =>
    Effect.gen(function* () {
      yield* Pool.suspend(world.pool)
      yield* Pool.resume(world.pool)
      yield* Pool.resize(world.pool, { max: 2 })
      const draining = yield* world.start(Pool.drain(world.pool))
      yield* settle
      yield* ended("the drain", draining)
      const told = world.events.map((event) => event._tag)
      const wanted = ["Suspended", "Resumed", "Resized", "Draining", "Closed"]
      yield* equal(
        "events",
        told.filter((tag) => wanted.includes(tag)),
        wanted
      )
    })
  ),

  events.pool("reach every reader from when it begins, and those who stop reading cost nothing", { max: 1 }, (world) =>
    Effect.gen(function* () {
      const released = (stream: Stream.Stream<{ readonly _tag: string }>) =>
        Stream.runCount(Stream.filter(stream, (event) => event._tag === "LeaseReleased"))
      yield* world.call()
      const first = yield* world.start(released(Pool.events(world.pool)))
      yield* settle
      yield* world.call()
      const second = yield* world.start(released(Pool.events(world.pool)))
      const stops = yield* world.start(released(Pool.events(world.pool)))
      yield* settle
      stops.interruptUnsafe()
      yield* settle
      yield* world.call()
      yield* world.close
      yield* settle
      yield* equal("seen by the first", yield* Effect.flatten(ended("the first reader", first)), 2)
      yield* equal("seen by the second", yield* Effect.flatten(ended("the second reader", second)), 1)
    })
  ),

  events.pool("a reader that falls behind loses the oldest", { max: 1 }, (world) =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const slow = Pool.events(world.pool, { capacity: 3 }).pipe(
        Stream.runForEach((event) =>
          Effect.andThen(
            Effect.sleep("1 second"),
            Effect.sync(() => seen.push(event._tag))
          )
        )
      )
      yield* world.start(slow)
      yield* settle
      for (let n = 0; n < 50; n++) yield* world.call()
      yield* Pool.suspend(world.pool)
      yield* Pool.resume(world.pool)
      yield* TestClock.adjust("1 minute")
      yield* equal("the latest events", seen.slice(-2), ["Suspended", "Resumed"])
      yield* equal("how many of them it saw", seen.length < 10, true)
    })
  ),

  metrics.pool("are the pool's numbers", { max: 3, maxCreating: 3 }, (world) =>
    Effect.gen(function* () {
      const held = yield* world.holdMany(2)
      yield* held[0]!.release
      yield* world.start(world.call({ acquireTimeout: 0 }))
      yield* TestClock.adjust(5)
      const { acquired, idle, released, timeouts, used } = world.stats
      yield* includes("idle", (yield* metric(world, "count", "idle")).state, { value: idle })
      yield* includes("used", (yield* metric(world, "count", "used")).state, { value: used })
      yield* includes("max", (yield* metric(world, "max")).state, { value: 3 })
      yield* includes("min", (yield* metric(world, "idle.min")).state, { value: 0 })
      yield* includes("pending", (yield* metric(world, "pending_requests")).state, { value: 0 })
      yield* includes("timeouts", (yield* metric(world, "timeouts")).state, { count: timeouts })
      yield* includes("use time", (yield* metric(world, "use_time")).state, { count: released })
      yield* includes("wait time", (yield* metric(world, "wait_time")).state, { count: acquired })
      yield* includes("create time", (yield* metric(world, "create_time")).state, { count: world.stats.created })
    })
  ),

  metrics.pool("carry the pool's name, and go with the pool", { max: 1, name: "measured" }, (world) =>
    Effect.gen(function* () {
      const snapshot = Effect.provideService(Metric.snapshot, Metric.MetricRegistry, world.sandbox.metrics)
      const all = yield* snapshot
      yield* atLeast("metrics", all.length, 10)
      for (const { attributes, id } of all) {
        yield* equal(`${id} carries the name`, Object.values(attributes ?? {}).includes("measured"), true)
      }
      yield* world.close
      yield* settle
      yield* equal("metrics of a closed pool", yield* snapshot, [])
    })
  ),

  registry.pool("lists the pool while it is open, with its stats", { max: 2, name: "listed" }, (world) =>
    Effect.gen(function* () {
      const { registry } = world.sandbox
      yield* equal(
        "pools",
        registry.list().map(({ kind, name }) => [kind, name]),
        [[world.pool.kind, "listed"]]
      )
      yield* world.holdMany(1)
      yield* equal("stats", yield* registry.find("listed")!.stats, world.stats)
      yield* equal("it is the pool itself", registry.find("listed")!.pool === world.pool, true)
      const closing = yield* world.start(world.close)
      for (let n = 0; n < 3; n++) yield* settle
      if (closing.pollUnsafe() === undefined) {
        yield* equal("while it closes it is listed", registry.find("listed") !== undefined, true)
      }
    })
  ),

  registry.pool("operates the pool", { max: 2, name: "operated" }, (world) =>
    Effect.gen(function* () {
      const pool = world.sandbox.registry.find("operated")!
      yield* pool.suspend
      yield* equal("state", world.stats.state, "suspended")
      yield* pool.resume
      yield* equal("state", world.stats.state, "open")
      yield* pool.resize({ max: 5 })
      yield* equal("max", world.stats.max, 5)
      yield* equal("a max that makes no sense", (yield* Effect.result(pool.resize({ max: 0 })))._tag, "Failure")
      const reader = yield* world.start(Stream.runCollect(pool.events))
      yield* settle
      const draining = yield* world.start(pool.drain())
      yield* settle
      yield* ended("the drain", draining)
      yield* equal("state", world.stats.state, "closed")
      yield* atLeast("events", (yield* Effect.flatten(ended("the reader", reader))).length, 1)
      yield* equal("pools", world.sandbox.registry.list(), [])
    })
  ),

  registry.pool("forgets the pool when it is drained, and frees its name", { max: 1, name: "again" }, (world) =>
    Effect.gen(function* () {
      const { registry } = world.sandbox
      const draining = yield* world.start(Pool.drain(world.pool))
      yield* settle
      yield* ended("the drain", draining)
      yield* equal("pools", registry.list(), [])
      yield* Effect.scoped(
        Effect.gen(function* () {
          const next = yield* world.subject.make(Gates.make(), { name: "again", steps: [] })
          yield* equal("the name of the next", next.name, "again")
          // The first one's close comes too late to take the name from the second.
          yield* world.close
          yield* equal(
            "pools",
            registry.list().map(({ name }) => name),
            ["again"]
          )
        })
      ).pipe(Effect.provideService(PoolRegistry.PoolRegistry, registry))
    })
  ),

  names.pool("a second pool of a name gets a number, and the log warns", { max: 1, name: "twin" }, (world) =>
    Effect.gen(function* () {
      const { registry } = world.sandbox
      yield* Effect.scoped(
        Effect.gen(function* () {
          const gates = Gates.make()
          const second = yield* world.subject.make(gates, { name: "twin", max: 1, steps: [] })
          yield* equal("names", [world.pool.name, second.name], ["twin", "twin-2"])
          yield* equal("name in the stats", Pool.statsUnsafe(second).name, "twin-2")
          yield* equal(
            "pools",
            registry.list().map(({ name }) => name),
            ["twin", "twin-2"]
          )
          const wait = { acquireTimeout: 0 }
          const error = yield* Effect.flip(
            Effect.scoped(Effect.andThen(world.subject.get(second), world.subject.get(second, wait)))
          )
          yield* says("the message of its errors", String(error), "twin-2")
        })
      ).pipe(Effect.provideService(PoolRegistry.PoolRegistry, registry))
    })
  ),

  names.kind("a pool without a name gets one that says its kind, another for each pool", {}, (subject) =>
    Effect.scoped(
      Effect.gen(function* () {
        const one = yield* subject.make(Gates.make(), { steps: [] })
        const two = yield* subject.make(Gates.make(), { steps: [] })
        for (const { kind, name } of [one, two]) yield* says("the name", name, kind)
        yield* equal("different names", new Set([one.name, two.name]).size, 2)
        yield* equal("isPool", [Pool.isPool(one), Pool.isPool({}), Pool.isPool(undefined)], [true, false, false])
      })
    ).pipe(Effect.provideService(PoolRegistry.PoolRegistry, PoolRegistry.makeUnsafe()))
  )
]
