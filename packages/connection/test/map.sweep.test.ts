/** The lease rule, where a key's pool has to be found, opened and closed as well. */
import { ConnectionPool, ConnectionPoolMap } from "@effect-pools/connection"
import { Gates, InterruptSweep } from "@effect-pools/testing"
import { afterAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { subject } from "./map.subject.ts"

const total = { scenarios: 0, interruptions: 0, leaks: 0 }
afterAll(() => {
  console.log(
    `interrupt sweep: ${total.scenarios} scenarios, ${total.interruptions} interruptions, ${total.leaks} leaks`
  )
})

const expectClean = (report: InterruptSweep.Report): void => {
  total.scenarios++
  total.interruptions += report.interruptions
  total.leaks += report.leaks.length
  InterruptSweep.expectClean(report)
}

const timeout = 60_000

describe("a key that is open", () => {
  for (const { name, run, skipped } of InterruptSweep.scenarios(subject)) {
    it("plays every standard scenario", () => expect(skipped).toBeUndefined())
    it.live(`an interruption at any step leaks nothing: ${name}`, () => Effect.map(run, expectClean), timeout)
  }
})

type Map = ConnectionPoolMap.ConnectionPoolMap<string, Gates.Item, Gates.GateFailure>

interface World {
  readonly map: Map
  readonly gates: Gates.Gates
  /** What lookups have opened, and closed. */
  readonly tunnels: { opened: number; closed: number }
  readonly stage: InterruptSweep.Stage
}

interface Scenario {
  /** How long a lookup takes, in milliseconds; 0 for plain options. */
  readonly lookup?: number
  readonly options?: Partial<ConnectionPoolMap.Options<string, Gates.Item, Gates.GateFailure, Scope.Scope>>
  readonly prepare?: (world: World) => Effect.Effect<unknown, unknown>
  readonly program: (world: World) => Effect.Effect<unknown, unknown, Scope.Scope>
}

/** Opens a map whose lookups open something themselves. */
const setup =
  ({ lookup = 0, options, prepare }: Scenario) =>
  (stage: InterruptSweep.Stage) =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const tunnels = { opened: 0, closed: 0 }
      const tunnel = Effect.acquireRelease(
        Effect.sync(() => tunnels.opened++),
        () => Effect.sync(() => tunnels.closed++)
      )
      const ofKey = { acquire: gates.make, max: 2, health: false, closeGrace: 30_000 } as const
      const map: Map = yield* ConnectionPoolMap.make({
        name: "swept",
        max: 2,
        lookup: (key: string) => {
          if (lookup === 0) return ofKey
          const found = key === "unknown" ? Effect.fail(new Gates.GateFailure({ at: "create" })) : Effect.succeed(ofKey)
          return tunnel.pipe(Effect.andThen(Effect.sleep(lookup)), Effect.andThen(found))
        },
        ...options
      })
      const world: World = { map, gates, tunnels, stage }
      if (prepare !== undefined) yield* prepare(world)
      return world
    })

const use = ({ gates, map }: World, key = "a") =>
  ConnectionPoolMap.use(map, key, (item) => gates.holding(item, Effect.yieldNow, 1))
const get = ({ gates, map }: World, key = "a") =>
  Effect.scoped(Effect.flatMap(ConnectionPoolMap.get(map, key), (item) => gates.holding(item, Effect.yieldNow, 1)))
const soon = ({ stage }: World, effect: Effect.Effect<unknown, unknown>, millis = 5): void =>
  void stage.beside(Effect.andThen(Effect.sleep(millis), effect))

/** Holds every permit for 20 ms, beside the program. */
const occupy = (world: World) =>
  Effect.gen(function* () {
    for (let n = 0; n < 2; n++) {
      world.stage.beside(
        ConnectionPoolMap.use(world.map, "a", (item) => world.gates.holding(item, Effect.sleep(20), 1))
      )
    }
    while ((yield* ConnectionPoolMap.stats(world.map)).used < 2) yield* Effect.sleep(1)
  })

/** Nothing is lost: every permit can be had by a key that nobody has used before. */
const audit = ({ gates, map, tunnels }: World) =>
  Effect.gen(function* () {
    const wrong: Array<string> = []
    const { acquired, creating, destroying, idle, keys, opening, pending, released, state, used } =
      yield* ConnectionPoolMap.stats(map)
    if (used + creating + destroying + pending + opening > 0) {
      wrong.push(`used ${used}, creating ${creating}, destroying ${destroying}, pending ${pending}, opening ${opening}`)
    }
    if (acquired !== released) wrong.push(`${acquired} leases were acquired, ${released} released`)
    if (gates.most > 2) wrong.push(`there were ${gates.most} items at a time`)
    if (tunnels.opened - tunnels.closed > keys)
      wrong.push(`${tunnels.opened - tunnels.closed} tunnels for ${keys} keys`)
    wrong.push(...gates.audit(idle))
    gates.allWell()
    yield* ConnectionPoolMap.resume(map)
    const both = Effect.scoped(Effect.all([ConnectionPoolMap.get(map, "z"), ConnectionPoolMap.get(map, "z")]))
    if ((yield* Effect.exit(both))._tag === "Failure" && state !== "closed") wrong.push("not every permit can be had")
    return wrong
  })

const sweep = (scenario: Scenario) =>
  InterruptSweep.run<World>({
    setup: setup(scenario),
    program: scenario.program,
    audit,
    closed: ({ gates, tunnels }) => [
      ...gates.audit(0),
      ...(tunnels.opened === tunnels.closed ? [] : [`of ${tunnels.opened} tunnels ${tunnels.closed} are closed`])
    ]
  })

const scenarios: Record<string, Scenario> = {
  "use, opening at once": { program: use },
  "get, opening at once": { program: get },
  "use, opening slowly": { lookup: 10, program: use },
  "get, opening slowly": { lookup: 10, program: get },
  "use, opening slowly, with others": {
    lookup: 10,
    program: (world) => {
      soon(world, use(world))
      soon(world, get(world))
      return use(world)
    }
  },
  "use, opening slowly, with a deadline that comes": {
    lookup: 10,
    program: ({ map }) => Effect.exit(ConnectionPoolMap.use(map, "a", () => Effect.void, { acquireTimeout: 5 }))
  },
  "use, opening slowly, with a span": { lookup: 10, program: (world) => Effect.withSpan(use(world), "test") },
  "get, opening slowly, with a span, its scope closed by somebody else": {
    lookup: 10,
    program: (world) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        soon(world, Scope.close(scope, Exit.void))
        return yield* Effect.exit(Scope.provide(Effect.withSpan(ConnectionPoolMap.get(world.map, "a"), "test"), scope))
      })
  },
  "use, a lookup that fails": {
    lookup: 5,
    program: (world) => Effect.exit(use(world, "unknown"))
  },
  "use, its key invalidated while it opens": {
    lookup: 10,
    program: (world) => {
      soon(world, ConnectionPoolMap.invalidate(world.map, "a"))
      return use(world)
    }
  },
  "use, its key invalidated while it waits": {
    prepare: occupy,
    program: (world) => {
      soon(world, ConnectionPoolMap.invalidate(world.map, "a"))
      return use(world)
    }
  },
  "get, its key invalidated while it waits": {
    prepare: occupy,
    program: (world) => {
      soon(world, ConnectionPoolMap.invalidate(world.map, "a"))
      return get(world)
    }
  },
  "use, its key invalidated while it waits with a span": {
    prepare: occupy,
    program: (world) => {
      soon(world, ConnectionPoolMap.invalidate(world.map, "a"))
      return Effect.withSpan(use(world), "test")
    }
  },
  "use, its key invalidated by its own body": {
    program: ({ gates, map }) =>
      ConnectionPoolMap.use(map, "a", (item) =>
        gates.holding(item, Effect.andThen(ConnectionPoolMap.invalidate(map, "a"), Effect.yieldNow), 1)
      )
  },
  "use, its key's pool drained by somebody": {
    prepare: occupy,
    program: (world) => {
      soon(
        world,
        Effect.flatMap(ConnectionPoolMap.pool(world.map, "a"), (pool) => ConnectionPool.drain(pool))
      )
      return use(world)
    }
  },
  "use, of another key's permit": { prepare: occupy, program: (world) => use(world, "b") },
  "use, when the key's time is over": {
    options: { idleTimeToLive: 10 },
    lookup: 1,
    prepare: use,
    program: (world) => Effect.andThen(Effect.sleep(10), use(world))
  },
  "use, closing the key unused for longest": {
    options: { capacity: 1 },
    lookup: 1,
    prepare: use,
    program: (world) => use(world, "b")
  },
  "use, while the map is suspended": {
    prepare: (world) => {
      soon(world, ConnectionPoolMap.resume(world.map))
      return ConnectionPoolMap.suspend(world.map)
    },
    program: use
  },
  "use, while the map drains": {
    prepare: occupy,
    program: (world) => {
      soon(world, ConnectionPoolMap.drain(world.map, 5))
      return Effect.exit(use(world))
    }
  },
  pool: { lookup: 10, program: ({ map }) => ConnectionPoolMap.pool(map, "a") },
  useIfAvailable: {
    prepare: use,
    program: ({ gates, map }) =>
      ConnectionPoolMap.useIfAvailable(map, "a", (item) => gates.holding(item, Effect.yieldNow, 1))
  }
}

describe("a key that opens, closes or waits for others", () => {
  for (const [name, scenario] of Object.entries(scenarios)) {
    it.live(
      `an interruption at any step leaks nothing: ${name}`,
      () => Effect.map(sweep(scenario), expectClean),
      timeout
    )
  }
})
